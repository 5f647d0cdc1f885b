"""How sure a number is: intervals for shares and for any metric, and tests between two models.

Knows nothing of images or classes. All intervals are two-sided.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import bdtr, ndtri

FloatArray = NDArray[np.float64]


def wilson_bounds(successes: ArrayLike, totals: ArrayLike, confidence: float = 0.95) -> tuple[FloatArray, FloatArray]:
    """Wilson's score interval for shares, element by element.

    Of the simple intervals the one whose coverage stays close to what it promises for small totals and
    for shares near 0 and 1 (Wilson 1927; Brown, Cai & DasGupta 2001, "Interval Estimation for a Binomial
    Proportion"). With a total of 0 nothing is known: (0, 1).

    Args:
        successes: Counts, any shape.
        totals: Counts of the same shape, each at least as large as its `successes`.
        confidence: Coverage wanted, in (0, 1).

    Returns:
        Lower and upper bounds in [0, 1], float64, of the same shape.
    """
    _check_confidence(confidence)
    hits, counts = np.asarray(successes, dtype=np.float64), np.asarray(totals, dtype=np.float64)
    if (hits < 0).any() or (hits > counts).any():
        raise ValueError("successes must lie between 0 and the total")
    known = counts > 0
    n = np.where(known, counts, 1.0)
    share = hits / n
    z2 = float(ndtri(0.5 + confidence / 2)) ** 2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = np.sqrt(z2 * share * (1 - share) / n + (z2 / (2 * n)) ** 2) / (1 + z2 / n)
    # at 0 and n the formula gives exactly 0 and 1; rounding alone would miss them by 1e-17
    low = np.where(known & (hits > 0), centre - half, 0.0)
    high = np.where(known & (hits < counts), centre + half, 1.0)
    return np.clip(low, 0.0, 1.0), np.clip(high, 0.0, 1.0)


def wilson_interval(successes: int, total: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval for one share: see :func:`wilson_bounds`."""
    low, high = wilson_bounds(successes, total, confidence)
    return float(low), float(high)


def bootstrap_interval(
    statistic: Callable[..., float],
    *columns: ArrayLike,
    resamples: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile bootstrap interval of any statistic (Efron & Tibshirani 1993, ch. 13).

    Rows are drawn with replacement, the same rows from every column: with the columns of two models the
    interval is a paired one, which is far narrower than comparing two separate intervals.

    Args:
        statistic: Called as `statistic(*resampled_columns)`, must return a finite number.
        columns: Arrays of equal length along the first axis.
        resamples: How often to draw.
        confidence: Coverage wanted, in (0, 1).
        seed: Same seed, same interval.

    Raises:
        ValueError: No rows, or columns of different length.
    """
    _check_confidence(confidence)
    arrays = [np.asarray(column) for column in columns]
    lengths = {len(array) for array in arrays}
    if len(lengths) != 1 or lengths == {0}:
        raise ValueError(f"the columns must have the same length and at least one row, but have {sorted(lengths)}")
    values = [statistic(*(array[rows] for array in arrays)) for rows in resampled(lengths.pop(), resamples, seed)]
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def resampled(rows: int, resamples: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """Yield `resamples` times which of `rows` rows to take, drawn with replacement."""
    random = np.random.default_rng(seed)
    for _ in range(resamples):
        yield random.integers(0, rows, rows)


def mcnemar_exact(correct_a: ArrayLike, correct_b: ArrayLike) -> float:
    """Two-sided exact p-value of McNemar's test: do two models err equally often on the same images?

    Only images that one model gets right and the other wrong tell the two apart; if the models were
    equally good, each of them would fall on either side with probability 1/2 (McNemar 1947). Exact
    binomial, so valid for a handful of images too.

    Args:
        correct_a: bool[n], whether model A is right on each image.
        correct_b: bool[n], the same images for model B.

    Returns:
        p in (0, 1]; 1 where the models never differ.
    """
    a, b = np.asarray(correct_a, dtype=bool), np.asarray(correct_b, dtype=bool)
    if a.shape != b.shape:
        raise ValueError(f"both models must be evaluated on the same images, but shapes are {a.shape} and {b.shape}")
    return discordant_p(int((a & ~b).sum()), int((~a & b).sum()))


def discordant_p(only_a: int, only_b: int) -> float:
    """McNemar's exact p-value from the two discordant counts (see :func:`mcnemar_exact`)."""
    total = only_a + only_b
    if total == 0:
        return 1.0
    return min(1.0, 2.0 * float(bdtr(float(min(only_a, only_b)), total, 0.5)))


def holm_adjusted(p_values: ArrayLike) -> FloatArray:
    """p-values adjusted for multiple comparisons (Holm 1979).

    With 325 classes, 16 would look "significantly better" at 0.05 by luck alone; adjusted, the chance of
    even one false alarm is at most 0.05. The order of the input is preserved.
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    factors = len(p) - np.arange(len(p))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * factors))
    return adjusted


def _check_confidence(confidence: float) -> None:
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence must lie between 0 and 1, but is {confidence:g}")
