"""The answers at one moment of a training, and what changed since the moment before.

Reads what :mod:`workflows.evaluation.predictions` lays out, leaving the full probabilities where they are:
with hundreds of classes they are a hundred times as large as all the rest.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from workflows.errors import RunError
from workflows.evaluation.predictions import CLASSES_KEY
from workflows.store.run_folder import RunFolder, StepFolder
from workflows.targets.base import Target
from workflows.targets.registry import target_in

# What may have happened to an image since the step before; "" = nothing worth a word.
CHANGES = ("", "newly right", "newly wrong", "other mistake")

_AGAIN = "Evaluate the run again: fieldguide evaluate RUN"


def read_step(folder: StepFolder, step: int) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Read the answers of one step, with its class list.

    Returns:
        A table of :meth:`workflows.targets.base.Target.step_table` and a column `correct`.

    Raises:
        RunError: There is no such step, or its file is damaged.
        DatasetError: This installation lacks the target that the file names.
    """
    path = folder.table(step)
    try:
        table = pq.read_table(path)
        return _target_of(table.schema).read_step(table.to_pandas())
    except FileNotFoundError as error:
        known = folder.steps()
        steps = f"It has the steps {known[0]} to {known[-1]}." if known else "None is recorded yet."
        raise RunError(f"The run has no evaluation step {step}.", steps) from error
    except (OSError, pa.ArrowException, KeyError, AttributeError) as error:
        raise RunError(f"The answers in {path} can't be read: {error}", "The file is damaged.") from error


def read_final(path: Path, split: str) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Read the final answers for one split, with the class list.

    Returns:
        The columns of :func:`read_step` (`label_confidence` from the log loss) and `path`.

    Raises:
        RunError: There is no such table, or it is damaged.
        DatasetError: This installation lacks the target that the table names.
    """
    try:
        target = _target_of(pq.read_schema(path))
        table = pq.read_table(path, columns=list(target.answer_columns), filters=[("split", "=", split)])
        classes = tuple(json.loads((table.schema.metadata or {})[CLASSES_KEY.encode()]))
    except (OSError, pa.ArrowException, KeyError, ValueError) as error:
        raise RunError(f"The predictions in {path} can't be read: {error}", _AGAIN) from error
    return target.read_answers(table.to_pandas().drop(columns="split"), classes), classes


def best_answers(path: Path, image_id: str) -> list[tuple[str, float]]:
    """Return the most probable classes of one image in the final answers, best first, with their probabilities.

    Raises:
        RunError: There is no such table, or it is damaged.
    """
    try:
        table = pq.read_table(path, columns=["top", "probabilities"], filters=[("image_id", "=", image_id)])
    except (OSError, pa.ArrowException, ValueError) as error:
        raise RunError(f"The predictions in {path} can't be read: {error}", _AGAIN) from error
    rows = table.to_pylist()
    if not rows:
        return []
    best = sorted(rows[0]["probabilities"], reverse=True)
    return list(zip(rows[0]["top"], map(float, best), strict=False))


def absent_of(run: RunFolder, split: str) -> tuple[str, ...]:
    """Return the classes of a run that a split has no images of; none while its photos are not split yet.

    The means over classes leave them out.
    """
    try:
        records = pq.read_table(run.records)
    except (OSError, pa.ArrowException):
        return ()
    return tuple(_target_of(records.schema).absent(records.to_pandas(), split))


def with_changes(frame: pd.DataFrame, before: pd.DataFrame | None) -> pd.DataFrame:
    """Say of every image what changed since an earlier step.

    Args:
        frame: Answers of :func:`read_step` or :func:`read_final`.
        before: Those of the earlier step; None if there is none.

    Returns:
        `frame` with `predicted_before`, `confidence_before` (both missing where the image was not answered
        before) and `change` (one of :data:`CHANGES`).
    """
    if before is None:
        return frame.assign(predicted_before=None, confidence_before=np.nan, change="")
    earlier = before
    if not np.array_equal(frame["image_id"].to_numpy(), before["image_id"].to_numpy()):
        earlier = before.set_index("image_id").reindex(frame["image_id"]).reset_index()
    known = earlier["confidence"].notna().to_numpy()
    was = earlier["correct"].to_numpy() == True  # noqa: E712 - missing counts as not right
    right = frame["correct"].to_numpy(bool)
    answer, old = frame["predicted"].astype(object).to_numpy(), earlier["predicted"].astype(object).to_numpy()
    conditions = [~known, right & ~was, ~right & was, ~right & (answer != old)]
    change = np.select(conditions, [CHANGES[0], *CHANGES[1:]], default="")
    return frame.assign(predicted_before=old, confidence_before=earlier["confidence"].to_numpy(), change=change)


def history_of(folder: StepFolder, image_id: str, steps: Sequence[int]) -> pd.DataFrame:
    """Return the predictions for one image, step by step.

    Returns:
        `step`, `predicted`, `confidence`, `label_confidence`: one row for each step that answered it.
    """
    columns = ["predicted", "confidence", "label_confidence"]
    rows: list[dict[str, object]] = []
    for step in steps:
        path = folder.table(step)
        try:
            found = pq.read_table(path, columns=columns, filters=[("image_id", "=", image_id)]).to_pylist()
        except (OSError, pa.ArrowException):  # a resumed training is writing the step again
            continue
        rows.extend({"step": step, **row} for row in found)
    return pd.DataFrame(rows, columns=["step", *columns])


def _target_of(schema: pa.Schema) -> Target:
    return target_in({key.decode(): value.decode() for key, value in (schema.metadata or {}).items()})
