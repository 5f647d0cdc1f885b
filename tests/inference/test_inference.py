"""Prediction and evaluation agree with each other, with scikit-learn and with Ultralytics."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
from sklearn import metrics as oracle

from tests.tiny import CLASSES, TrainedRun, train_tiny, write_tiny
from workflows.data.importing import add_dataset
from workflows.errors import DatasetError, RunError
from workflows.evaluation.predictions import read_predictions
from workflows.inference.evaluate import evaluate_run
from workflows.inference.model import load_card, load_model
from workflows.inference.predictor import Predictor
from workflows.store.run_folder import ModelFolder
from workflows.targets.single_label.tables import probability_matrix

KEYS = {"top1", "precision_macro", "recall_macro", "f1_macro", "average_confidence", "ece", "log_loss"}


@pytest.fixture(scope="module")
def predictions(trained: TrainedRun) -> pd.DataFrame:
    return read_predictions(Path(trained.result["artifacts"]["predictions"]))[0]


@pytest.fixture(scope="module")
def predictor(trained: TrainedRun) -> Predictor:
    return Predictor.load(trained.store, trained.run_id)


def test_the_result_says_all_that_is_promised(trained: TrainedRun) -> None:
    result = trained.result
    for split in ("val", "test"):
        found = result["metrics"][split]
        assert KEYS | {"top1_ci95", "support"} <= found.keys()
        assert all(0 <= found[key] <= 1 for key in KEYS - {"log_loss"})
        assert found["top1_ci95"][0] <= found["top1"] <= found["top1_ci95"][1]
    assert result["dataset"]["classes"] == list(CLASSES)
    assert all(Path(path).is_file() for path in result["artifacts"].values())
    assert json.loads(trained.folder.result.read_text()) == json.loads(json.dumps(result))
    assert result["estimate"]["actual_seconds"] > 0


@pytest.mark.parametrize("split", ["val", "test"])
def test_metrics_equal_scikit_learns_on_the_stored_predictions(
    trained: TrainedRun, predictions: pd.DataFrame, split: str
) -> None:
    part = predictions[predictions["split"] == split]
    label, predicted = part["label"], part["predicted"]
    expected = {
        "top1": oracle.accuracy_score(label, predicted),
        "precision_macro": oracle.precision_score(label, predicted, average="macro", zero_division=0),
        "recall_macro": oracle.recall_score(label, predicted, average="macro", zero_division=0),
        "f1_macro": oracle.f1_score(label, predicted, average="macro", zero_division=0),
        "log_loss": oracle.log_loss(label, probability_matrix(part), labels=list(CLASSES)),
        "average_confidence": part["confidence"].mean(),
        "support": len(part),
    }
    for name, value in expected.items():
        assert trained.result["metrics"][split][name] == pytest.approx(value, abs=1e-6), name


def test_predicting_a_photo_gives_its_stored_probabilities(
    trained: TrainedRun, predictor: Predictor, predictions: pd.DataFrame
) -> None:
    part = predictions[predictions["split"] == "test"]
    found = predictor.predict([trained.source / path for path in part["path"]], top=len(CLASSES))
    for record, row in zip(found, part.itertuples(), strict=True):
        stored = dict(zip(CLASSES, row.probabilities, strict=True))
        assert record["label"] == row.predicted
        for entry in record["top"]:
            assert entry["confidence"] == pytest.approx(stored[entry["label"]], abs=1e-4)


def test_evaluating_again_gives_the_same_metrics(trained: TrainedRun, tmp_path: Path) -> None:
    again = evaluate_run(trained.store, trained.run_id, "test", out=tmp_path / "again")
    for name, value in trained.result["metrics"]["test"].items():
        assert again["metrics"][name] == pytest.approx(value, abs=1e-6), name


def test_evaluating_on_another_data_set(trained: TrainedRun, tmp_path: Path) -> None:
    write_tiny(tmp_path / "other", classes=CLASSES[:2], per_class=9)
    store = trained.copied(tmp_path / "home").store
    add_dataset(store, "other", tmp_path / "other")
    found = evaluate_run(store, trained.run_id, "all", data="other", out=tmp_path / "out")
    assert found["metrics"]["support"] == 18
    assert found["dataset"]["name"] == "other"


def test_classes_that_the_model_does_not_know_are_named(trained: TrainedRun, tmp_path: Path) -> None:
    write_tiny(tmp_path / "strange", classes=("0", "7"), per_class=9)
    store = trained.copied(tmp_path / "home").store
    add_dataset(store, "strange", tmp_path / "strange")
    with pytest.raises(DatasetError, match="classes") as caught:
        evaluate_run(store, trained.run_id, "all", data="strange")
    assert caught.value.problems == ["7"]


def test_what_cannot_be_read_is_said_and_the_rest_predicted(
    trained: TrainedRun, predictor: Predictor, tmp_path: Path
) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"no image")
    good = trained.source / "0" / "0.png"
    found = predictor.predict([tmp_path / "bad.jpg", good, tmp_path / "absent.jpg"])
    assert [set(record) for record in found] == [
        {"path", "error"},
        {"path", "label", "confidence", "top"},
        {"path", "error"},
    ]


def test_all_odd_real_files_are_predicted_upright(predictor: Predictor, shared: Path) -> None:
    paths = sorted(path for path in (shared / "data" / "odd").iterdir() if path.is_file())
    assert len(paths) == 8
    assert all("label" in record for record in predictor.predict(paths))


def test_changed_weights_are_refused(trained: TrainedRun, tmp_path: Path) -> None:
    shutil.copytree(trained.folder.model.path, tmp_path / "model")
    weights = tmp_path / "model" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(RunError, match="have changed"):
        load_model(ModelFolder(tmp_path / "model"), torch.device("cpu"))


def test_a_run_without_a_model_is_said(trained: TrainedRun, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"^Run run "):
        load_card(ModelFolder(tmp_path / "run" / "model"))


_YOLO_VAL = """
import json, sys, torch, workflows
from pathlib import Path
from ultralytics import YOLO
from ultralytics.nn.tasks import ClassificationModel
from safetensors.torch import load_file
model = ClassificationModel("yolov8n-cls.yaml", nc=3, verbose=False)
model.load_state_dict(load_file(sys.argv[1]))
model.names = dict(enumerate(json.loads(sys.argv[4])))
torch.save({"model": model, "train_args": {"imgsz": 32, "task": "classify"}, "epoch": -1}, "judge.pt")
found = YOLO("judge.pt", task="classify").val(
    data=sys.argv[2], split="test", imgsz=int(sys.argv[3]), plots=False, verbose=False, device="cpu", project="val")
