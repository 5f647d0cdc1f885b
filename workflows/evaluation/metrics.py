"""The numbers that a classifier is judged by, computed from what it answered.

All agree with scikit-learn's definitions. One deliberate difference: where several classes share the
highest probability, the one that stands first in the class list wins, here and in every stored table.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from workflows.errors import TrainingError
from workflows.evaluation.calibration import DEFAULT_BINS, expected_calibration_error
from workflows.evaluation.confusion import IntArray, class_codes, confusion_counts
from workflows.evaluation.statistics import wilson_bounds, wilson_interval

TOP = 5

# Probabilities are kept as float32, so this is the smallest that scikit-learn's log_loss lets them be.
SMALLEST = float(np.finfo(np.float32).eps)


def classification_metrics(labels: ArrayLike, probabilities: ArrayLike, *, bins: int = DEFAULT_BINS) -> dict[str, Any]:
    """Judge the answers for n images over c classes.

    Args:
        labels: int[n], true classes as positions.
        probabilities: float[n, c], rows summing to 1. Taken as float32, the precision that is stored.
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
    return metrics_from_columns(
        codes,
        matrix.argmax(axis=1),
        matrix.max(axis=1),
        log_losses(codes, matrix),
        in_top(codes, matrix),
        class_count=matrix.shape[1],
        bins=bins,
    )


def metrics_from_columns(
    labels: IntArray,
    predicted: IntArray,
    confidence: ArrayLike,
    losses: ArrayLike,
    among_top: ArrayLike | None,
    *,
    class_count: int,
    bins: int = DEFAULT_BINS,
) -> dict[str, Any]:
    """Judge the answers from one value per image: the core that live and stored predictions share.

    Returns:
        `top1`, `top5` (share of images whose true class is among the 5 best; left out if `among_top` is
        None), `precision_macro`, `recall_macro`, `f1_macro` (means over the classes that occur as truth
        or as prediction; 0 where undefined), `average_confidence`, `ece`: each in [0, 1]; `log_loss` >= 0
        (nats); `top1_ci95` [low, high] by Wilson; `support`, the number of images.
    """
    if len(labels) == 0:
        raise ValueError("the metrics of no images are undefined")
    correct = labels == predicted
    names = [str(code) for code in range(class_count)]
    precision, recall, f1, occurs = _shares(confusion_counts(labels, predicted, names))
    found = {} if among_top is None else {"top5": float(np.mean(np.asarray(among_top, dtype=bool)))}
    return {
        "top1": float(correct.mean()),
        **found,
        "precision_macro": float(precision[occurs].mean()),
        "recall_macro": float(recall[occurs].mean()),
        "f1_macro": float(f1[occurs].mean()),
        "average_confidence": float(np.mean(np.asarray(confidence, dtype=np.float64))),
        "ece": expected_calibration_error(confidence, correct, bins),
        "log_loss": float(np.mean(np.asarray(losses, dtype=np.float64))),
        "top1_ci95": list(wilson_interval(int(correct.sum()), len(correct))),
        "support": len(labels),
    }


def per_class_metrics(
    labels: ArrayLike | pd.Series,
    predicted: ArrayLike | pd.Series,
    confidence: ArrayLike | pd.Series,
    classes: Sequence[str],
) -> pd.DataFrame:
    """Judge every class by itself.

    Returns:
        One row per class, in the order of `classes`: `class`, `precision`, `recall`, `f1` (in [0, 1], 0
        where undefined, as scikit-learn's zero_division=0), `support` (images of that class),
        `predicted` (images taken for it), `average_confidence` (over its images, NaN without any),
        `recall_low`, `recall_high` (Wilson, 95 %; 0 and 1 without any image).
    """
    truth = class_codes(labels, classes)
    matrix = confusion_counts(truth, predicted, classes)
    precision, recall, f1, _ = _shares(matrix)
    support = matrix.sum(axis=1)
    sums = np.bincount(truth, weights=np.asarray(confidence, dtype=np.float64), minlength=len(classes))
    low, high = wilson_bounds(np.diag(matrix), support)
    return pd.DataFrame(
        {
            "class": list(classes),
            "precision": precision,
            "recall": recall,
            "f1": f1,
            "support": support,
            "predicted": matrix.sum(axis=0),
            "average_confidence": np.where(support > 0, sums / np.maximum(support, 1), np.nan),
            "recall_low": low,
            "recall_high": high,
        }
    )


def macro_f1(labels: IntArray, predicted: IntArray, class_count: int) -> float:
    """Mean F1 over the classes that occur, from positions: quick enough to be bootstrapped."""
    right = np.bincount(labels[labels == predicted], minlength=class_count)
    either = np.bincount(labels, minlength=class_count) + np.bincount(predicted, minlength=class_count)
    return float((2 * right[either > 0] / either[either > 0]).mean())


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


def _shares(
    matrix: IntArray,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Precision, recall and F1 of every class, and whether the class occurs at all."""
    right = np.diag(matrix).astype(np.float64)
    support, taken = matrix.sum(axis=1), matrix.sum(axis=0)
    precision = right / np.maximum(taken, 1)
    recall = right / np.maximum(support, 1)
    f1 = 2 * right / np.maximum(support + taken, 1)
    return precision, recall, f1, (support + taken) > 0
