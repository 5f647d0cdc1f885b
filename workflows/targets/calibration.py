"""Whether a confidence of 90 % is right in 90 of 100 cases.

Confidence = probability of the predicted class. Bins have equal width over [0, 1] and are closed on
the right, as in Guo et al. 2017, "On Calibration of Modern Neural Networks".
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Field

from workflows.statistics import wilson_bounds

DEFAULT_BINS = 15
CONFIDENCE_TITLE, RIGHT_TITLE = "confidence of the model in its answer", "answers that are right"
"""What the axes of a reliability curve are called, wherever it is drawn."""


class Calibration(BaseModel):
    """What was fitted; the default, and what cards from before this existed say, is a temperature of 1."""

    model_config = ConfigDict(frozen=True)

    temperature: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    """What the logits are divided by before the softmax; above 1 lowers confidences, below 1 raises them."""
    images: int = 0
    """Validation images that it was fitted on."""
    ece_before: float | None = None
    ece_after: float | None = None
    """Expected calibration error on these, in [0, 1], without and with it."""
    log_loss_before: float | None = None
    log_loss_after: float | None = None
    """Mean log loss on these (nats), without and with it."""
    reason: str = ""
    """Why the temperature is 1 although images were there, or none were; empty if one was fitted."""

    @property
    def fitted(self) -> bool:
        """Whether confidences are changed by it."""
        return self.temperature != 1.0


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


def filled_bins(curve: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of :func:`reliability_curve` that can be drawn: bins with images."""
    return curve[curve["count"] > 0]


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
