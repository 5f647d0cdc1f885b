"""Whether a confidence of 90 % is right in 90 of 100 cases.

Confidence = probability of the predicted class. Bins have equal width over [0, 1] and are closed on
the right, as in Guo et al. 2017, "On Calibration of Modern Neural Networks".
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from workflows.evaluation.statistics import wilson_bounds

DEFAULT_BINS = 15


def expected_calibration_error(confidence: ArrayLike, correct: ArrayLike, bins: int = DEFAULT_BINS) -> float:
    """Average gap between confidence and accuracy, weighted by the images in each bin (Guo et al. 2017, eq. 3).

    Args:
        confidence: float[n] in [0, 1].
        correct: bool[n].
        bins: Number of equal-width bins.

    Returns:
        A value in [0, 1]; 0 is perfect.

    Raises:
        ValueError: No images.
    """
    counts, confidence_sums, hits = _bin_sums(confidence, correct, bins)
    if counts.sum() == 0:
        raise ValueError("the calibration error of no images is undefined")
    return float(np.abs(confidence_sums - hits).sum() / counts.sum())


def reliability_curve(confidence: ArrayLike, correct: ArrayLike, bins: int = DEFAULT_BINS) -> pd.DataFrame:
    """Describe every confidence bin: what the model promised, and what it kept.

    Returns:
        One row per bin: `bin_low`, `bin_high`, `count`, `confidence` (mean), `accuracy`, `accuracy_low`,
        `accuracy_high` (Wilson, 95 %). In empty bins the last four are NaN.
    """
    counts, confidence_sums, hits = _bin_sums(confidence, correct, bins)
    empty = counts == 0
    sizes = np.where(empty, 1, counts)
    low, high = wilson_bounds(hits, counts)
    edges = np.linspace(0.0, 1.0, bins + 1)
    return pd.DataFrame(
        {
            "bin_low": edges[:-1],
            "bin_high": edges[1:],
            "count": counts,
            "confidence": np.where(empty, np.nan, confidence_sums / sizes),
            "accuracy": np.where(empty, np.nan, hits / sizes),
            "accuracy_low": np.where(empty, np.nan, low),
            "accuracy_high": np.where(empty, np.nan, high),
        }
    )


def _bin_sums(
    confidence: ArrayLike, correct: ArrayLike, bins: int
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
    """Images, sum of confidence and right answers in each bin."""
    values, right = np.asarray(confidence, dtype=np.float64), np.asarray(correct, dtype=np.float64)
    if bins < 1 or values.shape != right.shape:
        raise ValueError(f"need one `correct` for each confidence, and 1 bin or more; got {bins} bins")
    inner_edges = np.linspace(0.0, 1.0, bins + 1)[1:-1]
    places = np.searchsorted(inner_edges, values, side="left")
    counts = np.bincount(places, minlength=bins).astype(np.int64)
    sums = np.bincount(places, weights=values, minlength=bins).astype(np.float64)
    return counts, sums, np.bincount(places, weights=right, minlength=bins).astype(np.int64)
