"""The confusion matrix: orientation, pairs, order."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from sklearn.metrics import confusion_matrix

from tests.evaluation.cases import any_answers, class_names, predictions
from workflows.errors import DatasetError
from workflows.targets.single_label.confusion import (
    confusion_counts,
    confusion_table,
    most_confused_pairs,
    order_by_confusion,
)
from workflows.targets.single_label.labels import class_codes


@given(any_answers())
def test_counts_equal_scikit_learn(case: tuple[np.ndarray, np.ndarray]) -> None:
    labels, probabilities = case
    names = np.array(class_names(probabilities.shape[1]))
    truth, guess = names[labels], names[probabilities.argmax(axis=1)]
    counts = confusion_counts(pd.Series(truth), pd.Categorical(guess), tuple(names))
    assert counts.dtype == np.int64
    assert (counts == confusion_matrix(truth, guess, labels=names)).all()
    assert (counts == confusion_counts(labels, probabilities.argmax(axis=1), tuple(names))).all()


def test_rows_are_the_truth_and_columns_the_prediction() -> None:
    counts = confusion_counts(["cat", "cat", "dog"], ["dog", "dog", "dog"], ["cat", "dog"])
    assert counts.tolist() == [[0, 2], [0, 1]]
    table = confusion_table(counts, ["cat", "dog"])
    assert table.columns.tolist()[1:] == ["cat", "dog"]
    assert table.iloc[0].tolist() == ["cat", 0, 2]


def test_names_and_positions_that_do_not_exist_are_refused() -> None:
    for labels in (["a", "z", None], [0, 2], [-1, 0]):
        with pytest.raises(DatasetError, match="2 classes"):
            class_codes(labels, ["a", "b"])


def test_names_that_look_like_numbers_are_names() -> None:
    assert class_codes(["10", "2"], ["2", "10"]).tolist() == [1, 0]


def test_pairs_by_hand() -> None:
    frame = pd.DataFrame(
        {
            "label": ["a", "a", "a", "a", "b", "b", "c"],
            "predicted": ["a", "b", "b", "c", "a", "b", "c"],
            "confidence": [0.9, 0.8, 0.6, 0.5, 0.4, 0.9, 0.9],
        }
    )
    pairs = most_confused_pairs(frame)
    assert pairs[["label", "predicted", "count"]].to_numpy().tolist() == [["a", "b", 2], ["b", "a", 1], ["a", "c", 1]]
    assert pairs["share_of_label"].tolist() == [0.5, 0.5, 0.25]
    assert pairs["average_confidence"].tolist() == pytest.approx([0.7, 0.4, 0.5])
    assert len(most_confused_pairs(frame, limit=1)) == 1


def test_pairs_add_up_to_the_mistakes_and_a_perfect_model_has_none() -> None:
    frame, _ = predictions(200, 6)
    assert most_confused_pairs(frame)["count"].sum() == (~frame["correct"]).sum()
    perfect = most_confused_pairs(frame.assign(predicted=frame["label"]))
    assert perfect.empty
    assert perfect.columns.tolist() == ["label", "predicted", "count", "share_of_label", "average_confidence"]


def test_classes_that_are_confused_stand_side_by_side() -> None:
    families = np.arange(30) % 6
    random = np.random.default_rng(0)
    matrix = np.where(families[:, None] == families[None, :], random.integers(3, 9, (30, 30)), 0)
    np.fill_diagonal(matrix, 50)
    order = order_by_confusion(matrix)
    assert sorted(order) == list(range(30))
    assert (np.diff(families[order]) != 0).sum() == 5


def test_without_mistakes_the_order_stays() -> None:
    assert order_by_confusion(np.diag([3, 4, 5, 6])).tolist() == [0, 1, 2, 3]
    assert order_by_confusion(np.array([[5, 1], [2, 4]])).tolist() == [0, 1]


def test_order_is_a_permutation_when_some_classes_have_no_images() -> None:
    matrix = np.zeros((7, 7), dtype=np.int64)
    matrix[0, 3], matrix[3, 5], matrix[1, 1] = 4, 2, 9
    assert sorted(order_by_confusion(matrix)) == list(range(7))
