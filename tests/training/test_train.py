"""A training is recorded, repeatable, resumable bit for bit, and can be stopped."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.tiny import CLASSES, write_tiny
from workflows.backbones.yolov8 import YOLOV8
from workflows.data.importing import dataset_for_path
from workflows.errors import DeviceError, RunCancelled, RunError, StorageError, TrainingError
from workflows.nodes.augmentation import AugmentationSettings
from workflows.nodes.evaluation import EvaluationSettings
from workflows.nodes.model import ModelSettings
from workflows.nodes.training import TrainingSettings
from workflows.store.store import Store
from workflows.training import checkpoint
from workflows.training import trainer as trainer_module
from workflows.training.checkpoint import load_checkpoint, save_checkpoint
from workflows.training.job import TrainingJob
from workflows.training.train import train

EPOCHS = 4


@pytest.fixture(autouse=True)
def checkpoint_every_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Epochs here take a fraction of a second; save after each, as with real ones."""
    monkeypatch.setattr(trainer_module, "CHECKPOINT_SHARE", float("inf"))


def job(home: Path, source: Path, **training: Any) -> TrainingJob:
    store = Store(home)
    table = dataset_for_path(store, source).version.table()
    run = store.runs.create("tiny", {})
    folder = store.run_folder(run.run_id)
    table[["image_id", "sha256", "split", "label"]].to_parquet(folder.records)
    return TrainingJob(
        run_id=run.run_id,
        home=home,
        folder=folder.path,
        classes=CLASSES,
        records=folder.records,
        weights=None,
        device="cpu",
        augmentation=AugmentationSettings(crop_min=0.8, horizontal_flip=0.0),
        model=ModelSettings(image_size=32, dropout=0.2),
        training=TrainingSettings(**{"epochs": EPOCHS, "batch": 8, "learning_rate": 3e-3, **training}),
        evaluation=EvaluationSettings(),
    )


def outcome(of: TrainingJob) -> tuple[dict[str, torch.Tensor], pd.DataFrame]:
    """Return the best weights and the recorded steps (without the times that no two runs share)."""
    steps = Store(of.home).runs.steps(of.run_id)
    timed = steps["name"].isin(["seconds", "images_per_second"])
    return load_file(of.outputs.best), steps.loc[~timed, ["step", "name", "value"]].reset_index(drop=True)


def assert_equal(first: TrainingJob, second: TrainingJob) -> None:
    (weights, steps), (other_weights, other_steps) = outcome(first), outcome(second)
    assert weights.keys() == other_weights.keys()
    for name, value in weights.items():
        assert torch.equal(value, other_weights[name]), name
    pd.testing.assert_frame_equal(steps, other_steps)
    for name in ("steps", "dynamics"):
        tables, others = getattr(first.outputs, name), getattr(second.outputs, name)
        assert tables.steps() and tables.steps() == others.steps()
        for step in tables.steps():
            pd.testing.assert_frame_equal(pd.read_parquet(tables.table(step)), pd.read_parquet(others.table(step)))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, tiny_source: Path) -> TrainingJob:
    """An uninterrupted training."""
    made = job(tmp_path_factory.mktemp("whole"), tiny_source)
    train(made)
    return made


