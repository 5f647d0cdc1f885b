"""A bad graph names every bad node and field at once, in words that say what was expected."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.properties import examples
from tests.texts import mentions
from workflows.errors import WorkflowError
from workflows.graph.kinds import NODE_KINDS
from workflows.graph.workflow import Workflow, dumps, load_workflow, loads
from workflows.nodes.dataset import DatasetSettings

SOUND_NODES = {kind: f"{{id: {kind}, kind: {kind}}}" for kind in NODE_KINDS} | {
    "dataset": "{id: dataset, kind: dataset, settings: {name: birds}}"
}
SOUND_EDGES = [f"{a} -> {b}" for a, b in pairwise(NODE_KINDS)]


def graph(head: str = "name: birds", edges: list[str] | None = None, extra: str = "", **nodes: str) -> str:
    """A workflow's YAML with some of its nodes replaced (empty: left out). Line 1 is the head, 3-9 the nodes."""
    items = [node for node in (SOUND_NODES | nodes).values() if node]
    lines = [head, "nodes:", *(f"- {item}" for item in items), "edges:"]
    lines += [f"- {edge}" for edge in (SOUND_EDGES if edges is None else edges)]
    return "\n".join([*lines, extra]) + "\n"


def training(settings: str) -> str:
    """The YAML of a graph whose training node, on line 7, has these settings."""
    return graph(training=f"{{id: training, kind: training, settings: {{{settings}}}}}")


def model(settings: str) -> str:
    """The YAML of a graph whose model node, on line 6, has these settings."""
    return graph(model=f"{{id: model, kind: model, settings: {{{settings}}}}}")


def problems_of(text: str) -> list[str]:
    """Every problem that reading `text` reports."""
    with pytest.raises(WorkflowError) as caught:
        loads(text)
    for problem in caught.value.problems:
        assert f"  - {problem}" in str(caught.value)
    return caught.value.problems


def names(problem: str, place: str, *things: str) -> bool:
    """Whether a problem begins with its place and mentions these things."""
    return problem.startswith(place) and mentions(problem.removeprefix(place), *things)


T, M = "line 7: node 'training'", "line 6: node 'model'"
FIELDS = [
    (training("epoch: 3"), (f"{T}: field 'epoch'", "unknown", "'epochs'")),
    (training("Batch: 3"), (f"{T}: field 'Batch'", "unknown", "'batch'")),
    (training("epochs: 0"), (f"{T}: field 'epochs'", "whole", "1", "10,000", "0")),
    (training("epochs: many"), (f"{T}: field 'epochs'", "whole", "1", "10,000", '"many"')),
    (training("epochs: 2.5"), (f"{T}: field 'epochs'", "whole", "1", "10,000", "2.5")),
    (training("epochs: true"), (f"{T}: field 'epochs'", "whole", "1", "10,000", "true")),
    (training("epochs: null"), (f"{T}: field 'epochs'", "whole", "1", "10,000", "null")),
    (training("epochs: [1]"), (f"{T}: field 'epochs'", "whole", "1", "10,000", "[1]")),
    (training("learning_rate: 0"), (f"{T}: field 'learning_rate'", "0", "10")),
    (training("learning_rate: .nan"), (f"{T}: field 'learning_rate'", "0", "10", "NaN")),
    (training("momentum: 1"), (f"{T}: field 'momentum'", "0", "1")),
    (training("seed: -1"), (f"{T}: field 'seed'", "whole", "0", "-1")),
    (training("workers: 99"), (f"{T}: field 'workers'", "whole", "empty", "0", "64", "99")),
    (
        training("optimizer: adamw"),
        (f"{T}: field 'optimizer'", "AdamW", "SGD", '"adamw"', "'AdamW'"),
    ),
    (training("monitor: 3"), (f"{T}: field 'monitor'", "top1", "f1_macro", "log_loss", "3")),
    (
        training("device: gpu"),
        (f"{T}: field 'device'", "0,1", '"gpu"'),
    ),
    (
        model("image_size: 100"),
        (f"{M}: field 'image_size'", "whole", "32", "1,280", "multiple", "100", "96", "128"),
    ),
    (
        model("image_size: 16"),
        (f"{M}: field 'image_size'", "whole", "32", "1,280", "multiple", "16"),
    ),
    (
        model("image_size: 2000"),
        (f"{M}: field 'image_size'", "whole", "32", "1,280", "multiple", "2000"),
    ),
    (
        model("size: tiny"),
        (f"{M}: field 'size'", "n", "s", "m", "l", "x", '"tiny"'),
    ),
    (
        model("square: croped"),
        (f"{M}: field 'square'", "crop", "pad", "stretch", '"croped"', "'crop'"),
    ),
    (model("weights: 1.5"), (f"{M}: field 'weights'", "empty", "1.5")),
    (
        model("colour: red"),
        (f"{M}: field 'colour'", "unknown", "family", "size", "image_size", "square", "weights", "dropout"),
    ),
    (
        graph(dataset="{id: dataset, kind: dataset}"),
        ("line 3: node 'dataset': field 'name'", "missing", "empty"),
    ),
    (
        graph(dataset="{id: dataset, kind: dataset, settings: {name: ''}}"),
        ("line 3: node 'dataset': field 'name'", "empty", '""'),
    ),
    (
        graph(split="{id: split, kind: split, settings: {train: 0.9}}"),
        ("line 4: node 'split'", "train + val + test", "1", "1.2"),
    ),
    (
        graph(evaluation="{id: evaluation, kind: evaluation, settings: {splits: test}}"),
        ("line 8: node 'evaluation': field 'splits'", "list", "val", "test", '"test"'),
    ),
    (
        graph(evaluation="{id: evaluation, kind: evaluation, settings: {splits: [val, tests]}}"),
        ("line 8: node 'evaluation': field 'splits[1]'", "val", "test", '"tests"', "'test'"),
    ),
    (
        graph(explanation="{id: explanation, kind: explanation, settings: {methods: []}}"),
        ("line 9: node 'explanation': field 'methods'", "list", "eigen-cam", "grad-cam", "grad-cam++", "layer-cam"),
    ),
    (
        graph(explanation="{id: explanation, kind: explanation, settings: 5}"),
        ("line 9: node 'explanation': field 'settings'", "5"),
    ),
]

