from __future__ import annotations

import io
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError

import app.client as clients
from app.client.workflow_form import RULE, change, fits_widget, form_fields, from_widget, judge, to_widget
from app.client.workflows import Workflows
from flows.runner_queue import Queue
from tests.app.pages import opened, show, sound, words
from tests.benchmarks.studio_records import Size, generate
from tests.processes import ROOT
from workflows.data.images import read_rgb
from workflows.data.pixels import make_square
from workflows.errors import ImageError, RunError, UsageError, WorkflowError
from workflows.graph.fields import describe_fields, limits
from workflows.graph.settings import NODE_KINDS
from workflows.graph.workflow import list_templates, load_template
from workflows.store.store import Store

page = partial(show, "workflow")
SIZE = Size(classes=4, images=120, steps=2, full_runs=1, other_runs=2, pictures=6)
ADVICE_SECONDS = 240.0


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder with a data set, a finished run, and what is recommended for it."""
    folder = tmp_path_factory.mktemp("workflows") / "home"
    generate(Store(folder), SIZE)
    return folder


@pytest.fixture
def store(written: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    with opened(written, monkeypatch) as store:
        yield store


@pytest.fixture
def workflows(store: Store) -> Iterator[Workflows]:
    """The client's part for workflows, with a recommendation for `birds` found out."""
    part = clients.client().workflows
    if part.advice("birds") is None:
        job, end = part.ask("birds"), time.monotonic() + ADVICE_SECONDS
        assert part.ask("birds") is job  # two pages, one piece of work
        while job.running:
            assert time.monotonic() < end, job
            time.sleep(0.1)
        assert job.error is None, job.error
    yield part
    part.previews.close()


# ------------------------------------------------------------------ form and schema


