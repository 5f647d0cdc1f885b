"""The stored tables: what is in them, and that nothing is lost on the way to the disk and back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from tests.evaluation.cases import answers, class_names, predictions
from workflows.errors import DatasetError, RunError, TrainingError
from workflows.evaluation.predictions import read_predictions, write_predictions
from workflows.store.files import write_table
from workflows.targets.single_label.metrics import classification_metrics
from workflows.targets.single_label.tables import (
    dynamics_table,
    metrics_of,
    predictions_table,
    probability_matrix,
    step_table,
)

HOSTILE = ("<script>alert(1)</script>", "=2+5", 'comma, "quote"', "雪豹", "NA")


def test_predictions_survive_the_disk(tmp_path: Path) -> None:
    frame, classes = predictions(40, 12)
    write_predictions(tmp_path / "predictions.parquet", frame, classes)
    stored, names = read_predictions(tmp_path / "predictions.parquet")
    assert names == classes
    assert stored.columns.tolist() == frame.columns.tolist()
    assert (probability_matrix(stored) == probability_matrix(frame)).all()
    assert stored["top"].map(list).tolist() == frame["top"].map(list).tolist()
    for column in ("image_id", "path", "split", "label", "predicted", "correct", "confidence", "log_loss"):
        assert stored[column].tolist() == frame[column].tolist(), column


def test_column_types_are_as_documented(tmp_path: Path) -> None:
    frame, classes = predictions(10, 3)
    write_predictions(tmp_path / "predictions.parquet", frame, classes)
    schema = pq.read_schema(tmp_path / "predictions.parquet")
    assert [str(schema.field(name).type) for name in ("confidence", "log_loss", "correct")] == [
        "float",
        "float",
        "bool",
    ]
    assert "float" in str(schema.field("probabilities").type)
    assert b"classes" in schema.metadata


def test_hostile_class_names_come_back_unchanged(tmp_path: Path) -> None:
    labels, probabilities = answers(20, len(HOSTILE))
    frame = predictions_table(["i"] * 20, ["p"] * 20, ["test"] * 20, labels, probabilities, HOSTILE)
    write_predictions(tmp_path / "p.parquet", frame, HOSTILE)
    stored, classes = read_predictions(tmp_path / "p.parquet")
    assert classes == HOSTILE
    assert stored["label"].tolist() == [HOSTILE[label] for label in labels]


def test_top_holds_the_best_first(tmp_path: Path) -> None:
    frame = predictions_table(["i"], ["p"], ["test"], ["b"], [[0.2, 0.3, 0.5]], ["a", "b", "c"])
    row = frame.iloc[0]
    assert list(row["top"]) == ["c", "b", "a"]
    assert (row["predicted"], row["correct"]) == ("c", False)
    assert row["confidence"] == pytest.approx(0.5)
    assert row["log_loss"] == pytest.approx(-np.log(0.3))


def test_labels_may_be_names_or_positions() -> None:
    by_position = predictions_table(["i"], ["p"], ["val"], np.array([1]), [[0.4, 0.6]], ["a", "b"])
    by_name = predictions_table(["i"], ["p"], ["val"], pd.Series(["b"]), [[0.4, 0.6]], ["a", "b"])
    assert by_position["label"].tolist() == by_name["label"].tolist() == ["b"]


def test_a_foreign_file_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"missing\.parquet"):
        read_predictions(tmp_path / "missing.parquet")
    (tmp_path / "half.parquet").write_bytes(b"PAR1 cut")
    with pytest.raises(RunError, match=r"half\.parquet"):
        read_predictions(tmp_path / "half.parquet")
    write_table(tmp_path / "other.parquet", pd.DataFrame({"a": [1]}))
    with pytest.raises(RunError, match=r"other\.parquet"):
        read_predictions(tmp_path / "other.parquet")


def test_step_table_is_small_and_gives_the_metrics_back(tmp_path: Path) -> None:
    labels, probabilities = answers(1000, 7)
    names = class_names(7)
    table = step_table([f"{i:016x}" for i in range(1000)], labels, probabilities, names)
    write_table(tmp_path / "0001.parquet", table)
    stored = pd.read_parquet(tmp_path / "0001.parquet")
    assert stored["label"].astype(object).tolist() == [names[label] for label in labels]
    assert stored["label_confidence"].to_numpy() == pytest.approx(probabilities[np.arange(1000), labels])
    live, again = classification_metrics(labels, probabilities, names), metrics_of(stored, names)
    assert again == {name: value for name, value in live.items() if name != "top5"}
    assert (tmp_path / "0001.parquet").stat().st_size < 50_000


def test_dynamics_by_hand() -> None:
    table = dynamics_table(["x", "y"], [0, 2], [[2.0, 1.0, -3.0], [0.0, 5.0, 1.0]], ["a", "b", "c"])
    assert table["margin"].tolist() == [1.0, -4.0]
    assert table["other"].astype(str).tolist() == ["b", "b"]
    assert table["label"].astype(str).tolist() == ["a", "c"]
    assert table["label_confidence"][0] == pytest.approx(np.exp(2) / (np.exp(2) + np.exp(1) + np.exp(-3)))


def test_dynamics_of_huge_logits_stay_finite() -> None:
    table = dynamics_table(["x"], [0], [[1e4, -1e4]], ["a", "b"])
    assert table["label_confidence"][0] == 1.0
    assert table["margin"][0] == pytest.approx(2e4)


def test_answers_that_are_not_numbers_and_unknown_labels_are_refused() -> None:
    with pytest.raises(TrainingError, match="not a number"):
        step_table(["i"], [0], [[np.nan, 1.0]], ["a", "b"])
    with pytest.raises(DatasetError, match="2 classes"):
        step_table(["i"], ["z"], [[0.5, 0.5]], ["a", "b"])