def test_what_reports_trainings_to_others_is_never_imported() -> None:
    """Ultralytics' own trainer calls every tracker and service whose package happens to be installed."""
    modules = "workflows.training.trainer, workflows.backbones.yolov8.network"
    found = subprocess.run(
        [sys.executable, "-c", f"import sys, {modules}; print(*sys.modules, sep='\\n')"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert "ultralytics.nn.tasks" in found
    assert not [
        name for name in found if name.startswith(("ultralytics.engine.trainer", "ultralytics.utils.callbacks"))
    ]


def test_each_step_is_recorded(whole: TrainingJob) -> None:
    steps = Store(whole.home).runs.steps(whole.run_id).pivot(index="step", columns="name", values="value")
    assert steps.index.tolist() == list(range(1, EPOCHS + 1))
    assert set(steps.columns) >= {
        *(f"val/{name}" for name in ("loss", "top1", "precision_macro", "recall_macro", "f1_macro")),
        *("val/average_confidence", "val/ece", "val/log_loss", "train/loss", "learning_rate", "images_per_second"),
    }
    assert steps.notna().all().all()
    photos = whole.photos()
    for step in range(1, EPOCHS + 1):
        predictions = pd.read_parquet(whole.outputs.steps.table(step))
        assert set(predictions["image_id"]) == set(photos.loc[photos["split"] == "val", "image_id"])
        right = (predictions["label"].astype(str) == predictions["predicted"].astype(str)).mean()
        assert right == pytest.approx(steps.loc[step, "val/top1"])
        dynamics = pd.read_parquet(whole.outputs.dynamics.table(step))
        assert set(dynamics["image_id"]) <= set(photos.loc[photos["split"] == "train", "image_id"])
        labels = photos.set_index("image_id")["label"].loc[dynamics["image_id"]]
        assert (labels.to_numpy() == dynamics["label"].astype(str).to_numpy()).all()


def test_batches_can_be_watched(whole: TrainingJob) -> None:
    lines = [json.loads(line) for line in whole.outputs.batches.read_text().splitlines()]
    assert {line["epoch"] for line in lines} == set(range(1, EPOCHS + 1))
    assert all(line["images_per_second"] > 0 and np.isfinite(line["loss"]) for line in lines)


def test_it_learns(whole: TrainingJob) -> None:
    steps = Store(whole.home).runs.steps(whole.run_id).pivot(index="step", columns="name", values="value")
    assert steps["train/loss"].iloc[-1] < steps["train/loss"].iloc[0]


def test_the_same_seed_gives_the_same_bits(whole: TrainingJob, tmp_path: Path, tiny_source: Path) -> None:
    again = job(tmp_path, tiny_source)
    train(again)
    assert_equal(whole, again)


def test_another_seed_gives_others(whole: TrainingJob, tmp_path: Path, tiny_source: Path) -> None:
    other = job(tmp_path, tiny_source, seed=1)
    train(other)
    weights, other_weights = outcome(whole)[0], outcome(other)[0]
    assert not torch.equal(weights["model.0.conv.weight"], other_weights["model.0.conv.weight"])


@pytest.mark.parametrize("batches", [1, 14, 25, 39])
def test_a_cancelled_training_goes_on_to_the_same_bits(
    whole: TrainingJob, tmp_path: Path, tiny_source: Path, batches: int
) -> None:
    cut = job(tmp_path, tiny_source)
    left = iter([False] * batches)
    with pytest.raises(RunCancelled):
        train(cut, cancelled=lambda: next(left, True))
    train(cut)
    assert_equal(whole, cut)


def test_a_finished_training_is_not_done_again(tmp_path: Path, tiny_source: Path) -> None:
    made = job(tmp_path, tiny_source, epochs=1)
    first, _ = train(made)
    changed = made.outputs.checkpoint.stat().st_mtime_ns
    second, _ = train(made)
    assert made.outputs.checkpoint.stat().st_mtime_ns == changed
    assert first.best_step == second.best_step


def test_it_stops_early_and_says_so(tmp_path: Path, tiny_source: Path) -> None:
    result, _ = train(job(tmp_path, tiny_source, epochs=30, patience=2, learning_rate=1e-9))
    assert result.epochs < 30
    assert result.epochs == result.best_step + 2


def test_it_evaluates_every_other_epoch_and_the_last(tmp_path: Path, tiny_source: Path) -> None:
    made = job(tmp_path, tiny_source, epochs=5, evaluate_every=2)
    train(made)
    assert Store(made.home).runs.steps(made.run_id)["step"].unique().tolist() == [2, 4, 5]


def test_a_loss_that_is_no_number_ends_in_words(tmp_path: Path, tiny_source: Path) -> None:
    broken = {name: value.contiguous() for name, value in YOLOV8.build("n", 3, 32).state_dict().items()}
    broken["model.0.conv.weight"][0] = float("nan")
    save_file(broken, tmp_path / "broken.safetensors")
    made = job(tmp_path / "home", tiny_source).model_copy(update={"weights": tmp_path / "broken.safetensors"})
    with pytest.raises(TrainingError, match="not a number"):
        train(made)


def test_learning_rate_and_momentum_asked_for_are_used(tmp_path: Path, tiny_source: Path) -> None:
    made = job(
        tmp_path, tiny_source, epochs=1, optimizer="SGD", momentum=0.5, head_learning_rate=4.0, learning_rate=1e-2
    )
    train(made)
    state = load_checkpoint(made.outputs.checkpoint, made.run_id)
    assert state is not None
    groups = state["optimizer"]["param_groups"]
    assert {group["momentum"] for group in groups} == {0.5}
    assert sorted({group["initial_lr"] for group in groups}) == pytest.approx([1e-2, 4e-2])


def test_a_gpu_that_is_not_there_is_said(tmp_path: Path, tiny_source: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    made = job(tmp_path, tiny_source)
    with pytest.raises(DeviceError, match="GPU 3"):
        train(made.model_copy(update={"device": "3"}))


def test_too_little_room_for_checkpoints_is_said_before_training(
    tmp_path: Path, tiny_source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = job(tmp_path, tiny_source)
    monkeypatch.setattr(checkpoint, "free_bytes", lambda _path: 1_000_000)
    with pytest.raises(StorageError, match="1 MB"):
        train(made)
    assert not made.outputs.checkpoint.exists()


def test_checkpoints_of_other_runs_and_damaged_ones_are_refused(tmp_path: Path) -> None:
    assert load_checkpoint(tmp_path / "none.pt", "a") is None
    save_checkpoint(tmp_path / "a.pt", {"run_id": "a"})
    with pytest.raises(RunError, match=r"belong to run b\b"):
        load_checkpoint(tmp_path / "a.pt", "b")
    (tmp_path / "a.pt").write_bytes((tmp_path / "a.pt").read_bytes()[:-40])
    with pytest.raises(RunError, match="damaged"):
        load_checkpoint(tmp_path / "a.pt", "a")


def test_nothing_planted_in_the_source_is_read(tmp_path: Path) -> None:
    source = write_tiny(tmp_path / "planted", per_class=12)
    (source / "0" / "0.npy").write_bytes(b"\x93NUMPY planted")
    (source / "train.cache").write_bytes(b"planted")
    before = {path: path.read_bytes() for path in source.rglob("*") if path.is_file()}
    train(job(tmp_path / "home", source, epochs=1))
    assert {path: path.read_bytes() for path in source.rglob("*") if path.is_file()} == before