def values_of(kind: str, name: str) -> st.SearchStrategy[Any]:
    """Any value that the schema allows for a field."""
    info = NODE_KINDS[kind].model_fields[name]
    field, rules = {one.field: one for one in describe_fields(kind)}[name], limits(info)
    bare, _, optional = field.type.partition(" or ")
    found: st.SearchStrategy[Any]
    if bare == "whole number":
        factor = rules.get("multiple_of", 1)
        found = st.integers(-(-rules.get("ge", 0) // factor), rules.get("le", 2**60) // factor).map(
            lambda n: n * factor
        )
    elif bare == "number":
        low, high = rules.get("ge", rules.get("gt", 0.0)), rules.get("le", rules.get("lt", 1.0))
        found = st.floats(low, high, exclude_min="gt" in rules, exclude_max="lt" in rules)
    elif bare == "choice":
        found = st.sampled_from(get_args(info.annotation))
    elif bare == "list":
        found = st.lists(st.sampled_from(field.range.split(", ")), unique=True, min_size=1).map(tuple)
    else:
        found = st.from_regex(rules["pattern"], fullmatch=True) if "pattern" in rules else st.text(min_size=1)
    return st.none() | found if optional else found


@pytest.mark.parametrize("kind", NODE_KINDS)
@given(data=st.data())
def test_settings_come_back_from_their_form_as_they_went_in(kind: str, data: st.DataObject) -> None:
    drawn = {field.name: data.draw(values_of(kind, field.name)) for field in form_fields(kind)}
    if kind == "split":
        drawn |= {"train": 1.0 - drawn["val"] - drawn["test"]}
    try:
        settings = NODE_KINDS[kind].model_validate(drawn)
    except ValidationError:
        assume(False)
    shown = {field.name: to_widget(field, getattr(settings, field.name)) for field in form_fields(kind)}
    read = {field.name: from_widget(field, shown[field.name]) for field in form_fields(kind)}
    assert judge(kind, read) == (settings, {})


def test_every_field_has_a_widget_and_words() -> None:
    for kind in NODE_KINDS:
        for field in form_fields(kind):
            assert field.help.strip(), (kind, field.name)
            assert bool(field.choices) == (field.kind in ("choice", "list"))
            assert field.step > 0


def test_what_is_wrong_is_said_at_the_field() -> None:
    workflow = load_template("fast-photos")
    same, problems = change(workflow, "model", {"image_size": 100, "dropout": 2.0, "size": "n"})
    assert same is workflow
    assert set(problems) == {"image_size", "dropout"}
    assert "near it 96 and 128 would do" in problems["image_size"]
    _, problems = change(workflow, "split", {"source": "new", "train": 0.5, "val": 0.1, "test": 0.1})
    assert "must be 1" in problems[RULE]
    assert change(workflow, "model", {"image_size": workflow.model.image_size})[0] is workflow
    other, problems = change(workflow, "model", {"image_size": 96})
    assert (other.model.image_size, problems) == (96, {})


def test_a_number_that_a_browser_would_round_is_left_alone() -> None:
    seed = next(field for field in form_fields("training") if field.name == "seed")
    assert fits_widget(seed, 2**53 - 1)
    assert not fits_widget(seed, 2**53)


# -------------------------------------------------------------------- kept workflows


def test_workflows_are_kept_under_their_names(store: Store) -> None:
    part, workflow = clients.client().workflows, load_template("few-photos")
    key = part.save(workflow, "  Größe / ../x\t'1' ")
    assert [(saved.key, saved.name) for saved in part.saved()] == [(key, "Größe / ../x '1'")]
    assert (part.folder / f"{key}.yaml").is_file()
    assert part.open(key).model == workflow.model
    assert part.save(workflow, "größe x 1") != key  # the same file name, but another name
    assert part.save(load_template("fast-photos"), "Größe / ../x '1'") == key  # in its place
    assert part.open(key).model == load_template("fast-photos").model
    copy = part.duplicate(key)
    again = part.duplicate(key)
    assert [part.open(one).name[-8:] for one in (copy, again)] == ["1' (copy)"[-8:], "(copy 2)"]
    long = part.save(workflow, "name: " + "x" * 300)
    assert next(saved.name for saved in part.saved() if saved.key == long) == "name: " + "x" * 300
    for saved in part.saved():
        part.delete(saved.key)
    assert part.saved() == []
    with pytest.raises(UsageError):
        part.save(workflow, " \n ")


def test_a_kept_workflow_hides_no_ready_made_one(store: Store) -> None:
    part = clients.client().workflows
    key = part.save(load_template("few-photos"), "fast photos")
    assert key not in list_templates()
    assert part.open("fast-photos") == load_template("fast-photos")
    part.delete(key)


@pytest.mark.parametrize("key", ["../fieldguide", "a/b", "", ".", "A", "x.yaml"])
def test_no_name_leads_out_of_the_folder(store: Store, key: str) -> None:
    with pytest.raises(WorkflowError):
        clients.client().workflows.open(key)
    with pytest.raises(WorkflowError):
        clients.client().workflows.delete(key)


def test_an_upload_is_read_or_refused_in_words(store: Store) -> None:
    part, workflow = clients.client().workflows, load_template("surface-defects")
    assert part.from_yaml(part.as_yaml(workflow), "up.yaml") == workflow
    with pytest.raises(WorkflowError, match="not text in UTF-8"):
        part.from_yaml(b"\xff\xfe\x00", "up.yaml")
    with pytest.raises(WorkflowError, match="image_size"):
        part.from_yaml(part.as_yaml(workflow).replace(b"image_size: 320", b"image_size: 321"), "up.yaml")
    with pytest.raises(WorkflowError, match="larger"):
        part.from_yaml(b"#" * 2_000_000, "up.yaml")


def test_a_run_lends_its_workflow(store: Store) -> None:
    finished = next(run for run in store.runs.list() if run.dataset == "birds")
    assert clients.client().workflows.of_run(finished.run_id).dataset.name
    waiting = store.runs.create("birds", {"dataset": "birds"})
    with pytest.raises(RunError, match="has no workflow"):
        clients.client().workflows.of_run(waiting.run_id)
    store.runs.update(waiting.run_id, state="cancelled")


# -------------------------------------------------------------- recommended and priced


def test_each_goal_has_its_price(workflows: Workflows) -> None:
    advice = workflows.advice("birds")
    assert advice is not None
    assert set(advice.workflows) == {"fast", "balanced", "accurate"}
    costs = {goal: workflows.cost(advice, workflow) for goal, workflow in advice.workflows.items()}
    assert costs["fast"].seconds < costs["accurate"].seconds
    for goal, workflow in advice.workflows.items():
        assert workflow.goal == goal
        assert workflow.estimate is not None
        # the recommender looked at the pixels too, the price needs only the counts: they agree
        assert costs[goal].seconds == pytest.approx(workflow.estimate.seconds, rel=0.01)
        assert costs[goal].memory_bytes == workflow.estimate.memory_bytes
    longer = advice.workflows["fast"].with_settings("training", epochs=500)
    assert workflows.cost(advice, longer).seconds > 5 * costs["fast"].seconds


def test_the_price_of_a_model_is_its_real_size(workflows: Workflows) -> None:
    advice = workflows.advice("birds")
    assert advice is not None
    small = advice.workflows["fast"].with_settings("model", size="n")
    # yolov8n-cls: 2,719,288 parameters with 1,000 classes, of which the classifier layer has 1,281,000
    assert workflows.cost(advice, small).model_bytes == 4 * (2_719_288 - 1281 * 1000 + 1281 * 4)


def test_the_page_loads_neither_torch_nor_what_would(tmp_path: Path) -> None:
    code = (
        "import sys, app.client as c, app.augmenting, app.advising; x = c.Client(); x.workflows.previews, x.live, x.runs;"
        "import app.components.workflow_form;"
        "assert not {'torch', 'albumentations', 'ultralytics'} & set(sys.modules), 'loaded'"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={"FIELDGUIDE_HOME": str(tmp_path), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


# --------------------------------------------------------------------------- previews


def pixels(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def test_a_preview_shows_what_training_and_validation_see(workflows: Workflows, store: Store) -> None:
    advice = workflows.advice("birds")
    assert advice is not None
    workflow = advice.workflows["fast"].with_settings("model", image_size=64)
    sha256, label = workflows.training_photos("birds")[0]
    assert label.startswith("SPECIES")
    made = workflows.previews.ask(workflow, sha256, seed=1, count=5).result()
    expected = make_square(read_rgb(store.blobs.path(sha256)), 64, workflow.model.square)
    assert np.array_equal(pixels(made.validation), expected)
    assert [pixels(one).shape for one in made.training] == [(64, 64, 3)] * 5
    assert len(set(made.training)) == 5
    assert workflows.previews.ask(workflow, sha256, seed=1, count=5).result() is made

    # the process that makes them dies: the next question starts another, which answers the same
    process = workflows.previews._process
    assert process is not None
    process.kill()
    process.wait()
    off = dict.fromkeys(("brightness", "contrast", "saturation", "hue", "horizontal_flip", "erase"), 0.0)
    still = workflow.with_settings("augmentation", crop_min=1.0, crop_aspect=1.0, rotate=0.0, zoom=0.0, **off)
    calm = workflows.previews.ask(still, sha256, seed=1, count=3).result()
    assert len(set(calm.training)) == 1

    broken = store.blobs.put(b"no picture")
    failed = workflows.previews.ask(workflow, broken, seed=1)
    with pytest.raises(ImageError):
        failed.result()
    workflows.previews.forget(failed)
    assert workflows.previews.ask(workflow, broken, seed=1) is not failed


# --------------------------------------------------------------------------- the page


def test_goals_stand_beside_each_other_and_one_is_chosen(workflows: Workflows) -> None:
    shown = page(dataset="birds", goal="fast")
    assert all(goal in words(shown) for goal in ("Small and fast", "Balanced", "Most accurate"))
    assert shown.button(key="goal-fast").disabled
    assert "birds-fast" in words(shown)
    sound(shown.button(key="goal-accurate").click().run())
    assert shown.query_params["goal"] == "accurate"
    assert shown.button(key="goal-accurate").disabled


def test_a_change_reaches_the_workflow_and_a_mistake_does_not(workflows: Workflows) -> None:
    shown = page(dataset="birds", goal="fast")
    turn = shown.session_state["workflow-draft"].turn
    key = f"node-{turn}-augmentation-rotate"
    sound(shown.number_input(key=key).set_value(25.0).run())
    assert shown.session_state["workflow-draft"].workflow.augmentation.rotate == 25.0
    assert "changed by you" in words(shown)
    sound(shown.number_input(key=key).set_value(999.0).run())
    assert shown.session_state["workflow-draft"].workflow.augmentation.rotate == 25.0
    assert "expected a number from 0 to 180, got 999" in words(shown)
    sound(shown.button(key="workflow-reset").click().run())
    assert not shown.session_state["workflow-draft"].changed


def test_a_workflow_is_saved_and_opened_by_its_address(workflows: Workflows) -> None:
    shown = page(dataset="birds", goal="fast")
    name = next(str(field.key) for field in shown.text_input if str(field.key).startswith("workflow-name-"))
    shown.text_input(key=name).set_value("my **birds**").run()
    sound(shown.button(key="workflow-save").click().run())
    key = str(shown.query_params["saved"])
    assert workflows.open(key).name == "my **birds**"
    again = page(dataset="birds", saved=key)
    assert "**my **birds**** :gray[saved]" in words(again)
    assert r"**my \*\*birds\*\***" in "\n".join(part.value for part in again.markdown)
    workflows.delete(key)
    assert "There is no saved workflow" in words(page(dataset="birds", saved=key))


def test_training_is_ordered_as_it_was_set_up(workflows: Workflows, store: Store) -> None:
    shown = page(dataset="birds", goal="fast")
    turn = shown.session_state["workflow-draft"].turn
    sound(shown.number_input(key=f"node-{turn}-augmentation-rotate").set_value(33.0).run())
    epochs = next(str(field.key) for field in shown.number_input if str(field.key).startswith(f"train-epochs-{turn}"))
    shown.number_input(key=epochs).set_value(3).run()
    shown.button_group(key="train-priority").set_value("high").run()
    before = {run.run_id for run in store.runs.list()}
    shown.button(key="train-start").click().run()
    assert "views/run.py" in shown.exception[0].message  # the page that it leads to is not part of this test
    run = next(run for run in store.runs.list() if run.run_id not in before)
    assert run.request["dataset"] == "birds"
    assert run.request["goal"] == "fast"
    nodes = {node["kind"]: node["settings"] for node in run.request["workflow"]["nodes"]}
    assert nodes["augmentation"]["rotate"] == 33.0
    assert nodes["training"]["epochs"] == 3
    order = Queue(store).get(run.run_id)
    assert order is not None
    assert order.priority == 10
    clients.client().studio.cancel(run.run_id)


def test_a_press_that_comes_along_with_a_change_is_not_lost(workflows: Workflows, store: Store) -> None:
    """Somebody types a number and presses the button at once: the browser sends both together."""
    shown = page(dataset="birds", goal="fast")
    turn, before = shown.session_state["workflow-draft"].turn, {run.run_id for run in store.runs.list()}
    shown.number_input(key=f"node-{turn}-augmentation-rotate").set_value(44.0)
    shown.button(key="train-start").click().run()
    [run] = [run for run in store.runs.list() if run.run_id not in before]
    nodes = {node["kind"]: node["settings"] for node in run.request["workflow"]["nodes"]}
    assert nodes["augmentation"]["rotate"] == 44.0
    clients.client().studio.cancel(run.run_id)
