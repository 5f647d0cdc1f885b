"""What the page Workflow tells and orders before a training: prices, previews, faults with ways out, the start."""

from __future__ import annotations

import io
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app.client.workflows import Workflows
from app.components.component_key import component_key
from flows.runner_devices import hardware_path
from flows.runner_queue import Queue
from tests.app.pages import prepared, show, sound, words
from tests.processes import ROOT
from workflows.data.images import read_rgb
from workflows.data.pixels import make_square
from workflows.errors import ImageError
from workflows.recommend.estimate import default_speed
from workflows.recommend.hardware import Hardware
from workflows.store.files import write_json
from workflows.store.store import Store
from workflows.training import weight_files

pytestmark = pytest.mark.timeout(1200)
page = partial(show, "workflow")


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


def test_the_price_is_that_of_the_chosen_device(workflows: Workflows) -> None:
    advice = workflows.advice("birds")
    assert advice is not None
    gpu = Hardware("cuda", "a GPU", (0,), 8 * 10**9, 4, True, "2")
    fast = replace(advice, hardware=gpu, speed=default_speed(gpu))
    workflow = advice.workflows["fast"]
    assert workflows.on_device(fast, "auto") is fast
    assert workflows.on_device(fast, "0") is fast
    slow = workflows.on_device(fast, "cpu")
    assert slow.hardware.kind == "cpu"
    assert workflows.cost(slow, workflow).seconds > workflows.cost(fast, workflow).seconds
    assert workflows.on_device(advice, "cpu") is advice  # it is the CPU's already


def test_the_price_of_a_model_is_its_real_size(workflows: Workflows) -> None:
    advice = workflows.advice("birds")
    assert advice is not None
    small = advice.workflows["fast"].with_settings("model", size="n")
    # yolov8n-cls: 2,719,288 parameters with 1,000 classes, of which the classifier layer has 1,281,000
    assert workflows.cost(advice, small).model_bytes == 4 * (2_719_288 - 1281 * 1000 + 1281 * 4)


def test_the_page_loads_neither_torch_nor_what_would(tmp_path: Path) -> None:
    code = (
        "import sys, app.client as c, app.preview_worker, app.recommendations; x = c.Client(); x.workflows.previews, x.live, x.runs;"
        "import app.views.workflow.form;"
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


def test_training_is_ordered_as_it_was_set_up(workflows: Workflows, store: Store) -> None:
    shown = page(dataset="birds", goal="fast")
    turn = shown.session_state["workflow-draft"].turn
    sound(shown.number_input(key=f"node-{turn}-augmentation-rotate").set_value(33.0).run())
    epochs = next(str(field.key) for field in shown.number_input if str(field.key).startswith(f"train-epochs-{turn}"))
    shown.number_input(key=epochs).set_value(3).run()
    assert shown.session_state["workflow-draft"].workflow.training.epochs == 3  # what the graph shows
    shown.button_group(key="train-priority").set_value("high").run()
    before = {run.run_id for run in store.runs.list()}
    shown.button(key="train-start").click().run()
    assert "views/run/page.py" in shown.exception[0].message  # the page that it leads to is not part of this test
    run = next(run for run in store.runs.list() if run.run_id not in before)
    assert run.request["dataset"] == "birds"
    assert run.request["goal"] == "fast"
    nodes = {node["kind"]: node["settings"] for node in run.request["workflow"]["nodes"]}
    assert nodes["augmentation"]["rotate"] == 33.0
    assert nodes["training"]["epochs"] == 3
    order = Queue(store).get(run.run_id)
    assert order is not None
    assert order.priority == 10


def test_a_press_that_comes_along_with_a_change_is_not_lost(workflows: Workflows, store: Store) -> None:
    """Somebody types a number and presses the button at once: the browser sends both together."""
    shown = page(dataset="birds", goal="fast")
    turn, before = shown.session_state["workflow-draft"].turn, {run.run_id for run in store.runs.list()}
    shown.number_input(key=f"node-{turn}-augmentation-rotate").set_value(44.0)
    shown.button(key="train-start").click().run()
    [run] = [run for run in store.runs.list() if run.run_id not in before]
    nodes = {node["kind"]: node["settings"] for node in run.request["workflow"]["nodes"]}
    assert nodes["augmentation"]["rotate"] == 44.0


def test_what_would_end_the_training_is_said_before_it_with_ways_out(
    workflows: Workflows, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FIELDGUIDE_WEIGHTS", raising=False)
    monkeypatch.setattr(weight_files, "has_network", lambda: False)
    advice = workflows.advice("birds")
    assert advice is not None
    write_json(hardware_path(store), {"gpus": 0})
    needy = advice.workflows["fast"].with_settings("model", weights="auto").with_settings("training", device="9")
    key = workflows.save(needy, "needs what is not here")
    shown = page(dataset="birds", saved=key)
    assert shown.button(key="train-start").disabled
    sound(shown.button(key="way-weights-random-weights").click().run())
    assert shown.session_state["workflow-draft"].workflow.model.weights == "none"
    assert "random weights" in words(shown), "what they will be is said although nothing is wrong"
    assert shown.button(key="train-start").disabled, "there is still no such device"
    sound(shown.button(key="way-device-device-auto").click().run())
    device = next(box for box in shown.selectbox if str(box.key).startswith("train-device"))
    assert device.value == "auto" and not shown.button(key="train-start").disabled


def test_a_way_out_changes_the_form_that_is_shown_too(workflows: Workflows, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FIELDGUIDE_WEIGHTS", raising=False)
    monkeypatch.setattr(weight_files, "has_network", lambda: False)
    advice = workflows.advice("birds")
    assert advice is not None
    key = workflows.save(advice.workflows["fast"].with_settings("model", weights="auto"), "needs weights")
    shown = prepared("workflow", dataset="birds", saved=key)
    shown.session_state[component_key("graph-birds")] = {"selected": "model"}
    sound(shown.run())
    field = next(str(one.key) for one in shown.text_input if str(one.key).endswith("-model-weights"))
    assert shown.text_input(key=field).value == "auto"
    assert "no network connection" in words(shown)
    sound(shown.button(key="way-weights-random-weights").click().run())
    assert shown.text_input(key=field).value == "none"
    assert shown.session_state["workflow-draft"].workflow.model.weights == "none"
