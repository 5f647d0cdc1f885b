"""Writes down what happens while a network learns: batches, steps, predictions, dynamics.

Everything that the app shows live or afterwards comes from here. Small runs have epochs of a fraction of a
second, so files are written at most once a second; whoever watches is never more than that behind.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from workflows.store.files import storage_errors, write_atomic, write_table
from workflows.store.run_folder import TrainingFolder
from workflows.throttle import Throttle

FLUSH_SECONDS = 1.0
BATCH_SECONDS = 0.5


class Recorder:
    """Records one training. `record_step` and `forget_steps` are the store's, bound to the run."""

    def __init__(
        self,
        folder: TrainingFolder,
        record_step: Callable[[int, dict[str, float]], None],
        forget_steps: Callable[[int], None],
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        """`metadata`: of every table."""
        self.folder, self._metadata = folder, metadata
        self._record_step, self._forget_steps = record_step, forget_steps
        self._tables: list[tuple[Path, pd.DataFrame]] = []
        self._steps: list[tuple[int, dict[str, float]]] = []
        self._flushes, self._batches = Throttle(FLUSH_SECONDS), Throttle(BATCH_SECONDS)
        for tables in (folder.steps, folder.dynamics):
            tables.path.mkdir(parents=True, exist_ok=True)

    def rewind(self, step: int) -> None:
        """Remove everything after `step`, because training continues from there."""
        self._forget_steps(step)
        for tables in (self.folder.steps, self.folder.dynamics):
            for later in filter(lambda number: number > step, tables.steps()):
                tables.table(later).unlink()
        batches = self.folder.batches
        if batches.exists():
            lines = [line for line in batches.read_text().splitlines() if _epoch_of(line) <= step]
            write_atomic(batches, "".join(f"{line}\n" for line in lines).encode())

    def batch_due(self) -> bool:
        """Return whether it is time to record another batch (reading a loss off a GPU costs a wait)."""
        return self._batches.is_due()

    def batch(self, values: dict[str, Any]) -> None:
        """Record one batch for whoever watches live."""
        self._batches.done()
        path = self.folder.batches
        with storage_errors(path), path.open("a") as file:
            file.write(json.dumps(values | {"time": time.time()}) + "\n")

    def dynamics(self, step: int, table: pd.DataFrame) -> None:
        """Record the confidence in each training image's label in this epoch."""
        self._tables.append((self.folder.dynamics.table(step), table))

    def step(self, step: int, values: dict[str, float], predictions: pd.DataFrame | None) -> None:
        """Record one evaluation: its metrics, and the prediction for every validation photo, if there are any."""
        if predictions is not None:
            self._tables.append((self.folder.steps.table(step), predictions))
        self._steps.append((step, values))
        if self._flushes.is_due():
            self.flush()

    def flush(self) -> None:
        """Write what waits. Predictions come before the metrics that make a step visible."""
        for path, table in self._tables:
            write_table(path, table, self._metadata)
        for step, values in self._steps:
            self._record_step(step, values)
        self._tables.clear()
        self._steps.clear()
        self._flushes.done()


def _epoch_of(line: str) -> float:
    """Return the epoch of a line of the batch log; a line cut by a crash belongs to the lost part."""
    try:
        return float(json.loads(line)["epoch"])
    except (ValueError, KeyError):
        return float("inf")