print("TOP1", found.top1)
"""


def test_top1_equals_yolo_val_on_the_same_checkpoint_and_photos(
    trained: TrainedRun, predictions: pd.DataFrame, tmp_path: Path
) -> None:
    """With the way to a square set to Ultralytics' own (`crop`), both judge alike."""
    assert load_card(trained.folder.model).square == "crop"
    for row in predictions.itertuples():
        target = tmp_path / "tree" / str(row.split) / str(row.label) / Path(row.path).name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(trained.source / str(row.path), target)
    shutil.copytree(tmp_path / "tree" / "val", tmp_path / "tree" / "train")
    weights = trained.result["artifacts"]["model"]
    command = [sys.executable, "-c", _YOLO_VAL, weights, str(tmp_path / "tree"), "32", json.dumps(CLASSES)]
    environment = {
        **os.environ,
        "FIELDGUIDE_HOME": str(tmp_path / "home"),
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    theirs = float(done.stdout.split("TOP1")[1])
    assert theirs == pytest.approx(trained.result["metrics"]["test"]["top1"], abs=1e-6)


def test_a_second_run_takes_over_the_decoded_photos(trained: TrainedRun, tiny_source: Path, tmp_path: Path) -> None:
    store = trained.copied(tmp_path / "home").store
    cache = store.cache_folder / "pixels"
    before = {path: path.stat().st_mtime_ns for path in cache.iterdir()}
    second = train_tiny(store.home, tiny_source, epochs=1, seed=5)
    assert second.result["dataset"]["version"] == trained.result["dataset"]["version"]
    assert {path: path.stat().st_mtime_ns for path in cache.iterdir()} == before
