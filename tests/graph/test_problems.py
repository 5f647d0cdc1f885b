"""A bad graph names every bad node and field at once, in words that say what was expected."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workflows.errors import WorkflowError
from workflows.graph.settings import NODE_KINDS, DatasetSettings
from workflows.graph.workflow import Workflow, dumps, load_workflow, loads

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


T, M = "line 7: node 'training'", "line 6: node 'model'"
FIELDS = [
    (training("epoch: 3"), f"{T}: field 'epoch': unknown field; did you mean 'epochs'?"),
    (training("Batch: 3"), f"{T}: field 'Batch': unknown field; did you mean 'batch'?"),
    (training("epochs: 0"), f"{T}: field 'epochs': expected a whole number from 1 to 10,000, got 0"),
    (training("epochs: many"), f"{T}: field 'epochs': expected a whole number from 1 to 10,000, got \"many\""),
    (training("epochs: 2.5"), f"{T}: field 'epochs': expected a whole number from 1 to 10,000, got 2.5"),
    (training("epochs: true"), f"{T}: field 'epochs': expected a whole number from 1 to 10,000, got true"),
    (training("epochs: null"), f"{T}: field 'epochs': expected a whole number from 1 to 10,000, got null"),
    (training("epochs: [1]"), f"{T}: field 'epochs': expected a whole number from 1 to 10,000, got [1]"),
    (training("learning_rate: 0"), f"{T}: field 'learning_rate': expected a number above 0, up to 10, got 0"),
    (training("learning_rate: .nan"), f"{T}: field 'learning_rate': expected a number above 0, up to 10, got NaN"),
    (training("momentum: 1"), f"{T}: field 'momentum': expected a number of at least 0, below 1, got 1"),
    (training("seed: -1"), f"{T}: field 'seed': expected a whole number of at least 0, got -1"),
    (training("workers: 99"), f"{T}: field 'workers': expected a whole number or empty from 0 to 64, got 99"),
    (
        training("optimizer: adamw"),
        f"{T}: field 'optimizer': expected one of AdamW, SGD, got \"adamw\"; did you mean 'AdamW'?",
    ),
    (training("monitor: 3"), f"{T}: field 'monitor': expected one of top1, f1_macro, log_loss, got 3"),
    (
        training("device: gpu"),
        f"{T}: field 'device': expected `auto`, `cpu`, a GPU number, or several: `0,1`, got \"gpu\"",
    ),
    (
        model("image_size: 100"),
        f"{M}: field 'image_size': expected a whole number from 32 to 1,280, a multiple of 32, got 100"
        "; near it 96 and 128 would do",
    ),
    (
        model("image_size: 16"),
        f"{M}: field 'image_size': expected a whole number from 32 to 1,280, a multiple of 32, got 16; near it 32 would do",
    ),
    (
        model("image_size: 2000"),
        f"{M}: field 'image_size': expected a whole number from 32 to 1,280, a multiple of 32, got 2000",
    ),
    (
        model("size: tiny"),
        f"{M}: field 'size': expected one of n, s, m, l, x, got \"tiny\"",
    ),
    (
        model("square: croped"),
        f"{M}: field 'square': expected one of crop, pad, stretch, got \"croped\"; did you mean 'crop'?",
    ),
    (model("weights: 1.5"), f"{M}: field 'weights': expected text that is not empty, got 1.5; put it in quotes"),
    (
        model("colour: red"),
        f"{M}: field 'colour': unknown field; model nodes have family, size, image_size, square, weights, dropout",
    ),
    (
        graph(dataset="{id: dataset, kind: dataset}"),
        "line 3: node 'dataset': field 'name': missing; expected text that is not empty",
    ),
    (
        graph(dataset="{id: dataset, kind: dataset, settings: {name: ''}}"),
        "line 3: node 'dataset': field 'name': expected text that is not empty, got \"\"",
    ),
    (
        graph(split="{id: split, kind: split, settings: {train: 0.9}}"),
        "line 4: node 'split': train + val + test must be 1, but is 1.2",
    ),
    (
        graph(evaluation="{id: evaluation, kind: evaluation, settings: {splits: test}}"),
        "line 8: node 'evaluation': field 'splits': expected a list of val, test, got \"test\"",
    ),
    (
        graph(evaluation="{id: evaluation, kind: evaluation, settings: {splits: [val, tests]}}"),
        "line 8: node 'evaluation': field 'splits[1]': expected one of val, test, got \"tests\"; did you mean 'test'?",
    ),
    (
        graph(explanation="{id: explanation, kind: explanation, settings: {methods: []}}"),
        "line 9: node 'explanation': field 'methods': expected a list of eigen-cam, grad-cam, grad-cam++, layer-cam,"
        " got []",
    ),
    (
        graph(explanation="{id: explanation, kind: explanation, settings: 5}"),
        "line 9: node 'explanation': field 'settings': expected fields and values, got 5",
    ),
]

NODES = [
    (graph(model="{id: model, kind: modle}"), "line 6: node 'model': unknown kind \"modle\"; did you mean 'model'?"),
    (
        graph(model="{id: model, kind: 7}"),
        "line 6: node 'model': unknown kind 7; kinds are dataset, split, augmentation, model, training, evaluation,"
        " explanation",
    ),
    (
        graph(model="{id: model}"),
        "line 6: node 'model': field 'kind': missing; expected one of dataset, split, augmentation, model, training,"
        " evaluation, explanation",
    ),
    (
        graph(model="{id: model, kind: model, setting: {}}"),
        "line 6: node 'model': field 'setting': unknown field; did you mean 'settings'?",
    ),
    (graph(model="just text"), 'line 6: node 4: expected id, kind, settings, got "just text"'),
    (
        graph(model="{id: 'a b', kind: model}", edges=[]),
        "line 6: node 4: field 'id': expected up to 64 letters, digits, _, . or -, starting with a letter or digit,"
        ' got "a b"',
    ),
    (
        graph(model="{kind: model}", edges=[]),
        "line 6: node 4: field 'id': missing; expected up to 64 letters, digits, _, . or -, starting with a letter or"
        " digit",
    ),
]

SHAPES = [
    (
        graph(explanation="", edges=SOUND_EDGES[:-1]),
        "there is no explanation node; a workflow has one of each kind: dataset, split, augmentation, model, training,"
        " evaluation, explanation",
    ),
    (
        graph(other="{id: other, kind: model}", edges=[*SOUND_EDGES, "augmentation -> other"]),
        "there are 2 model nodes (model, other); a workflow has one of each kind",
    ),
    (
        graph(other="{id: model, kind: model}"),
        "node 'model': the id is used by 2 nodes; ids must differ",
    ),
    (
        graph(edges=[*SOUND_EDGES[:-1], "evaluation -> explanatoin"]),
        "edge 'evaluation -> explanatoin': there is no node 'explanatoin'; did you mean 'explanation'?",
    ),
    (
        graph(edges=[*SOUND_EDGES, "dataset -> model"]),
        "edge 'dataset -> model': a dataset node can't lead to a model node; a model node takes its input from an"
        " augmentation node",
    ),
    (
        graph(edges=[*SOUND_EDGES, "explanation -> dataset"]),
        "edge 'explanation -> dataset': an explanation node can't lead to a dataset node; a dataset node comes first",
    ),
    (graph(edges=[*SOUND_EDGES, SOUND_EDGES[0]]), "edge 'dataset -> split': given 2 times; once is enough"),
    (graph(edges=SOUND_EDGES[1:]), "node 'split': no edge leads to it from a dataset node"),
    (graph(edges=[*SOUND_EDGES, "model -> model"]), "the edges go in a circle: model -> model"),
    (
        graph(edges=[*SOUND_EDGES, "training"]),
        "line 17: edge 7: expected 'source -> target' with two node ids, got \"training\"",
    ),
]

DOCUMENTS = [
    ("", "line 1: expected a workflow with name, goal, description, nodes, edges, reasons, estimate, got nothing"),
    ("- 1\n", "line 1: expected a workflow with name, goal, description, nodes, edges, reasons, estimate, got [1]"),
    (graph(head="nam: birds"), "line 1: field 'nam': unknown field; did you mean 'name'?"),
    (graph(head="nam: birds"), "line 1: field 'name': missing; expected text that is not empty"),
    (graph(head="name: ''"), "line 1: field 'name': expected text that is not empty, got \"\""),
    (graph(head="name: birds\ngoal: quick"), "line 2: field 'goal': expected one of fast, balanced, accurate or empty, got \"quick\""),
    ("name: birds\nnodes: 3\nedges: 4\n", "line 2: field 'nodes': expected a list, got 3"),
    ("name: birds\nnodes: 3\nedges: 4\n", "line 3: field 'edges': expected a list, got 4"),
    ("name: birds\n", "line 1: field 'nodes': expected a list, got nothing"),
    (graph(head="name: a\nname: b"), "line 2: 'name' is given twice (first on line 1)"),
    (graph(head="name: !!python/name:os.system x"), "line 1: the tag 'tag:yaml.org,2002:python/name:os.system' is not supported; give a plain value"),
    (graph(head="name: !!int x"), "line 1: 'x' is not a value of the type int"),
    (graph(head="name: &a birds\ndescription: *a"), "line 1: aliases (*) are not supported; write the value out"),
    (graph(head="? [a]\n: 1\nname: b"), "line 1: a field name must be a word"),
    (graph(extra="reasons:\n- {node: modell, field: size, value: n, because: b, source: c}"), "line 18: reason 1: there is no node 'modell'; did you mean 'model'?"),
    (graph(extra="reasons:\n- {node: model, field: size, value: n, becaus: b, source: c}"), "line 18: reason 1: field 'because': missing"),
    (graph(extra="reasons:\n- {node: model, field: size, value: n, becaus: b, source: c}"), "line 18: reason 1: field 'becaus': unknown field; did you mean 'because'?"),
    (graph(extra="estimate: {seconds: -1}"), "line 17: estimate: field 'seconds': input should be greater than or equal to 0, got -1"),
    (graph(extra="estimate: soon"), 'line 17: estimate: expected seconds, seconds_low, seconds_high, memory_bytes, images_per_second, basis, got "soon"'),
]  # fmt: skip


@pytest.mark.parametrize(("text", "problem"), FIELDS)
def test_a_bad_field_is_named_and_nothing_else(text: str, problem: str) -> None:
    assert problems_of(text) == [problem]


@pytest.mark.parametrize(("text", "problem"), NODES)
def test_a_bad_node_is_named(text: str, problem: str) -> None:
    assert problem in problems_of(text)


@pytest.mark.parametrize(("text", "problem"), SHAPES)
def test_a_bad_shape_is_named(text: str, problem: str) -> None:
    assert problem in problems_of(text)


@pytest.mark.parametrize(("text", "problem"), DOCUMENTS)
def test_a_bad_document_is_named(text: str, problem: str) -> None:
    assert problem in problems_of(text)


def test_every_problem_is_named_at_once() -> None:
    text = graph(
        head="name: birds\ngaol: fast",
        dataset="{id: dataset, kind: dataset, settings: {nam: birds}}",
        model="{id: model, kind: model, settings: {size: xl, image_size: 50}}",
        training="{id: training, kind: trainning}",
        edges=[*SOUND_EDGES[1:], "nowhere -> model"],
    )
    assert problems_of(text) == [
        "line 2: field 'gaol': unknown field; did you mean 'goal'?",
        "line 4: node 'dataset': field 'name': missing; expected text that is not empty",
        "line 4: node 'dataset': field 'nam': unknown field; did you mean 'name'?",
        "line 7: node 'model': field 'size': expected one of n, s, m, l, x, got \"xl\"; did you mean 'x'?",
        "line 7: node 'model': field 'image_size': expected a whole number from 32 to 1,280, a multiple of 32, got 50"
        "; near it 32 and 64 would do",
        "line 8: node 'training': unknown kind \"trainning\"; did you mean 'training'?",
        "edge 'nowhere -> model': there is no node 'nowhere'",
        "node 'split': no edge leads to it from a dataset node",
    ]


def test_the_message_counts_and_says_where() -> None:
    with pytest.raises(WorkflowError, match=r"^birds.yaml has a problem:\n  - line 7: node 'training'") as caught:
        loads(training("epoch: 3"), "birds.yaml")
    assert "fieldguide workflow recommend" in caught.value.hint
    with pytest.raises(WorkflowError, match=r"^the workflow has 2 problems:"):
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
    with pytest.raises(WorkflowError, match=r"missing.yaml can't be read: No such file or directory\.") as caught:
        load_workflow(tmp_path / "missing.yaml")
    assert "balanced-photos" in caught.value.hint
    with pytest.raises(WorkflowError, match="can't be read: Is a directory"):
        load_workflow(tmp_path)
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(b"\xff\xd8\xff\xe0")
    with pytest.raises(WorkflowError, match="is not text in UTF-8"):
        load_workflow(photo)


def test_a_file_is_read_with_or_without_a_byte_order_mark(tmp_path: Path) -> None:
    workflow = Workflow.linear("Vögel", DatasetSettings(name="birds"))
    for encoding in ("utf-8", "utf-8-sig"):
        (tmp_path / "wf.yaml").write_text(dumps(workflow), encoding=encoding)
        assert load_workflow(tmp_path / "wf.yaml") == workflow


SOUND_TEXT = dumps(Workflow.linear("birds", DatasetSettings(name="birds")))


@settings(max_examples=200, deadline=None)
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
