"""What is gained and lost by leaving answers of low confidence to a person."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from workflows.evaluation.statistics import wilson_bounds


def coverage_curve(confidence: ArrayLike, correct: ArrayLike, points: int = 201) -> pd.DataFrame:
    """Follow coverage and accuracy over the confidence threshold.

    An answer is kept if its confidence is at least the threshold.

    Args:
        confidence: float[n] in [0, 1].
        correct: bool[n].
        points: Thresholds, evenly over [0, 1].

    Returns:
        `threshold`, `kept` (images), `coverage` (their share), `accuracy` (of these; NaN where none is
        kept), `accuracy_low`, `accuracy_high` (Wilson, 95 %).
    """
    values, right = np.asarray(confidence, dtype=np.float64), np.asarray(correct, dtype=bool)
    thresholds = np.linspace(0.0, 1.0, points)
    kept, hits = _at_least(values, thresholds), _at_least(values[right], thresholds)
    low, high = wilson_bounds(hits, kept)
    return pd.DataFrame(
        {
            "threshold": thresholds,
            "kept": kept,
            "coverage": kept / max(len(values), 1),
            "accuracy": np.where(kept > 0, hits / np.maximum(kept, 1), np.nan),
            "accuracy_low": low,
            "accuracy_high": high,
        }
    )


def threshold_for(confidence: ArrayLike, correct: ArrayLike, accuracy: float) -> float | None:
    """Return the lowest confidence at which all answers as confident or more are right often enough.

    Args:
        confidence: float[n] in [0, 1].
        correct: bool[n].
        accuracy: Wanted share of right answers among those kept, in [0, 1].

    Returns:
        The confidence of an answer; None if no threshold reaches it.
    """
    values, right = np.asarray(confidence, dtype=np.float64), np.asarray(correct, dtype=bool)
    order = np.argsort(-values, kind="stable")
    ranked, hits = values[order], np.cumsum(right[order])
    # a threshold can't cut between equally confident answers: only the last of them counts
    ends = np.append(ranked[1:] != ranked[:-1], True) if len(ranked) else np.zeros(0, dtype=bool)
    enough = ends & (hits / np.arange(1, len(ranked) + 1) >= accuracy)
    return float(ranked[np.flatnonzero(enough)[-1]]) if enough.any() else None


def confidence_histogram(confidence: ArrayLike, correct: ArrayLike, bins: int = 20) -> pd.DataFrame:
    """Count right and wrong answers by confidence.

    Returns:
        `bin_low`, `bin_high`, `right`, `wrong`: one row for each of `bins` equal widths over [0, 1].
    """
    values, hits = np.asarray(confidence, dtype=np.float64), np.asarray(correct, dtype=bool)
    edges = np.linspace(0.0, 1.0, bins + 1)
    right, wrong = (np.histogram(values[chosen], bins=edges)[0] for chosen in (hits, ~hits))
    return pd.DataFrame({"bin_low": edges[:-1], "bin_high": edges[1:], "right": right, "wrong": wrong})


def _at_least(values: NDArray[np.float64], thresholds: NDArray[np.float64]) -> NDArray[np.int64]:
    return (len(values) - np.searchsorted(np.sort(values), thresholds, side="left")).astype(np.int64)
