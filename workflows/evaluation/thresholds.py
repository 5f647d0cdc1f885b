"""The review threshold: predictions of lower confidence are for a person to check, and what that gains and costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from workflows.statistics import wilson_bounds, wilson_interval

DEFAULT_THRESHOLD = 0.6
"""Of models for which nobody has saved one."""
FINEST = 1000
"""Thresholds are chosen in steps of this part of the whole, those of the slider."""
_EXACT = 6
"""Digits of a threshold: 0.35 is 0.35, whatever the arithmetic that led to it."""


@dataclass(frozen=True)
class JudgedThreshold:
    """What a threshold does to the predictions for the images of one split.

    Attributes:
        split: `val` or `test`.
        images: predictions in all.
        accepted: those at least as confident as the threshold.
        right: those of the accepted that are right.
    """

    split: str
    images: int
    accepted: int
    right: int

    @property
    def coverage(self) -> float | None:
        """The share of predictions that are accepted; None without images."""
        return self.accepted / self.images if self.images else None

    @property
    def coverage_ci95(self) -> tuple[float, float]:
        """Wilson's interval of the coverage."""
        return wilson_interval(self.accepted, self.images)

    @property
    def accuracy(self) -> float | None:
        """The share of accepted predictions that are right; None where none is accepted."""
        return self.right / self.accepted if self.accepted else None

    @property
    def accuracy_ci95(self) -> tuple[float, float]:
        """Wilson's interval of the accuracy."""
        return wilson_interval(self.right, self.accepted)

    def document(self) -> dict[str, Any]:
        """Return the counts, and the shares with their intervals."""
        shares = ("coverage", "coverage_ci95", "accuracy", "accuracy_ci95")
        counts = {"split": self.split, "images": self.images, "accepted": self.accepted, "right": self.right}
        return counts | {name: getattr(self, name) for name in shares}

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> JudgedThreshold:
        """Return what :meth:`document` describes."""
        return cls(document["split"], document["images"], document["accepted"], document["right"])


@dataclass(frozen=True)
class ReviewThreshold:
    """The one scale for a classifier's predictions: what is less confident is to be reviewed by a person.

    Attributes:
        value: confidence in [0, 1].
        is_default: nobody has saved one for this classifier.
        wanted: accuracy of accepted predictions that it was chosen for; None where it was given as a number.
        chosen_on: split whose predictions it was chosen on; empty where it was given as a number.
        judged: what it does on each split, as measured when it was saved.
    """

    value: float = DEFAULT_THRESHOLD
    is_default: bool = True
    wanted: float | None = None
    chosen_on: str = ""
    judged: tuple[JudgedThreshold, ...] = ()
    author: str = ""
    reason: str = ""
    created_at: datetime | None = None

    def to_review(self, confidence: float) -> bool:
        """Return whether a person should check a prediction of this confidence."""
        return confidence < self.value

    def document(self) -> dict[str, Any]:
        """Return it as plain data."""
        names = ("value", "is_default", "wanted", "chosen_on", "author", "reason", "created_at")
        return {name: getattr(self, name) for name in names} | {"judged": [each.document() for each in self.judged]}


def judge_threshold(threshold: float, split: str, confidence: ArrayLike, correct: ArrayLike) -> JudgedThreshold:
    """Return what a threshold does to predictions of these confidences, right or wrong."""
    accepted = np.asarray(confidence, dtype=np.float64) >= threshold
    right = np.asarray(correct, dtype=bool) & accepted
    return JudgedThreshold(split, len(accepted), int(accepted.sum()), int(right.sum()))


def coverage_curve(confidence: ArrayLike, correct: ArrayLike, points: int = 201) -> pd.DataFrame:
    """Follow coverage and accuracy over the confidence threshold.

    A prediction is accepted if its confidence is at least the threshold.

    Args:
        confidence: float[n] in [0, 1].
        correct: bool[n].
        points: Thresholds, evenly over [0, 1].

    Returns:
        `threshold`, `kept` (images), `coverage` (their share), `accuracy` (of these; NaN where none is
        accepted), `accuracy_low`, `accuracy_high` (Wilson, 95 %).
    """
    values, right = np.asarray(confidence, dtype=np.float64), np.asarray(correct, dtype=bool)
    thresholds = np.round(np.linspace(0.0, 1.0, points), _EXACT)
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
    """Return the lowest threshold, in tenths of a percent, at which the accepted predictions are right often enough.

    Args:
        confidence: float[n] in [0, 1].
        correct: bool[n].
        accuracy: Wanted share of right predictions among those accepted, in [0, 1].

    Returns:
        The threshold; None if none that accepts any prediction reaches it.
    """
    curve = coverage_curve(confidence, correct, FINEST + 1)
    enough = curve[curve["accuracy"] >= accuracy]
    return float(enough["threshold"].iloc[0]) if len(enough) else None


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
