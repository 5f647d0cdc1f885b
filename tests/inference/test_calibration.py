"""A run's confidences are calibrated once, and everything that shows one shows the same.

The run stands for another thing that people bring, too: its test folder has no photos of one class.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.special import softmax
from sklearn.metrics import f1_score, precision_score, recall_score

from tests.tiny import CLASSES, TrainedRun, train_tiny, write_tiny
from workflows.evaluation.predictions import read_predictions, temperature_of
from workflows.evaluation.steps import absent_of
from workflows.explanation.explain import explain_images
from workflows.inference.evaluate import evaluate_run
from workflows.inference.model import load_card, load_model
from workflows.inference.predictor import Predictor
from workflows.pipeline import run_pipeline
from workflows.registry.models import export_model, register
from workflows.store.files import read_json
from workflows.targets.calibration import Calibration, expected_calibration_error
from workflows.targets.single_label.tables import probability_matrix
from workflows.targets.single_label.temperature import fit_temperature
from workflows.training.network import logits_of

ABSENT = "4"
FOLDERS = {"train": range(50), "val": range(50, 64), "test": range(64, 76)}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> TrainedRun:
    """A run whose data set comes divided, without test photos of one class. Nobody may change it."""
    place = tmp_path_factory.mktemp("divided")
    every = write_tiny(place / "every", per_class=76)
    for split, numbers in FOLDERS.items():
        for name in CLASSES:
            if (split, name) != ("test", ABSENT):
                folder = place / "divided" / split / name
                folder.mkdir(parents=True)
                for number in numbers:
                    shutil.copy(every / name / f"{number}.png", folder / f"{number}.png")
    return train_tiny(place / "home", place / "divided", epochs=3, allow=("absent-class", "leak-near", "leak-exact"))


@pytest.fixture(scope="module")
def predictions(run: TrainedRun) -> pd.DataFrame:
    return read_predictions(Path(run.result["artifacts"]["predictions"]))[0]


def calibration_of(run: TrainedRun) -> Calibration:
    return load_card(run.folder.model).calibration


def raw_logits(run: TrainedRun, paths: list[str]) -> np.ndarray:
    """What the network answers by itself, read and computed apart from the predictor's own way."""
    from workflows.data.images import read_rgb

    model, card = load_model(run.folder.model, torch.device("cpu"))
    squares = np.stack([card.transform(read_rgb(run.source / path)) for path in paths])
    return logits_of(model, squares, torch.device("cpu")).numpy()


def test_a_temperature_is_fitted_and_kept_in_the_card(run: TrainedRun, predictions: pd.DataFrame) -> None:
    found, val = calibration_of(run), predictions[predictions["split"] == "val"]
    assert found.fitted and found.images == len(val) == 42
    assert run.result["calibration"] == found.model_dump(mode="json")
    labels = val["label"].map({name: place for place, name in enumerate(CLASSES)})
    again = fit_temperature(raw_logits(run, val["path"].tolist()), labels)
    assert again.temperature == pytest.approx(found.temperature, rel=1e-4)
    metrics = run.result["metrics"]["val"]
    assert metrics["ece"] == pytest.approx(found.ece_after, abs=1e-4)
    assert metrics["uncalibrated"]["ece"] == pytest.approx(found.ece_before, abs=1e-4)
    assert metrics["log_loss"] < metrics["uncalibrated"]["log_loss"]


def test_the_stored_probabilities_are_the_softmax_at_that_temperature(
    run: TrainedRun, predictions: pd.DataFrame
) -> None:
    temperature = calibration_of(run).temperature
    assert temperature_of(Path(run.result["artifacts"]["predictions"])) == temperature
    logits = raw_logits(run, predictions["path"].tolist())
    stored = probability_matrix(predictions)
    assert stored == pytest.approx(softmax(logits / temperature, axis=1), abs=1e-4)
    assert (stored.argmax(axis=1) == logits.argmax(axis=1)).all()
    assert np.abs(stored - softmax(logits, axis=1)).max() > 1e-3, "a temperature that changes nothing proves nothing"


def test_predict_evaluate_and_explain_show_the_stored_confidences(
    run: TrainedRun, predictions: pd.DataFrame, tmp_path: Path
) -> None:
    part = predictions[predictions["split"] == "test"].head(6)
    paths = [run.source / path for path in part["path"]]
    expected = pytest.approx(part["confidence"].tolist(), abs=1e-4)
    answers = Predictor.load(run.store, run.run_id, "cpu").predict(paths)
    assert [answer["confidence"] for answer in answers] == expected
    explained = explain_images(run.store, run.run_id, paths, ["eigen-cam"], tmp_path / "maps", "cpu")
    assert [answer["confidence"] for answer in explained] == expected
    again = evaluate_run(run.store, run.run_id, "test", out=tmp_path / "again", device="cpu")["metrics"]
    kept = run.result["metrics"]["test"]
    assert again["ece"] == pytest.approx(kept["ece"], abs=1e-4)
    assert again["uncalibrated"]["ece"] == pytest.approx(kept["uncalibrated"]["ece"], abs=1e-4)
    assert temperature_of(tmp_path / "again" / "predictions.parquet") == calibration_of(run).temperature


