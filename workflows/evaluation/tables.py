"""The files of an evaluation: everything a person may want to open in a spreadsheet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from workflows.evaluation.calibration import DEFAULT_BINS, reliability_curve
from workflows.evaluation.confusion import confusion_counts, confusion_table, most_confused_pairs
from workflows.evaluation.metrics import per_class_metrics
from workflows.evaluation.predictions import metrics_of, write_predictions
from workflows.store.files import write_json, write_table

MOST_WRONG = 100
MOST_WRONG_COLUMNS = ["image_id", "path", "label", "predicted", "confidence", "label_confidence", "log_loss"]


def evaluate_predictions(
    folder: Path,
    frame: pd.DataFrame,
    classes: Sequence[str],
    splits: Sequence[str] = ("val", "test"),
    *,
    bins: int = DEFAULT_BINS,
) -> dict[str, dict[str, Any] | None]:
    """Write all tables of an evaluation into `folder` (made if absent), each file whole or not at all.

    `predictions.parquet`, `metrics.json`, and for every split with images `per_class_<split>.csv`,
    `confusion_<split>.csv`, `confused_pairs_<split>.csv`, `most_wrong_<split>.csv` and
    `reliability_<split>.csv`.

    Args:
        folder: Usually `<run folder>/evaluation`.
        frame: A table of :func:`workflows.evaluation.predictions.predictions_table`.
        classes: Its class list.
        splits: The splits to judge.
        bins: Confidence bins of the calibration error and the reliability curve.

    Returns:
        The metrics of each split; None for a split that has no images.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_predictions(folder / "predictions.parquet", frame, classes)
    metrics: dict[str, dict[str, Any] | None] = {}
    for split in splits:
        metrics[split] = metrics_of(frame, classes, split, bins=bins)
        if metrics[split] is not None:
            for name, table in split_tables(frame[frame["split"] == split], classes, bins=bins).items():
                write_table(folder / f"{name}_{split}.csv", table)
    write_json(folder / "metrics.json", metrics)
    return metrics


def split_tables(part: pd.DataFrame, classes: Sequence[str], *, bins: int = DEFAULT_BINS) -> Mapping[str, pd.DataFrame]:
    """Make the tables of one split's predictions, by name: see :func:`evaluate_predictions`."""
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
