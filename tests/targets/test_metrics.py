"""Every metric against scikit-learn, which shares no code with ours, on the table that is stored."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import (
    accuracy_score,
    f1_score,
    log_loss,
    precision_recall_fscore_support,
    precision_score,
    recall_score,
    top_k_accuracy_score,
)

from tests.evaluation.cases import answers, any_answers, class_names, predictions
from tests.properties import examples
from workflows.errors import DatasetError, TrainingError
from workflows.evaluation.predictions import read_predictions, write_predictions
from workflows.statistics import wilson_interval
from workflows.targets.metrics import meaningful
from workflows.targets.single_label.metrics import (
    classification_metrics,
    in_top,
    log_losses,
    macro_f1,
    per_class_metrics,
)
from workflows.targets.single_label.tables import metrics_of, predictions_table, probability_matrix
from workflows.targets.single_label.target import SINGLE_LABEL

Case = tuple[NDArray[np.int64], NDArray[np.float32]]


def over_present(truth: pd.Series) -> dict[str, Any]:
    """What tells scikit-learn to average over the classes that have images."""
    return {"labels": np.unique(truth.astype(str)), "average": "macro", "zero_division": 0}


@settings(max_examples=examples(60), deadline=None)
@given(any_answers())
def test_metrics_equal_scikit_learn_on_the_stored_table(case: Case) -> None:
    labels, probabilities = case
    names = class_names(probabilities.shape[1])
    images = [str(index) for index in range(len(labels))]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "predictions.parquet"
        frame = predictions_table(images, images, ["test"] * len(images), labels, probabilities, names)
        write_predictions(path, frame, names)
        stored, classes = read_predictions(path)
    ours = metrics_of(stored, classes, "test")
    assert ours is not None
    truth, guess = stored["label"], stored["predicted"]
    expected = {
        "top1": accuracy_score(truth, guess),
        "precision_macro": precision_score(truth, guess, **over_present(truth)),
        "recall_macro": recall_score(truth, guess, **over_present(truth)),
        "f1_macro": f1_score(truth, guess, **over_present(truth)),
        "average_confidence": stored["confidence"].astype(float).mean(),
        "log_loss": log_loss(truth, probability_matrix(stored), labels=list(classes)),
        "support": len(labels),
    }
    distinct = all(len(np.unique(row)) == len(row) for row in probabilities)
    if len(classes) > 5 and distinct:  # equal ones scikit-learn takes in the reverse order of the classes
        expected["top5"] = top_k_accuracy_score(
            truth, probability_matrix(stored).astype(float), k=5, labels=list(classes)
        )
    for name, value in expected.items():
        assert ours[name] == pytest.approx(value, abs=1e-6, rel=1e-6), name
    assert ours["top1_ci95"] == list(wilson_interval(int((truth == guess).sum()), len(truth)))


@given(any_answers())
def test_live_metrics_are_those_of_the_stored_columns_bit_for_bit(case: Case) -> None:
    labels, probabilities = case
    names, images = class_names(probabilities.shape[1]), [str(index) for index in range(len(labels))]
    frame = predictions_table(images, images, ["val"] * len(images), labels, probabilities, names)
    live = classification_metrics(labels, probabilities, names)
    assert live == metrics_of(frame, names)
    assert macro_f1(labels, probabilities.argmax(axis=1), len(names)) == pytest.approx(live["f1_macro"], abs=1e-12)


@given(any_answers())
def test_per_class_metrics_equal_scikit_learn(case: Case) -> None:
    labels, probabilities = case
    names = np.array(class_names(probabilities.shape[1]))
    truth, guess = names[labels], names[probabilities.argmax(axis=1)]
    table = per_class_metrics(truth, guess, probabilities.max(axis=1), tuple(names))
    columns = precision_recall_fscore_support(truth, guess, labels=names, zero_division=0)
    present = np.isin(names, truth)
    for name, expected in zip(("precision", "recall", "f1", "support"), columns, strict=True):
        assert table.loc[present, name].to_numpy(float) == pytest.approx(expected[present], abs=1e-12), name
    assert table["predicted"].sum() == table["support"].sum() == len(labels)
    assert (table["recall_low"] <= table["recall"])[present].all()
    assert (table["recall"] <= table["recall_high"])[present].all()
    undefined = table.loc[~present, ["recall", "f1", "average_confidence", "recall_low", "recall_high"]]
    assert undefined.isna().all().all()
    assert (table.loc[~present, "precision"].isna() == (table.loc[~present, "predicted"] == 0)).all()


@given(any_answers(), st.integers(1, 5))
def test_classes_nobody_asked_about_change_no_number(case: Case, more: int) -> None:
    labels, probabilities = case
    names = class_names(probabilities.shape[1] + more)
    wider = np.pad(probabilities, ((0, 0), (0, more)))
    few, many = (classification_metrics(labels, each, names[: each.shape[1]]) for each in (probabilities, wider))
    assert many["absent"] == [*few["absent"], *names[-more:]]
    few.pop("top5", None), many.pop("top5", None)
    assert {**many, "absent": few["absent"]} == few


def test_log_losses_stay_finite_and_equal_scikit_learns_clipping() -> None:
    probabilities = np.array([[0.0, 1.0], [1.0, 0.0]], dtype=np.float32)
    losses = log_losses(np.array([0, 0]), probabilities)
    assert losses[0] == pytest.approx(-np.log(2.0**-23))
    assert losses.mean() == pytest.approx(log_loss([0, 0], probabilities, labels=[0, 1]), rel=1e-6)
    assert (losses > 0).all()


def test_equal_probabilities_go_to_the_first_class() -> None:
    even = np.full((3, 8), 1 / 8, dtype=np.float32)
    labels = np.array([0, 4, 5])
    assert in_top(labels, even).tolist() == [True, True, False]
    assert classification_metrics(labels, even, class_names(8))["top1"] == pytest.approx(1 / 3)


@pytest.mark.parametrize(("classes", "told"), [(2, False), (5, False), (6, True)])
def test_top5_of_up_to_five_classes_says_nothing_and_is_left_out(classes: int, told: bool) -> None:
    labels, probabilities = answers(20, classes)
    assert ("top5" in classification_metrics(labels, probabilities, class_names(classes))) is told
    stored = {"top1": 0.5, "top5": 1.0, "top1_ci95": [0.4, 0.6]}
    assert ("top5" in meaningful(stored, classes)) is told
    assert {"top1", "top1_ci95"} <= set(meaningful(stored, classes))


def test_a_class_without_images_has_no_recall() -> None:
    table = per_class_metrics(["a", "a"], ["a", "b"], [0.9, 0.8], ["a", "b", "c"])
    assert table["support"].tolist() == [2, 0, 0]
    assert table["recall"].tolist()[0] == 0.5
    assert table.loc[1, "precision"] == 0.0, "it was said once, and wrong"
    assert table.loc[2, ["precision", "recall", "f1", "recall_low", "recall_high", "average_confidence"]].isna().all()
    assert table.loc[0, "average_confidence"] == pytest.approx(0.85)


def test_a_class_without_images_lowers_no_mean_and_is_named() -> None:
    quarters, truth = ["0", "180", "270", "90"], np.array([0, 2, 3])
    found = classification_metrics(truth, np.eye(4)[[0, 0, 0]], quarters)
    assert found["recall_macro"] == found["top1"] == pytest.approx(1 / 3)
    assert found["absent"] == ["180"]


def test_absent_classes_are_those_taught_but_not_judged() -> None:
    records = pd.DataFrame({"label": ["a", "b", "c", "a", "c"], "split": ["train", "train", "train", "val", "test"]})
    assert SINGLE_LABEL.absent(records, "val") == ["b", "c"]
    assert SINGLE_LABEL.absent(records, "test") == ["a", "b"]
    assert SINGLE_LABEL.absent(records[records["split"] != "test"], "test") == [], "nothing is judged there at all"


def test_no_images_have_no_metrics() -> None:
    frame, names = predictions(4, 3)
    assert metrics_of(frame, names, "train") is None
    with pytest.raises(ValueError, match="no images"):
        classification_metrics(np.array([], dtype=int), np.empty((0, 3)), class_names(3))


def test_answers_that_are_not_numbers_are_refused() -> None:
    with pytest.raises(TrainingError, match="1 image"):
        classification_metrics([0, 1], [[np.nan, 1.0], [0.5, 0.5]], class_names(2))


def test_a_label_the_model_does_not_know_is_refused() -> None:
    with pytest.raises(DatasetError, match=r"1 label.* 2 classes") as caught:
        per_class_metrics(["tulip"], ["a"], [0.5], ["a", "b"])
    assert caught.value.problems == ["tulip"]


@pytest.mark.parametrize(("labels", "shape"), [([0], (2, 2)), ([0, 1], (2,))])
def test_shapes_that_do_not_fit_are_refused(labels: list[int], shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="probabilities"):
        classification_metrics(labels, np.full(shape, 0.5), class_names(2))


def test_probabilities_need_a_name_for_each_class() -> None:
    with pytest.raises(ValueError, match="classes"):
        classification_metrics([0], [[0.5, 0.5]], class_names(3))