def test_steps_keep_the_networks_own_confidences(run: TrainedRun, predictions: pd.DataFrame) -> None:
    step = pd.read_parquet(run.folder.training.steps.table(run.result["training"]["best_step"]))
    val = predictions[predictions["split"] == "val"].set_index("image_id").loc[step["image_id"]]
    error = expected_calibration_error(step["confidence"], step["label"].astype(str) == step["predicted"].astype(str))
    assert error == pytest.approx(run.result["metrics"]["val"]["uncalibrated"]["ece"], abs=1e-3)
    assert (step["predicted"].astype(str).to_numpy() == val["predicted"].to_numpy()).all()


def test_whoever_gets_the_exported_model_is_told_the_temperature(run: TrainedRun, tmp_path: Path) -> None:
    copy = run.copied(tmp_path / "home")
    register(copy.store, "digits", copy.run_id)
    export_model(copy.store, "digits", tmp_path / "out")
    card = json.loads((tmp_path / "out" / "model.json").read_text())
    assert card["calibration"]["temperature"] == calibration_of(run).temperature
    assert f"softmax(logits / {calibration_of(run).temperature!r})" in (tmp_path / "out" / "README.txt").read_text()


def test_a_card_from_before_answers_as_it_did(run: TrainedRun, predictions: pd.DataFrame, tmp_path: Path) -> None:
    copy = run.copied(tmp_path / "home")
    card = copy.folder.model.card
    old = {name: value for name, value in read_json(card).items() if name != "calibration"}
    card.write_text(json.dumps(old))
    part = predictions[predictions["split"] == "test"]
    paths = [copy.source / path for path in part["path"]]
    answers = Predictor.load(copy.store, copy.run_id, "cpu").predict(paths, top=len(CLASSES))
    found = [[dict_of(answer)[name] for name in CLASSES] for answer in answers]
    assert np.array(found) == pytest.approx(softmax(raw_logits(run, part["path"].tolist()), axis=1), abs=1e-4)


def dict_of(answer: dict[str, Any]) -> dict[str, float]:
    return {one["label"]: one["confidence"] for one in answer["top"]}


def test_a_run_cut_off_behind_its_training_ends_with_the_same_card(run: TrainedRun, tmp_path: Path) -> None:
    copy = run.copied(tmp_path / "home")
    card, stored = copy.folder.model.card, copy.folder.evaluation.predictions
    before, chances = card.read_bytes(), probability_matrix(read_predictions(stored)[0])
    for stage in ("training", "evaluation", "explanation", "report"):
        copy.folder.answer(stage).unlink()
    shutil.rmtree(copy.folder.model.path)
    copy.store.runs.update(copy.run_id, state="interrupted", result=None)
    run_pipeline(copy.store, copy.run_id)
    assert card.read_bytes() == before
    assert (probability_matrix(read_predictions(stored)[0]) == chances).all()


def test_a_class_without_test_photos_lowers_no_mean(run: TrainedRun, predictions: pd.DataFrame) -> None:
    metrics, part = run.result["metrics"], predictions[predictions["split"] == "test"]
    assert metrics["test"]["absent"] == [ABSENT]
    assert metrics["val"]["absent"] == []
    over = {"labels": sorted(set(part["label"])), "average": "macro", "zero_division": 0}
    for name, oracle in (("precision", precision_score), ("recall", recall_score), ("f1", f1_score)):
        assert metrics["test"][f"{name}_macro"] == pytest.approx(oracle(part["label"], part["predicted"], **over))
    table = pd.read_csv(run.folder.evaluation.table("per_class", "test"), dtype={"class": str}).set_index("class")
    assert table.loc[ABSENT, ["recall", "f1", "recall_low", "recall_high", "average_confidence"]].isna().all()
    assert table.drop(ABSENT)["recall"].notna().all()
    assert absent_of(run.folder, "test") == (ABSENT,)
    assert absent_of(run.folder, "val") == ()


def test_the_report_says_which_class_the_means_are_without(run: TrainedRun) -> None:
    text = run.folder.report.read_text()
    assert text.count(f"without {ABSENT}") == 3, "F1, precision and recall"
    assert "… uncalibrated" in text
