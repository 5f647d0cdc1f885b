"""The files of an evaluation: everything a person may want to open in a spreadsheet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from workflows.evaluation.predictions import write_predictions
from workflows.store.files import write_json, write_table
from workflows.store.run_folder import EvaluationFolder
from workflows.targets.base import Target
from workflows.targets.calibration import DEFAULT_BINS
from workflows.targets.registry import target_named


def evaluate_predictions(
    folder: Path,
    frame: pd.DataFrame,
    classes: Sequence[str],
    splits: Sequence[str] = ("val", "test"),
    *,
    bins: int = DEFAULT_BINS,
    temperature: float = 1.0,
    target: Target | None = None,
) -> dict[str, dict[str, Any] | None]:
    """Write all tables of an evaluation into `folder` (made if absent), each file whole or not at all.

    `predictions.parquet`, `metrics.json`, and for every split with images the target's tables (`Target.split_tables`)
    as `<table>_<split>.csv`.

    Args:
        folder: Usually `<run folder>/evaluation`.
        frame: A table of :meth:`workflows.targets.base.Target.predictions_table`.
        classes: Its class list.
        splits: The splits to judge.
        bins: Confidence bins of the calibration error and the reliability curve.
        temperature: What the logits were divided by to get these probabilities; stored with the predictions.
        target: What the labels are; None for the default.

    Returns:
        The metrics of each split, where a temperature was applied with `uncalibrated` (see
        :meth:`workflows.targets.base.Target.uncalibrated_metrics`); None for a split that has no images.
    """
    target = target or target_named()
    folder.mkdir(parents=True, exist_ok=True)
    files = EvaluationFolder(folder)
    write_predictions(files.predictions, frame, classes, temperature, target)
    metrics: dict[str, dict[str, Any] | None] = {}
    for split in splits:
        found = metrics[split] = target.metrics_of(frame, classes, split, bins=bins)
        if found is not None:
            if temperature != 1.0:
                found["uncalibrated"] = target.uncalibrated_metrics(frame, classes, split, temperature, bins=bins)
            for name, table in target.split_tables(frame[frame["split"] == split], classes, bins=bins).items():
                write_table(files.table(name, split), table)
    write_json(files.metrics, metrics)
    return metrics
