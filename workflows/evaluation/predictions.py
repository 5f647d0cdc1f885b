"""What a model answered for each image, as tables of names.

Three tables share their column names:

* *predictions*: the final answers, with all probabilities; everything else can be computed from it;
* *steps*: the answers for the validation images at one evaluation step, small enough to keep for each;
* *dynamics*: how strongly the label was believed for each training image in one epoch.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import ArrayLike, NDArray

from workflows.errors import RunError
from workflows.evaluation.calibration import DEFAULT_BINS
from workflows.evaluation.confusion import class_codes
from workflows.evaluation.metrics import (
    TOP,
    checked_probabilities,
    log_losses,
    metrics_from_columns,
)
from workflows.store.files import write_table

CLASSES_KEY = "classes"


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
    best = _best(matrix)
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
            "predicted": _category(matrix.argmax(axis=1), classes),
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
    rival = rest.argmax(axis=1)
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


def write_predictions(path: Path, frame: pd.DataFrame, classes: Sequence[str]) -> None:
    """Write a predictions table as Parquet, the class list in its schema metadata under `classes` (JSON)."""
    write_table(path, frame, {CLASSES_KEY: json.dumps(list(classes), ensure_ascii=False)})


def read_predictions(path: Path) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Read a table of :func:`write_predictions` back, with its class list.

    Raises:
        RunError: There is no such table, or it is damaged.
    """
    try:
        table = pq.read_table(path)
        classes = tuple(json.loads((table.schema.metadata or {})[CLASSES_KEY.encode()]))
    except (OSError, pa.ArrowException, KeyError, ValueError) as error:
        raise RunError(
            f"The predictions in {path} can't be read: {error}",
            hint="Evaluate the run again: fieldguide evaluate RUN",
        ) from error
    return table.to_pandas(), classes


def probability_matrix(frame: pd.DataFrame) -> NDArray[np.float32]:
    """Return the stored probabilities as float32[n, c]."""
    return np.stack(list(frame["probabilities"])).astype(np.float32)


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
        The document of :func:`workflows.evaluation.metrics.metrics_from_columns`, or None without images.
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
        class_count=len(classes),
        bins=bins,
    )


def _best(matrix: NDArray[np.float32]) -> NDArray[np.int64]:
    """Positions of the 5 most probable classes of each row, best first; equal ones in class order."""
    return np.argsort(-matrix, axis=1, kind="stable")[:, :TOP]


def _names(classes: Sequence[str]) -> NDArray[np.object_]:
    return np.array([*classes, None], dtype=object)[:-1]


def _category(codes: NDArray[np.int64], classes: Sequence[str]) -> pd.Categorical[str]:
    return pd.Categorical.from_codes(codes, categories=pd.Index(list(classes)))
