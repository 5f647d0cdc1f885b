"""The tables of answers for images with one label each, and what is made of them.

Three tables share their column names:

* *predictions*: the final answers, with all probabilities; everything else can be computed from it;
* *steps*: the answers for the validation images at one evaluation step, small enough to keep for each;
* *dynamics*: how strongly the label was believed for each training image in one epoch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from workflows.targets.calibration import DEFAULT_BINS, expected_calibration_error, reliability_curve
from workflows.targets.single_label.confusion import confusion_counts, confusion_table, most_confused_pairs
from workflows.targets.single_label.labels import class_codes, predicted_codes, ranked_codes
from workflows.targets.single_label.metrics import (
    TOP,
    checked_probabilities,
    log_losses,
    metrics_from_columns,
    per_class_metrics,
)
from workflows.targets.single_label.temperature import without_temperature

MOST_WRONG = 100
MOST_WRONG_COLUMNS = ["image_id", "path", "label", "predicted", "confidence", "label_confidence", "log_loss"]


def predictions_table(
    image_ids: Sequence[str],
    paths: Sequence[str],
    splits: Sequence[str],
    labels: ArrayLike | pd.Series,
    probabilities: ArrayLike,
    classes: Sequence[str],
) -> pd.DataFrame:
    """Lay out the final answers, one row per image.

    Args:
        image_ids: n ids.
        paths: n paths in the source, for people.
        splits: n times train, val or test.
        labels: n true classes, as names or as positions in `classes`.
        probabilities: float[n, c] in the order of `classes`, rows summing to 1.
        classes: The c class names.

    Returns:
        `image_id`, `path`, `split`, `label`, `predicted` (str), `confidence` (float32, of the predicted
        class), `correct` (bool), `log_loss` (float32, nats), `top` (the 5 best names, best first),
        `probabilities` (float32[c]).

    Raises:
        DatasetError: A label is none of `classes`.
        TrainingError: A probability is not a number.
    """
    matrix, codes, names = checked_probabilities(probabilities), class_codes(labels, classes), _names(classes)
    best = ranked_codes(matrix, TOP)
    return pd.DataFrame(
        {
            "image_id": np.asarray(image_ids, dtype=object),
            "path": np.asarray(paths, dtype=object),
            "split": np.asarray(splits, dtype=object),
            "label": names[codes],
            "predicted": names[best[:, 0]],
            "confidence": matrix[np.arange(len(matrix)), best[:, 0]],
            "correct": codes == best[:, 0],
            "log_loss": log_losses(codes, matrix),
            "top": pd.Series(list(names[best]), dtype=object),
            "probabilities": pd.Series(list(matrix), dtype=object),
        }
    )


def step_table(
    image_ids: Sequence[str], labels: ArrayLike | pd.Series, probabilities: ArrayLike, classes: Sequence[str]
) -> pd.DataFrame:
    """Lay out the answers of one evaluation step, without the full probabilities.

    Returns:
        `image_id` (str), `label`, `predicted` (categories in the order of `classes`), `confidence`,
        `label_confidence` (probability of the true class), `log_loss` (float32).
    """
    matrix, codes = checked_probabilities(probabilities), class_codes(labels, classes)
    return pd.DataFrame(
        {
            "image_id": np.asarray(image_ids, dtype=object),
            "label": _category(codes, classes),
            "predicted": _category(predicted_codes(matrix), classes),
            "confidence": matrix.max(axis=1),
            "label_confidence": matrix[np.arange(len(matrix)), codes],
            "log_loss": log_losses(codes, matrix),
        }
    )


def dynamics_table(
    image_ids: Sequence[str], labels: ArrayLike | pd.Series, logits: ArrayLike, classes: Sequence[str]
) -> pd.DataFrame:
    """Lay out how strongly each training image's label was believed in one epoch.

    Args:
        image_ids: n ids.
        labels: n labels, as names or as positions in `classes`.
        logits: float[n, c], the outputs before the softmax (log-probabilities serve as well).
        classes: The c >= 2 class names.

    Returns:
        `image_id` (str), `label` (category), `label_confidence` (float32 in [0, 1]), `margin` (float32:
        the label's logit minus the largest other one), `other` (category: the class of that largest one).
    """
    outputs, codes = checked_probabilities(logits).astype(np.float64), class_codes(labels, classes)
    rows = np.arange(len(outputs))
    own, rest = outputs[rows, codes], outputs.copy()
    rest[rows, codes] = -np.inf
    rival = predicted_codes(rest)
    peak = outputs.max(axis=1, keepdims=True)
    belief = np.exp(own - peak[:, 0]) / np.exp(outputs - peak).sum(axis=1)
    return pd.DataFrame(
        {
            "image_id": np.asarray(image_ids, dtype=object),
            "label": _category(codes, classes),
            "label_confidence": belief.astype(np.float32),
            "margin": (own - rest[rows, rival]).astype(np.float32),
            "other": _category(rival, classes),
        }
    )


def judged(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table of a step with `correct`, from the codes: both columns have the same categories."""
    return frame.assign(correct=frame["label"].cat.codes.to_numpy() == frame["predicted"].cat.codes.to_numpy())


def answers_as_step(frame: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """Return final answers with the columns of a judged step (`label_confidence` from the log loss)."""
    places = pd.Index(list(classes))
    columns = {name: pd.Categorical(frame[name].astype(object), categories=places) for name in ("label", "predicted")}
    # the loss was clipped a little, which nobody can see in a probability
    own = np.exp(-frame["log_loss"].to_numpy(np.float64)).astype(np.float32)
    return judged(frame.assign(**columns, label_confidence=own))


def metrics_of(
    frame: pd.DataFrame, classes: Sequence[str], split: str | None = None, *, bins: int = DEFAULT_BINS
) -> dict[str, Any] | None:
    """Compute the metrics from the stored columns alone (predictions or step table).

    Args:
        frame: A predictions or step table; `top5` is left out where there is no column `top`.
        classes: The class list of the table.
        split: Only these images; None for all.
        bins: Confidence bins of the calibration error.

    Returns:
        The document of :func:`workflows.targets.single_label.metrics.metrics_from_columns`, or None without images.
    """
    part = frame if split is None else frame[frame["split"] == split]
    if part.empty:
        return None
    labels = np.asarray(part["label"], dtype=object)
    among_top = None
    if "top" in part:
        among_top = np.array([label in list(best) for label, best in zip(labels, part["top"], strict=True)])
    return metrics_from_columns(
        class_codes(labels, classes),
        class_codes(part["predicted"], classes),
        part["confidence"].to_numpy(),
        part["log_loss"].to_numpy(),
        among_top,
        classes=classes,
        bins=bins,
    )


def uncalibrated_metrics(
    frame: pd.DataFrame, classes: Sequence[str], split: str, temperature: float, *, bins: int = DEFAULT_BINS
) -> dict[str, float]:
    """Return what a split's figures about confidence were without the temperature.

    Returns:
        `average_confidence`, `ece`, `log_loss`; no other metric depends on it.
    """
    part = frame[frame["split"] == split]
    plain = without_temperature(probability_matrix(part), temperature)
    codes = class_codes(part["label"], classes)
    return {
        "average_confidence": float(plain.max(axis=1).astype(np.float64).mean()),
        "ece": expected_calibration_error(plain.max(axis=1), part["correct"], bins),
        "log_loss": float(log_losses(codes, plain).astype(np.float64).mean()),
    }


def split_tables(part: pd.DataFrame, classes: Sequence[str], *, bins: int = DEFAULT_BINS) -> Mapping[str, pd.DataFrame]:
    """Make the tables of one split's predictions, by name: see :func:`workflows.evaluation.tables.evaluate_predictions`."""
    matrix = confusion_counts(part["label"], part["predicted"], classes)
    return {
        "per_class": per_class_metrics(part["label"], part["predicted"], part["confidence"], classes),
        "confusion": confusion_table(matrix, classes),
        "confused_pairs": most_confused_pairs(part),
        "most_wrong": most_wrong(part, classes),
        "reliability": reliability_curve(part["confidence"], part["correct"], bins),
    }


def most_wrong(part: pd.DataFrame, classes: Sequence[str], limit: int = MOST_WRONG) -> pd.DataFrame:
    """List the most confidently wrong answers: mistakes first in order of confidence.

    Returns:
        At most `limit` rows: `image_id`, `path`, `label`, `predicted`, `confidence`, `label_confidence`
        (probability given to the true class), `log_loss`.
    """
    position = {name: place for place, name in enumerate(classes)}
    wrong = part[~part["correct"].to_numpy(dtype=bool)]
    wrong = wrong.sort_values(["confidence", "log_loss", "image_id"], ascending=[False, False, True]).head(limit)
    beliefs = [float(row[position[label]]) for row, label in zip(wrong["probabilities"], wrong["label"], strict=True)]
    return wrong.assign(label_confidence=pd.Series(beliefs, index=wrong.index, dtype="float32"))[
        MOST_WRONG_COLUMNS
    ].reset_index(drop=True)


def probability_matrix(frame: pd.DataFrame) -> NDArray[np.float32]:
    """Return the stored probabilities as float32[n, c]."""
    return np.stack(list(frame["probabilities"])).astype(np.float32)


def _names(classes: Sequence[str]) -> NDArray[np.object_]:
    return np.array([*classes, None], dtype=object)[:-1]


def _category(codes: NDArray[np.int64], classes: Sequence[str]) -> pd.Categorical[str]:
    return pd.Categorical.from_codes(codes, categories=pd.Index(list(classes)))
