"""Every metric against scikit-learn, which shares no code with ours, on the table that is stored."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
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
from workflows.errors import DatasetError, TrainingError
from workflows.evaluation.metrics import (
    classification_metrics,
    in_top,
    log_losses,
    macro_f1,
    per_class_metrics,
)
from workflows.evaluation.predictions import (
    metrics_of,
    predictions_table,
    probability_matrix,
    read_predictions,
    write_predictions,
)
from workflows.evaluation.statistics import wilson_interval

Case = tuple[NDArray[np.int64], NDArray[np.float32]]


@settings(max_examples=60, deadline=None)
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
        "precision_macro": precision_score(truth, guess, average="macro", zero_division=0),
        "recall_macro": recall_score(truth, guess, average="macro", zero_division=0),
        "f1_macro": f1_score(truth, guess, average="macro", zero_division=0),
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
    live = classification_metrics(labels, probabilities)
    assert live == metrics_of(frame, names)
    assert macro_f1(labels, probabilities.argmax(axis=1), len(names)) == pytest.approx(live["f1_macro"], abs=1e-12)


@given(any_answers())
def test_per_class_metrics_equal_scikit_learn(case: Case) -> None:
    labels, probabilities = case
    names = np.array(class_names(probabilities.shape[1]))
    truth, guess = names[labels], names[probabilities.argmax(axis=1)]
    table = per_class_metrics(truth, guess, probabilities.max(axis=1), tuple(names))
    columns = precision_recall_fscore_support(truth, guess, labels=names, zero_division=0)
    for name, expected in zip(("precision", "recall", "f1", "support"), columns, strict=True):
        assert table[name].to_numpy(float) == pytest.approx(expected, abs=1e-12), name
    assert table["predicted"].sum() == table["support"].sum() == len(labels)
    assert (table["recall_low"] <= table["recall"]).all()
    assert ((table["recall"] <= table["recall_high"]) | (table["support"] == 0)).all()


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
    assert classification_metrics(labels, even)["top1"] == pytest.approx(1 / 3)


def test_with_five_classes_or_fewer_top5_is_always_one() -> None:
    labels, probabilities = answers(20, 3)
    assert classification_metrics(labels, probabilities)["top5"] == 1.0


def test_a_class_without_images_is_marked_unknown() -> None:
    table = per_class_metrics(["a", "a"], ["a", "b"], [0.9, 0.8], ["a", "b", "c"])
    absent = table.loc[2]
    assert (absent["support"], absent["recall"], absent["recall_low"], absent["recall_high"]) == (0, 0.0, 0.0, 1.0)
    assert np.isnan(absent["average_confidence"])
    assert table.loc[0, "average_confidence"] == pytest.approx(0.85)


def test_no_images_have_no_metrics() -> None:
    frame, names = predictions(4, 3)
    assert metrics_of(frame, names, "train") is None
    with pytest.raises(ValueError, match="no images"):
        classification_metrics(np.array([], dtype=int), np.empty((0, 3)))


def test_answers_that_are_not_numbers_are_refused() -> None:
    with pytest.raises(TrainingError, match="not a number for 1 image"):
        classification_metrics([0, 1], [[np.nan, 1.0], [0.5, 0.5]])


def test_a_label_the_model_does_not_know_is_refused() -> None:
    with pytest.raises(DatasetError, match=r"1 label\(s\) are none of the model's 2 classes: tulip"):
        per_class_metrics(["tulip"], ["a"], [0.5], ["a", "b"])


@pytest.mark.parametrize(("labels", "shape"), [([0], (2, 2)), ([0, 1], (2,))])
def test_shapes_that_do_not_fit_are_refused(labels: list[int], shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="probabilities"):
        classification_metrics(labels, np.full(shape, 0.5))
