"""The calibration error, by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from tests.evaluation.cases import any_answers
from workflows.statistics import wilson_interval
from workflows.targets.calibration import expected_calibration_error, reliability_curve


def test_a_model_that_keeps_its_promise_has_no_error() -> None:
    assert expected_calibration_error([0.75] * 4, [1, 1, 1, 0], bins=10) == pytest.approx(0.0)


def test_two_bins_by_hand() -> None:
    # (0, 0.5]: mean confidence 0.4, accuracy 1/2, 2 images; (0.5, 1]: 0.9, 3/4, 4 images
    confidence, correct = [0.3, 0.5, 0.8, 0.9, 0.9, 1.0], [1, 0, 1, 1, 0, 1]
    assert expected_calibration_error(confidence, correct, bins=2) == pytest.approx(2 / 6 * 0.1 + 4 / 6 * 0.15)


def test_surely_wrong_is_the_worst_and_surely_right_the_best() -> None:
    assert expected_calibration_error([1.0, 1.0], [0, 0]) == pytest.approx(1.0)
    assert expected_calibration_error([1.0, 1.0], [1, 1]) == pytest.approx(0.0)


def test_bins_are_closed_on_the_right() -> None:
    curve = reliability_curve([0.0, 0.25, 0.2500001, 0.5, 1.0], [1, 1, 1, 1, 1], bins=4)
    assert curve["count"].tolist() == [2, 2, 0, 1]


def test_errors_of_opposite_sign_do_not_cancel_across_bins_but_do_within_one() -> None:
    confidence, correct = [0.6, 0.9], [1, 0]
    assert expected_calibration_error(confidence, correct, bins=1) == pytest.approx(0.25)
    assert expected_calibration_error(confidence, correct, bins=2) == pytest.approx(0.25)
    assert expected_calibration_error(confidence, correct, bins=10) == pytest.approx((0.4 + 0.9) / 2)


def test_curve_by_hand() -> None:
    curve = reliability_curve([0.6, 0.8, 0.9], [0, 1, 1], bins=2)
    assert curve["bin_low"].tolist() == [0.0, 0.5]
    assert curve["count"].tolist() == [0, 3]
    assert np.isnan(curve.loc[0, ["confidence", "accuracy", "accuracy_low", "accuracy_high"]].astype(float)).all()
    full = curve.loc[1]
    assert full["confidence"] == pytest.approx(2.3 / 3)
    assert full["accuracy"] == pytest.approx(2 / 3)
    assert (full["accuracy_low"], full["accuracy_high"]) == pytest.approx(wilson_interval(2, 3))


@given(any_answers())
def test_error_is_the_weighted_gap_of_the_curve(case: tuple[np.ndarray, np.ndarray]) -> None:
    labels, probabilities = case
    confidence, correct = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    curve = reliability_curve(confidence, correct).dropna()
    gap = ((curve["confidence"] - curve["accuracy"]).abs() * curve["count"]).sum() / curve["count"].sum()
    error = expected_calibration_error(confidence, correct)
    assert error == pytest.approx(gap, abs=1e-12)
    assert 0.0 <= error <= 1.0
    assert curve["count"].sum() == len(labels)


def test_no_images_have_no_calibration() -> None:
    with pytest.raises(ValueError, match="no images"):
        expected_calibration_error([], [])


def test_unequal_columns_are_refused() -> None:
    with pytest.raises(ValueError, match="`correct`"):
        expected_calibration_error([0.5], [])
