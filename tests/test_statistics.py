"""Intervals and tests, judged by scipy's own and by how often they hold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from workflows.statistics import (
    bootstrap_interval,
    discordant_p,
    holm_adjusted,
    mcnemar_exact,
    wilson_bounds,
    wilson_interval,
)

counts = st.integers(1, 2000).flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total)))


@given(counts, st.sampled_from([0.5, 0.8, 0.95, 0.99]))
def test_wilson_equals_scipy(count: tuple[int, int], confidence: float) -> None:
    successes, total = count
    expected = binomtest(successes, total).proportion_ci(confidence, method="wilson")
    low, high = wilson_interval(successes, total, confidence)
    assert low == pytest.approx(expected.low, abs=1e-12)
    assert high == pytest.approx(expected.high, abs=1e-12)
    assert 0 <= low <= successes / total <= high <= 1


def test_wilson_of_nothing_says_that_nothing_is_known() -> None:
    assert wilson_interval(0, 0) == (0.0, 1.0)


def test_wilson_at_the_ends_is_exact() -> None:
    assert wilson_interval(0, 10)[0] == 0.0
    assert wilson_interval(10, 10)[1] == 1.0


def test_wilson_works_on_arrays() -> None:
    low, high = wilson_bounds([0, 5, 0], [0, 10, 4])
    assert (low[1], high[1]) == wilson_interval(5, 10)
    assert (low[0], high[0]) == (0.0, 1.0)
    assert (low[2], high[2]) == wilson_interval(0, 4)


@pytest.mark.parametrize(("successes", "total", "confidence"), [(3, 2, 0.95), (-1, 2, 0.95), (1, 2, 1.0), (1, 2, 0.0)])
def test_wilson_refuses_nonsense(successes: int, total: int, confidence: float) -> None:
    with pytest.raises(ValueError, match="between"):
        wilson_interval(successes, total, confidence)


@given(st.integers(0, 400), st.integers(0, 400))
def test_discordant_p_equals_scipys_binomial_test(only_a: int, only_b: int) -> None:
    expected = binomtest(only_a, only_a + only_b, 0.5).pvalue if only_a + only_b else 1.0
    assert discordant_p(only_a, only_b) == pytest.approx(expected, rel=1e-9, abs=1e-300)


def test_mcnemar_counts_only_the_images_on_which_the_models_differ() -> None:
    a = np.array([1, 1, 1, 1, 1, 1, 0, 0], dtype=bool)
    b = np.array([1, 0, 0, 0, 0, 0, 1, 0], dtype=bool)
    assert mcnemar_exact(a, b) == pytest.approx(binomtest(1, 6, 0.5).pvalue)
    assert mcnemar_exact(a, a) == 1.0


def test_mcnemar_refuses_different_images() -> None:
    with pytest.raises(ValueError, match="same images"):
        mcnemar_exact([True], [True, False])


def test_bootstrap_is_seeded() -> None:
    values = np.random.default_rng(0).normal(size=50)
    assert bootstrap_interval(np.mean, values, seed=3) == bootstrap_interval(np.mean, values, seed=3)
    assert bootstrap_interval(np.mean, values, seed=3) != bootstrap_interval(np.mean, values, seed=4)


def test_bootstrap_covers_the_truth_as_often_as_promised() -> None:
    random, covered, worlds = np.random.default_rng(1), 0, 300
    for world in range(worlds):
        low, high = bootstrap_interval(np.mean, random.binomial(1, 0.8, 120), resamples=300, seed=world)
        covered += low <= 0.8 <= high
    # 95 % promised; 300 worlds show it to about 2.5 points, and the percentile interval is slightly short
    assert 0.90 <= covered / worlds <= 0.985


def test_paired_bootstrap_is_narrower_than_an_unpaired_one() -> None:
    random = np.random.default_rng(2)
    difficulty = random.random(400)
    a, b = (difficulty < 0.80).astype(float), (difficulty < 0.84).astype(float)
    paired = bootstrap_interval(lambda x, y: float(y.mean() - x.mean()), a, b)
    unpaired = bootstrap_interval(lambda x, y: float(y.mean() - x.mean()), a, random.permutation(b))
    assert paired[1] - paired[0] < 0.6 * (unpaired[1] - unpaired[0])


@pytest.mark.parametrize("columns", [((),), ([1, 2], [1])])
def test_bootstrap_refuses_unusable_columns(columns: tuple[list[int], ...]) -> None:
    with pytest.raises(ValueError, match="same length"):
        bootstrap_interval(np.mean, *columns)


def test_holm_by_hand() -> None:
    assert holm_adjusted([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm_adjusted([0.9, 0.8]) == pytest.approx([1.0, 1.0])
    assert len(holm_adjusted([])) == 0