NODES = [
    (graph(model="{id: model, kind: modle}"), (f"{M}", "unknown", '"modle"', "'model'")),
    (
        graph(model="{id: model, kind: 7}"),
        (f"{M}", "unknown", "7", "dataset", "split", "augmentation", "model", "training", "evaluation", "explanation"),
    ),
    (
        graph(model="{id: model}"),
        (
            f"{M}: field 'kind'",
            "missing",
            "dataset",
            "split",
            "augmentation",
            "model",
            "training",
            "evaluation",
            "explanation",
        ),
    ),
    (
        graph(model="{id: model, kind: model, setting: {}}"),
        (f"{M}: field 'setting'", "unknown", "'settings'"),
    ),
    (graph(model="just text"), ("line 6: node 4", "id", "kind", "settings", '"just text"')),
    (
        graph(model="{id: 'a b', kind: model}", edges=[]),
        ("line 6: node 4: field 'id'", "64", '"a b"'),
    ),
    (
        graph(model="{kind: model}", edges=[]),
        ("line 6: node 4: field 'id'", "missing", "64"),
    ),
]

SHAPES = [
    (
        graph(split="", edges=SOUND_EDGES[2:]),
        ("", "dataset", "split", "model", "training"),
    ),
    (
        graph(other="{id: other, kind: model}", edges=[*SOUND_EDGES, "augmentation -> other"]),
        ("", "2", "model", "other"),
    ),
    (
        graph(other="{id: model, kind: model}"),
        ("node 'model'", "2"),
    ),
    (
        graph(edges=[*SOUND_EDGES[:-1], "evaluation -> explanatoin"]),
        ("edge 'evaluation -> explanatoin'", "'explanatoin'", "'explanation'"),
    ),
    (
        graph(edges=[*SOUND_EDGES, "dataset -> model"]),
        ("edge 'dataset -> model'", "input"),
    ),
    (
        graph(edges=[*SOUND_EDGES, "explanation -> dataset"]),
        ("edge 'explanation -> dataset'", "input"),
    ),
    (graph(edges=[*SOUND_EDGES, SOUND_EDGES[0]]), ("edge 'dataset -> split'", "2")),
    (graph(edges=SOUND_EDGES[1:]), ("node 'split'", "dataset")),
    (graph(edges=[*SOUND_EDGES, "model -> model"]), ("", "cycle", "model -> model")),
    (
        graph(edges=[*SOUND_EDGES, "training"]),
        ("line 17: edge 7", "'source -> target'", '"training"'),
    ),
]

