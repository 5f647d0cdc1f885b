from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score

from workflows.evaluation.thresholds import confidence_histogram, coverage_curve, threshold_for

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
    good = [value for value in np.unique(confidence) if correct[confidence >= value].mean() >= wanted]
    assert threshold_for(confidence, correct, wanted) == (min(good) if good else None)


@given(answered)
def test_the_histogram_counts_every_answer(pairs: list[tuple[float, bool]]) -> None:
    confidence, correct = (np.array(column) for column in zip(*pairs, strict=True))
    table = confidence_histogram(confidence, correct)
    assert (table["right"].sum(), table["wrong"].sum()) == (correct.sum(), (~correct).sum())
