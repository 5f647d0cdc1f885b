"""What the curves of a training say about memorising."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.proportion import confint_proportions_2indep

from workflows.evaluation.overfitting import LEAST_EVALUATIONS, Overfitting, overfitting

IMAGES = {"train": 700, "val": 150}
FALLING = [1.0 / n for n in range(1, 9)]


def curve(values: Sequence[float]) -> list[tuple[float, float]]:
    return [(float(number), value) for number, value in enumerate(values, start=1)]


def judge(
    train: Sequence[float],
    val: Sequence[float],
    train_top1: float = 0.9,
    val_top1: float = 0.9,
    images: dict[str, int] | None = IMAGES,
) -> Overfitting | None:
    same = [1.0] * len(val)
    accuracies = {
        "train/top1": curve([train_top1 * one for one in same]),
        "val/top1": curve([val_top1 * one for one in same]),
    }
    return overfitting({"train/loss": curve(train), "val/loss": curve(val), **accuracies}, images)


def verdict(*arguments: Sequence[float] | float) -> str | None:
    found = judge(*arguments)  # type: ignore[arg-type]
    return found and found.verdict


def test_a_rising_validation_loss_is_getting_worse() -> None:
    found = judge(FALLING[:6], [1.0, 0.6, 0.5, 0.55, 0.6, 0.7])
    assert found is not None
    assert (found.verdict, found.best_step, found.evaluations, round(found.rise, 3)) == ("worsening", 3, 3, 0.4)


def test_images_that_are_known_by_heart_are_memorised_though_validation_loss_is_stable() -> None:
    found = judge([0.9, 0.3, 0.1, 0.04, 0.02, 0.02], [0.9, 0.6, 0.5, 0.45, 0.44, 0.44], 1.0, 0.86)
    assert found is not None
    assert found.verdict == "memorised"
    assert found.gap == pytest.approx(0.14)
    assert found.gap_interval is not None
    assert found.gap_interval[0] > 0.05


def test_each_sign_is_enough_alone() -> None:
    assert verdict(FALLING, [loss + 0.02 for loss in FALLING], 0.99, 0.80) == "memorised"  # accuracy
    assert verdict([0.02] * 6, [0.44] * 6, 0.9, 0.9) == "memorised"  # loss
    assert verdict([0.02] * 6, [0.05] * 6, 0.9, 0.9) == "none"  # twice next to nothing is next to nothing


def test_validation_that_follows_training_is_no_overfitting() -> None:
    assert verdict(FALLING, [loss + 0.05 for loss in FALLING]) == "none"
    assert verdict([1.0 + n for n in range(6)], [1.0, 0.6, 0.5, 0.55, 0.6, 0.7]) == "none"  # both rise


def test_a_gap_within_its_uncertainty_is_none() -> None:
    few = {"train": 40, "val": 10}
    flat = [0.5] * 6
    assert (found := judge(flat, flat, 0.95, 0.9, few)) is not None
    assert found.verdict == "none"
    assert (found := judge(flat, flat, 0.95, 0.9, {"train": 40_000, "val": 10_000})) is not None
    assert found.verdict == "memorised"


def test_noise_is_no_trend() -> None:
    noisy = [1.0, 0.5, 0.7, 0.5, 0.7, 0.51, 0.7, 0.56]
    assert verdict(FALLING, noisy) != "worsening"


def test_nothing_is_said_before_there_are_enough_points() -> None:
    few = [0.5] * (LEAST_EVALUATIONS - 1)
    assert judge(few, few) is None
    assert overfitting({"train/loss": [], "val/loss": curve(FALLING)}) is None


def test_without_accuracy_or_counts_the_losses_alone_are_judged() -> None:
    losses = {"train/loss": curve([0.02] * 6), "val/loss": curve([0.44] * 6)}
    found = overfitting(losses)
    assert found is not None
    assert (found.verdict, found.gap, found.gap_interval) == ("memorised", None, None)
    found = judge([0.5] * 6, [0.5] * 6, 1.0, 0.5, None)
    assert found is not None
    assert (found.gap, found.gap_interval) == (0.5, None)


@given(st.integers(1, 500), st.integers(1, 500), st.floats(0, 1), st.floats(0, 1))
def test_the_interval_is_newcombes(train: int, val: int, taught: float, judged: float) -> None:
    right_train, right_val = round(taught * train), round(judged * val)
    found = judge([0.5] * 6, [0.5] * 6, right_train / train, right_val / val, {"train": train, "val": val})
    assert found is not None
    expected = confint_proportions_2indep(right_train, train, right_val, val, compare="diff", method="newcomb")
    np.testing.assert_allclose(found.gap_interval, expected, atol=1e-9)