DOCUMENTS = [
    ("", ('line 1', 'name', 'goal', 'description', 'nodes', 'edges', 'reasons', 'estimate', 'nothing')),
    ("- 1\n", ('line 1', 'name', 'goal', 'description', 'nodes', 'edges', 'reasons', 'estimate', '[1]')),
    (graph(head="nam: birds"), ("line 1: field 'nam'", 'unknown', "'name'")),
    (graph(head="nam: birds"), ("line 1: field 'name'", 'missing', 'empty')),
    (graph(head="name: ''"), ("line 1: field 'name'", 'empty', '""')),
    (graph(head="name: birds\ngoal: quick"), ("line 2: field 'goal'", 'fast', 'balanced', 'accurate', 'empty', '"quick"')),
    ("name: birds\nnodes: 3\nedges: 4\n", ("line 2: field 'nodes'", 'list', '3')),
    ("name: birds\nnodes: 3\nedges: 4\n", ("line 3: field 'edges'", 'list', '4')),
    ("name: birds\n", ("line 1: field 'nodes'", 'list', 'nothing')),
    (graph(head="name: a\nname: b"), ('line 2', "'name'", 'twice', '1')),
    (graph(head="name: !!python/name:os.system x"), ('line 1', "'tag:yaml.org,2002:python/name:os.system'")),
    (graph(head="name: !!int x"), ('line 1', "'x'", 'int')),
    (graph(head="name: &a birds\ndescription: *a"), ('line 1', 'aliases')),
    (graph(head="? [a]\n: 1\nname: b"), ('line 1', 'string')),
    (graph(extra="reasons:\n- {node: modell, field: size, value: n, because: b, source: c}"), ('line 18: reason 1', "'modell'", "'model'")),
    (graph(extra="reasons:\n- {node: model, field: size, value: n, becaus: b, source: c}"), ("line 18: reason 1: field 'because'", 'missing')),
    (graph(extra="reasons:\n- {node: model, field: size, value: n, becaus: b, source: c}"), ("line 18: reason 1: field 'becaus'", 'unknown', "'because'")),
    (graph(extra="estimate: {seconds: -1}"), ("line 17: estimate: field 'seconds'", 'input', '0', '-1')),
    (graph(extra="estimate: soon"), ('line 17: estimate', 'seconds', 'seconds_low', 'seconds_high', 'memory_bytes', 'images_per_second', 'basis', '"soon"')),
]  # fmt: skip


@pytest.mark.parametrize(("text", "named"), FIELDS)
def test_a_bad_field_is_named_and_nothing_else(text: str, named: tuple[str, ...]) -> None:
    (problem,) = problems_of(text)
    assert names(problem, *named)


@pytest.mark.parametrize(("text", "named"), NODES)
def test_a_bad_node_is_named(text: str, named: tuple[str, ...]) -> None:
    assert any(names(problem, *named) for problem in problems_of(text))


@pytest.mark.parametrize(("text", "named"), SHAPES)
def test_a_bad_shape_is_named(text: str, named: tuple[str, ...]) -> None:
    assert any(names(problem, *named) for problem in problems_of(text))


@pytest.mark.parametrize(("text", "named"), DOCUMENTS)
def test_a_bad_document_is_named(text: str, named: tuple[str, ...]) -> None:
    assert any(names(problem, *named) for problem in problems_of(text))


def test_every_problem_is_named_at_once() -> None:
    text = graph(
        head="name: birds\ngaol: fast",
        dataset="{id: dataset, kind: dataset, settings: {nam: birds}}",
        model="{id: model, kind: model, settings: {size: xl, image_size: 50}}",
        training="{id: training, kind: trainning}",
        edges=[*SOUND_EDGES[1:], "nowhere -> model"],
    )
    named = [
        ("line 2: field 'gaol'", "'goal'"),
        ("line 4: node 'dataset': field 'name'",),
        ("line 4: node 'dataset': field 'nam'", "'name'"),
        ("line 7: node 'model': field 'size'", "n, s, m, l, x", '"xl"', "'x'"),
        ("line 7: node 'model': field 'image_size'", "32", "1,280", "50", "64"),
        ("line 8: node 'training'", '"trainning"', "'training'"),
        ("edge 'nowhere -> model'", "'nowhere'"),
        ("node 'split'", "dataset"),
    ]
    found = problems_of(text)
    assert len(found) == len(named)
    assert all(
        line.startswith(place) and mentions(line, *things) for line, (place, *things) in zip(found, named, strict=True)
    )


