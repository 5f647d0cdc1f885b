"""The numbers that a classifier is judged by, computed from what it answered.

All agree with scikit-learn's definitions. One deliberate difference: where several classes share the
highest probability, the one that stands first in the class list wins, here and in every stored table.

What is not defined is not 0: a class that no judged image belongs to (an *absent* class) has no recall and no F1,
and means over classes leave it out, as scikit-learn does with `labels=` the classes present in the truth. Wherever
such a mean stands, the absent classes are named beside it. A class that is present but never predicted has a
precision of 0 (scikit-learn's `zero_division=0`): leaving it out would reward never saying it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from workflows.errors import TrainingError
from workflows.statistics import wilson_bounds, wilson_interval
from workflows.targets.calibration import DEFAULT_BINS, expected_calibration_error
from workflows.targets.metrics import AVERAGE_CONFIDENCE, ECE, F1, LOG_LOSS, PRECISION, RECALL, TOP1, TOP5
from workflows.targets.single_label.labels import IntArray, class_codes, predicted_codes

TOP = 5

# Probabilities are kept as float32, so this is the smallest that scikit-learn's log_loss lets them be.
SMALLEST = float(np.finfo(np.float32).eps)

# All but top-5: the stored answers of a step don't know it.
COMPARED = (TOP1, PRECISION, RECALL, F1, AVERAGE_CONFIDENCE, ECE, LOG_LOSS)


def classification_metrics(
    labels: ArrayLike, probabilities: ArrayLike, classes: Sequence[str], *, bins: int = DEFAULT_BINS
) -> dict[str, Any]:
    """Judge the answers for n images over c classes.

    Args:
        labels: int[n], true classes as positions.
        probabilities: float[n, c], rows summing to 1. Taken as float32, the precision that is stored.
        classes: The c class names.
        bins: Confidence bins of the calibration error.

    Returns:
        The document of :func:`metrics_from_columns`.

    Raises:
        TrainingError: A probability is not a number.
        ValueError: No images, or the shapes don't fit.
    """
    matrix = checked_probabilities(probabilities)
    codes = np.asarray(labels, dtype=np.int64)
    if codes.shape != matrix.shape[:1]:
        raise ValueError(f"{len(matrix)} rows of probabilities need as many labels, got {codes.shape}")
    if matrix.shape[1] != len(classes):
        raise ValueError(f"{matrix.shape[1]} columns of probabilities need as many classes, got {len(classes)}")
    return metrics_from_columns(
        codes,
        predicted_codes(matrix),
        matrix.max(axis=1),
        log_losses(codes, matrix),
        in_top(codes, matrix),
        classes=classes,
        bins=bins,
    )


def metrics_from_columns(
    labels: IntArray,
    predicted: IntArray,
    confidence: ArrayLike,
    losses: ArrayLike,
    among_top: ArrayLike | None,
    *,
    classes: Sequence[str],
    bins: int = DEFAULT_BINS,
) -> dict[str, Any]:
    """Judge the answers from one value per image: the core that live and stored predictions share.

    Returns:
        `top1`, `top5` (share of images whose true class is among the 5 best; left out if `among_top` is
        None, and with so few classes that it says nothing), `precision_macro`, `recall_macro`, `f1_macro` (means over the classes that have images),
        `average_confidence`, `ece`: each in [0, 1]; `log_loss` >= 0 (nats); `top1_ci95` [low, high] by
        Wilson; `support`, the number of images; `absent`, the names of the classes without images, which
        the means leave out.
    """
    if len(labels) == 0:
        raise ValueError("the metrics of no images are undefined")
    correct = labels == predicted
    counts = ClassCounts.of(labels, predicted, len(classes))
    meaningful_top5 = among_top is not None and len(classes) >= TOP5.least_classes
    found = {"top5": float(np.mean(np.asarray(among_top, dtype=bool)))} if meaningful_top5 else {}
    return {
        "top1": float(correct.mean()),
        **found,
        **counts.macro(),
        "average_confidence": float(np.mean(np.asarray(confidence, dtype=np.float64))),
        "ece": expected_calibration_error(confidence, correct, bins),
        "log_loss": float(np.mean(np.asarray(losses, dtype=np.float64))),
        "top1_ci95": list(wilson_interval(int(correct.sum()), len(correct))),
        "support": len(labels),
        "absent": [str(name) for name, images in zip(classes, counts.support, strict=True) if not images],
    }


def per_class_metrics(
    labels: ArrayLike | pd.Series,
    predicted: ArrayLike | pd.Series,
    confidence: ArrayLike | pd.Series,
    classes: Sequence[str],
) -> pd.DataFrame:
    """Judge every class by itself.

    Returns:
        One row per class, in the order of `classes`: `class`, `precision`, `recall`, `f1` (in [0, 1]),
        `support` (images of that class), `predicted` (images taken for it), `average_confidence` (over its
        images), `recall_low`, `recall_high` (Wilson, 95 %). An absent class has NaN for all that needs its
        images; its precision is NaN, too, unless it was predicted (then it is 0).
    """
    truth = class_codes(labels, classes)
    counts = ClassCounts.of(truth, class_codes(predicted, classes), len(classes))
    sums = np.bincount(truth, weights=np.asarray(confidence, dtype=np.float64), minlength=len(classes))
    low, high = wilson_bounds(counts.right, counts.support)
    return pd.DataFrame(
        {
            "class": list(classes),
            "precision": counts.precision,
            "recall": counts.recall,
            "f1": counts.f1,
            "support": counts.support,
            "predicted": counts.taken,
            "average_confidence": _ratio(sums, counts.support),
            "recall_low": np.where(counts.present, low, np.nan),
            "recall_high": np.where(counts.present, high, np.nan),
        }
    )


@dataclass(frozen=True)
class ClassCounts:
    """What every class's figures are made of, and the figures; int64[c] and float64[c], NaN where undefined.

    Attributes:
        support: images of each class.
        taken: images taken for it.
        right: images of it that were taken for it.
    """

    support: IntArray
    taken: IntArray
    right: IntArray

    @classmethod
    def of(cls, labels: IntArray, predicted: IntArray, class_count: int) -> ClassCounts:
        """Count from positions in the class list; quick enough to be bootstrapped."""
        columns = (labels, predicted, labels[labels == predicted])
        return cls(*(np.bincount(codes, minlength=class_count).astype(np.int64) for codes in columns))

    @property
    def present(self) -> NDArray[np.bool_]:
        """Which classes have images: those that the means are over."""
        return self.support > 0

    @property
    def precision(self) -> NDArray[np.float64]:
        """Of the images taken for a class, the share that are; 0 for a present class that was never predicted."""
        return np.where(self.present | (self.taken > 0), self.right / np.maximum(self.taken, 1), np.nan)

    @property
    def recall(self) -> NDArray[np.float64]:
        """Of the images of a class, the share that were found."""
        return _ratio(self.right, self.support)

    @property
    def f1(self) -> NDArray[np.float64]:
        """The harmonic mean of precision and recall."""
        return np.where(self.present, _ratio(2 * self.right, self.support + self.taken), np.nan)

    def macro(self) -> dict[str, float]:
        """Return the means over the classes that have images, of which there must be one."""
        present = self.present
        return {
            "precision_macro": float(self.precision[present].mean()),
            "recall_macro": float(self.recall[present].mean()),
            "f1_macro": float(self.f1[present].mean()),
        }


@dataclass(frozen=True)
class LabelledProbabilities:
    """The answers of one model as arrays, one value per image; quick enough to be bootstrapped."""

    labels: IntArray
    predicted: IntArray
    confidence: NDArray[np.float64]
    losses: NDArray[np.float64]
    class_count: int

    @classmethod
    def of(cls, frame: pd.DataFrame, classes: Sequence[str]) -> LabelledProbabilities:
        """Take them from a table with `label`, `predicted`, `confidence` and `log_loss`."""
        return cls(
            class_codes(frame["label"], classes),
            class_codes(frame["predicted"], classes),
            frame["confidence"].to_numpy(dtype=np.float64),
            frame["log_loss"].to_numpy(dtype=np.float64),
            len(classes),
        )

    def take(self, rows: IntArray) -> LabelledProbabilities:
        """Return the answers for these rows, which may repeat."""
        columns = (self.labels[rows], self.predicted[rows], self.confidence[rows], self.losses[rows])
        return LabelledProbabilities(*columns, self.class_count)

    def metrics(self) -> NDArray[np.float64]:
        """Return the values of :data:`COMPARED`, in their order."""
        correct = self.labels == self.predicted
        means = ClassCounts.of(self.labels, self.predicted, self.class_count).macro()
        ece = expected_calibration_error(self.confidence, correct)
        values = {
            **means,
            "top1": correct.mean(),
            "average_confidence": self.confidence.mean(),
            "ece": ece,
            "log_loss": self.losses.mean(),
        }
        return np.array([values[metric.name] for metric in COMPARED])


def macro_f1(labels: IntArray, predicted: IntArray, class_count: int) -> float:
    """Mean F1 over the classes that have images, from positions."""
    return ClassCounts.of(labels, predicted, class_count).macro()["f1_macro"]


def checked_probabilities(probabilities: ArrayLike) -> NDArray[np.float32]:
    """Return probabilities as float32[n, c], or say what is wrong with them."""
    matrix = np.asarray(probabilities, dtype=np.float32)
    if matrix.ndim != 2 or matrix.shape[1] < 1:
        raise ValueError(f"probabilities must have the shape (images, classes), not {matrix.shape}")
    if not np.isfinite(matrix).all():
        raise TrainingError(
            f"The model's answer is not a number for {int((~np.isfinite(matrix)).any(axis=1).sum())} image(s).",
            hint="The training has diverged: use a lower learning rate, or float32 precision.",
        )
    return matrix


def log_losses(labels: IntArray, probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    """-log of each true class's probability, clipped to [2^-23, 1 - 2^-23] as scikit-learn clips float32."""
    chosen = probabilities[np.arange(len(labels)), labels]
    clipped = np.clip(chosen, np.float32(SMALLEST), np.float32(1.0 - SMALLEST)).astype(np.float64)
    return (-np.log(clipped)).astype(np.float32)


def in_top(labels: IntArray, probabilities: NDArray[np.float32], k: int = TOP) -> NDArray[np.bool_]:
    """Whether each true class is among the k best, ties broken by the order of the classes."""
    own = probabilities[np.arange(len(labels)), labels][:, None]
    earlier = np.arange(probabilities.shape[1])[None, :] < labels[:, None]
    ahead = (probabilities > own) | ((probabilities == own) & earlier)
    return np.asarray(ahead.sum(axis=1) < k)


def _ratio(part: ArrayLike, whole: IntArray) -> NDArray[np.float64]:
    """Divide; NaN where there is nothing to divide by."""
    return np.where(whole > 0, np.asarray(part, dtype=np.float64) / np.maximum(whole, 1), np.nan)
