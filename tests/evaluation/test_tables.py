"""The files of an evaluation."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.evaluation.cases import predictions
from workflows.evaluation.predictions import read_predictions
from workflows.evaluation.tables import evaluate_predictions
from workflows.targets.single_label.tables import MOST_WRONG_COLUMNS, metrics_of, most_wrong, predictions_table

FILES = ("per_class", "confusion", "confused_pairs", "most_wrong", "reliability")


def test_all_files_are_written_and_agree(tmp_path: Path) -> None:
    frame, classes = predictions(300, 7)
    metrics = evaluate_predictions(tmp_path / "evaluation", frame, classes)
    folder = tmp_path / "evaluation"
    expected = {f"{name}_{split}.csv" for name in FILES for split in ("val", "test")}
    assert {path.name for path in folder.iterdir()} == expected | {"metrics.json", "predictions.parquet"}
    assert json.loads((folder / "metrics.json").read_text()) == metrics
    stored, names = read_predictions(folder / "predictions.parquet")
    assert metrics["test"] == metrics_of(stored, names, "test")
    matrix = pd.read_csv(folder / "confusion_test.csv", index_col=0).to_numpy()
    assert matrix.sum() == 150
    assert np.trace(matrix) / 150 == pytest.approx(metrics["test"]["top1"])  # type: ignore[index]
    per_class = pd.read_csv(folder / "per_class_test.csv")
    assert per_class["class"].tolist() == list(classes)
    assert per_class["support"].sum() == 150


def test_a_split_without_images_has_no_metrics_and_no_files(tmp_path: Path) -> None:
    frame, classes = predictions(40, 3)
    metrics = evaluate_predictions(tmp_path, frame[frame["split"] == "val"], classes)
    assert metrics["test"] is None
    assert metrics["val"] is not None
    assert not list(tmp_path.glob("*_test.csv"))
    assert json.loads((tmp_path / "metrics.json").read_text())["test"] is None


def test_class_names_are_no_formulas_in_a_spreadsheet(tmp_path: Path) -> None:
    classes = ("=1+2", "-dash", "plain")
    frame = predictions_table(["i", "j"], ["=x.jpg", "p"], ["test"] * 2, [0, 1], [[0.1, 0.2, 0.7]] * 2, classes)
    evaluate_predictions(tmp_path, frame, classes, ["test"])
    for path in tmp_path.glob("*.csv"):
        for line in path.read_text().splitlines():
            assert not any(cell.startswith(("=", "-d")) for cell in line.split(",")), path.name


def test_most_wrong_are_the_surest_mistakes() -> None:
    frame, classes = predictions(300, 5)
    table = most_wrong(frame, classes, limit=20)
    assert table.columns.tolist() == MOST_WRONG_COLUMNS
    assert len(table) == 20
    assert table["confidence"].is_monotonic_decreasing
    assert (table["label"] != table["predicted"]).all()
    wrong = frame[~frame["correct"]]
    assert table["confidence"].iloc[0] == wrong["confidence"].max()
    assert np.exp(-table["log_loss"]).to_numpy() == pytest.approx(table["label_confidence"].to_numpy(), rel=1e-4)


def test_a_perfect_model_has_no_most_wrong() -> None:
    frame, classes = predictions(30, 3, skill=50.0)
    assert most_wrong(frame, classes).empty