def test_the_message_counts_and_says_where() -> None:
    with pytest.raises(WorkflowError, match=r"^birds\.yaml .*\n  - line 7: node 'training'") as caught:
        loads(training("epoch: 3"), "birds.yaml")
    assert "fieldguide workflow recommend" in caught.value.hint
    with pytest.raises(WorkflowError, match=r"^[^\n]*\b2\b"):
        loads(training("epoch: 3, batch: 1"))


def test_bare_numbers_are_taken_as_text_where_text_is_wanted() -> None:
    text = graph(
        dataset="{id: dataset, kind: dataset, settings: {name: 2024}}",
        training="{id: training, kind: training, settings: {device: 0, learning_rate: 1e-4}}",
    )
    workflow = loads(text.replace("name: birds", "name: 007"))
    assert (workflow.name, workflow.dataset.name) == ("007", "2024")
    assert (workflow.training.device, workflow.training.learning_rate) == ("0", 1e-4)


def test_words_that_older_yaml_takes_for_switches_are_words() -> None:
    assert loads(graph(head="name: no\ndescription: on")).description == "on"


SYNTAX = [
    ("name: [1\n", r"birds.yaml is not valid YAML.\n  - line 2, column 1: expected ',' or '\]'"),
    ("name: a\n\tb: 1\n", r"line 2, column 1: found character '\\t' that cannot start any token"),
    ("a: 1\n---\nb: 2\n", r"line 2, column 1: but found another document, expected a single document in the stream"),
    ("name: \x00\n", r"birds.yaml is not valid YAML.\n  - unacceptable character #x0000"),
    ("[" * 5000, "birds.yaml is nested too deeply to be a workflow."),
    ("x" * 1_000_001, "birds.yaml has 1,000,001 characters; a workflow has at most 1,000,000."),
]


@pytest.mark.parametrize(("text", "message"), SYNTAX)
def test_bad_yaml_is_told_with_its_place(text: str, message: str) -> None:
    with pytest.raises(WorkflowError, match=message):
        loads(text, "birds.yaml")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(WorkflowError, match=r"missing\.yaml") as caught:
        load_workflow(tmp_path / "missing.yaml")
    assert "balanced-photos" in caught.value.hint
    with pytest.raises(WorkflowError, match=re.escape(str(tmp_path))):
        load_workflow(tmp_path)
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(b"\xff\xd8\xff\xe0")
    with pytest.raises(WorkflowError, match="UTF-8"):
        load_workflow(photo)


def test_a_file_is_read_with_or_without_a_byte_order_mark(tmp_path: Path) -> None:
    workflow = Workflow.linear("Vögel", DatasetSettings(name="birds"))
    for encoding in ("utf-8", "utf-8-sig"):
        (tmp_path / "wf.yaml").write_text(dumps(workflow), encoding=encoding)
        assert load_workflow(tmp_path / "wf.yaml") == workflow


SOUND_TEXT = dumps(Workflow.linear("birds", DatasetSettings(name="birds")))


@settings(max_examples=examples(200), deadline=None)
@given(st.data())
def test_any_damage_is_either_read_or_told_in_words(data: st.DataObject) -> None:
    """Cut pieces out of a sound file, or put rubbish in: never another error than WorkflowError."""
    start = data.draw(st.integers(0, len(SOUND_TEXT)))
    end = data.draw(st.integers(start, min(len(SOUND_TEXT), start + 80)))
    rubbish = data.draw(
        st.text(max_size=10) | st.sampled_from(["[]", "{}", "&a", "*a", "!!x", "-", "? ", ": ", "|\n", "''"])
    )
    try:
        workflow = loads(SOUND_TEXT[:start] + rubbish + SOUND_TEXT[end:])
    except WorkflowError as error:
        assert re.search(r"\S", error.message)
    else:
        assert workflow.problems() == []
