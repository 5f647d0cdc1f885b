"""The file of a model's final answers, for each image of the splits that were judged."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from workflows.errors import RunError
from workflows.store.files import read_metadata, write_table
from workflows.targets.base import Target
from workflows.targets.registry import metadata_of, target_in, target_named

CLASSES_KEY = "classes"
TEMPERATURE_KEY = "temperature"


def write_predictions(
    path: Path, frame: pd.DataFrame, classes: Sequence[str], temperature: float = 1.0, target: Target | None = None
) -> None:
    """Write a predictions table as Parquet.

    Its schema metadata has the class list under `classes` (JSON), under `temperature` what the logits were divided
    by before they became probabilities, and under `target` what the labels are.
    """
    facts = {CLASSES_KEY: json.dumps(list(classes), ensure_ascii=False), TEMPERATURE_KEY: repr(float(temperature))}
    write_table(path, frame, facts | metadata_of(target or target_named()))


def target_of(path: Path) -> Target:
    """Return the target of a table of answers; the default where it was written before there was a choice.

    Raises:
        StorageError: there is no such table, or it is damaged.
        DatasetError: this Fieldguide does not know the target.
    """
    return target_in(read_metadata(path))


def common_target(*paths: Path) -> Target:
    """Return the target of several tables of answers.

    Raises:
        RunError: they have different ones.
        StorageError, DatasetError: as :func:`target_of`.
    """
    found = {target_of(path).name for path in paths}
    if len(found) > 1:
        raise RunError(
            f"These runs have labels of different kinds: {', '.join(sorted(found))}.", "Compare like with like."
        )
    return target_named(found.pop())


def temperature_of(path: Path) -> float:
    """Return the temperature of a predictions table; 1 where it was written before there was one.

    Raises:
        StorageError: there is no such table, or it is damaged.
    """
    return float(read_metadata(path).get(TEMPERATURE_KEY, 1.0))


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
