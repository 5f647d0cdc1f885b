from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score

from workflows.evaluation.thresholds import (
    DEFAULT_THRESHOLD,
    JudgedThreshold,
    ReviewThreshold,
    confidence_histogram,
    coverage_curve,
    judge_threshold,
    threshold_for,
)
from workflows.statistics import wilson_interval

# few different values, so that many answers are equally confident
answered = st.lists(st.tuples(st.sampled_from([0.0, 0.2, 0.35, 0.5, 0.8, 1.0]), st.booleans()), min_size=1, max_size=40)


@given(answered)
def test_coverage_and_accuracy_at_every_threshold(pairs: list[tuple[float, bool]]) -> None:
    confidence, correct = (np.array(column) for column in zip(*pairs, strict=True))
    for row in coverage_curve(confidence, correct, points=11).itertuples():
        kept = confidence >= row.threshold
        assert row.kept == kept.sum()
        assert row.coverage == pytest.approx(kept.mean())
        if kept.any():
            assert row.accuracy == pytest.approx(accuracy_score(np.ones(kept.sum(), bool), correct[kept]))
            assert row.accuracy_low <= row.accuracy <= row.accuracy_high
        else:
            assert np.isnan(row.accuracy)


@given(answered, st.sampled_from([0.0, 0.5, 0.75, 0.9, 1.0]))
def test_the_lowest_threshold_that_is_accurate_enough(pairs: list[tuple[float, bool]], wanted: float) -> None:
    confidence, correct = (np.array(column) for column in zip(*pairs, strict=True))
    steps = [step / 1000 for step in range(1001)]
    good = [at for at in steps if (confidence >= at).any() and correct[confidence >= at].mean() >= wanted]
    assert threshold_for(confidence, correct, wanted) == (good[0] if good else None)


@given(answered)
def test_the_histogram_counts_every_answer(pairs: list[tuple[float, bool]]) -> None:
    confidence, correct = (np.array(column) for column in zip(*pairs, strict=True))
    table = confidence_histogram(confidence, correct)
    assert (table["right"].sum(), table["wrong"].sum()) == (correct.sum(), (~correct).sum())


@given(answered, st.sampled_from([0.0, 0.35, 0.6, 1.0]))
def test_a_threshold_is_judged_by_what_it_accepts(pairs: list[tuple[float, bool]], value: float) -> None:
    confidence, correct = (np.array(column) for column in zip(*pairs, strict=True))
    found, threshold = judge_threshold(value, "val", confidence, correct), ReviewThreshold(value)
    accepted = [right for sure, right in pairs if not threshold.to_review(sure)]
    assert (found.images, found.accepted, found.right) == (len(pairs), len(accepted), sum(accepted))
    assert found.coverage == len(accepted) / len(pairs)
    assert found.accuracy == (sum(accepted) / len(accepted) if accepted else None)  # undefined is not 0
    assert found.accuracy_ci95 == wilson_interval(sum(accepted), len(accepted))
    assert JudgedThreshold.of(found.document()) == found


def test_without_a_saved_threshold_the_default_holds() -> None:
    assert ReviewThreshold().is_default
    assert ReviewThreshold().value == DEFAULT_THRESHOLD
    assert not ReviewThreshold().to_review(DEFAULT_THRESHOLD)
