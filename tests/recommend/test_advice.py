"""The recommender on a store: facts of a stored version, this machine, its earlier runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.recommend.builders import make_cpu
from tests.recommend.test_rules import check
from workflows.data.importing import add_dataset
from workflows.data.version import DatasetVersion
from workflows.errors import DeviceError
from workflows.graph.workflow import Workflow, load_template
from workflows.nodes.dataset import DatasetSettings
from workflows.nodes.model import ModelSettings
from workflows.recommend.advice import device_speed, measurements, recommend_for, with_estimate
from workflows.recommend.estimate import Measurement
from workflows.recommend.hardware import detect_hardware
from workflows.store.store import Store

CPU = make_cpu()
WORKFLOW = Workflow.linear("w", DatasetSettings(name="digits"), model=ModelSettings(size="s", image_size=96))


@pytest.fixture
def store(home: Path) -> Store:
    return Store()


@pytest.fixture
def digits(store: Store, tmp_path: Path) -> DatasetVersion:
    random = np.random.default_rng(0)
    for label in "012":
        (tmp_path / "digits" / label).mkdir(parents=True)
        for index in range(8):
            pixels = random.integers(0, 255, (32, 32), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "digits" / label / f"{index}.png")
    return add_dataset(store, "digits", tmp_path / "digits").version


def finished_run(store: Store, **columns: Any) -> None:
    """Record a run that finished on this machine."""
    run = store.runs.create("digits", {})
    with store.runs.alive(run.run_id):
        pass
    result = {"images_per_second": 123.0}
    values = {"state": "finished", "device": "cpu", "workflow": WORKFLOW.model_dump(mode="json"), "result": result}
    store.runs.update(run.run_id, **(values | columns))


def test_a_stored_version_gets_a_workflow(store: Store, digits: DatasetVersion) -> None:
    workflow = recommend_for(store, digits, "fast", device="cpu", epochs=2, seed=5, image_size=64, minutes=60)
    check(workflow)
    assert workflow.dataset.name == "digits"
    assert workflow.augmentation.horizontal_flip == 0, "digits are not mirrored"
    assert workflow.augmentation.saturation == 0, "grey images have no colour"
    assert (workflow.training.epochs, workflow.training.seed, workflow.model.image_size) == (2, 5, 64)
    assert workflow.estimate is not None
    assert workflow.estimate.basis.startswith("measured") or "busy" in workflow.estimate.basis


def test_earlier_runs_tell_the_speed(store: Store, digits: DatasetVersion) -> None:
    finished_run(store)
    hardware = detect_hardware("cpu")
    assert device_speed(store, hardware).certainty == "runs"
    workflow = recommend_for(store, digits, "fast", device="cpu")
    assert workflow.estimate is not None and "last run" in workflow.estimate.basis


def test_a_workflow_of_ones_own_gets_an_estimate(store: Store, digits: DatasetVersion) -> None:
    finished_run(store)
    workflow = load_template("signs-from-scratch").for_dataset("digits")
    with_cost = with_estimate(store, digits, workflow)
    assert with_cost.estimate is not None and with_cost.estimate.seconds > 0
    assert with_cost.model_copy(update={"estimate": None}) == workflow


@pytest.mark.parametrize(
    "columns",
    [
        {"state": "failed"},
        {"device": "0"},
        {"host": "another machine"},
        {"result": None},
        {"result": {"images_per_second": None}},
        {"workflow": None},
        {"workflow": {"name": "from another release", "steps": []}},
    ],
)
def test_runs_that_tell_nothing_are_left_out(store: Store, columns: dict[str, Any]) -> None:
    finished_run(store, **columns)
    assert measurements(store.runs.list(), CPU) == []


def test_measurements_are_oldest_first(store: Store) -> None:
    for speed in (1.0, 2.0, 3.0):
        finished_run(store, result={"images_per_second": speed})
    assert measurements(store.runs.list(), CPU) == [Measurement("s", 96, speed) for speed in (1.0, 2.0, 3.0)]


def test_an_absent_gpu_is_told_before_anything_else(store: Store, digits: DatasetVersion) -> None:
    with pytest.raises(DeviceError):
        recommend_for(store, digits, "fast", device="77")
