"""A run while it trains, for a page: read incrementally, in little memory however long it takes."""

from __future__ import annotations

import json
import math
import re
import socket
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from cachetools import LRUCache

from workflows.errors import StorageError
from workflows.evaluation.overfitting import Overfitting, overfitting
from workflows.evaluation.steps import absent_of
from workflows.graph.plan import Step
from workflows.pipeline import answer_path, planned_steps
from workflows.state import State
from workflows.store.answers import SplitAnswer
from workflows.store.files import read_json, storage_errors
from workflows.store.run_folder import RunFolder
from workflows.store.run_list import step_values
from workflows.store.store import RunRecord, Store
from workflows.targets.metrics import F1, TOP1

MOST_POINTS = 1000
"""Points of a line in the browser."""
MOST_KEPT = 4 * MOST_POINTS
"""Points of a line in memory; beyond, the lowest and highest of neighbours stand for all."""
KEPT_RUNS = 16
SPEED_SAMPLES = 600
NEW_LIFE_SECONDS = 600.0
"""Longer between two batches than any evaluation takes: the run was interrupted."""
CHUNK_BYTES = 4_000_000
LOG_BYTES = 64_000
LOG_LINES = 400
SILENT = timedelta(seconds=20)
"""A running run beats every five seconds; after this it is worth checking whether its process is alive."""
STEP_NAMES = ("train/loss", "val/loss", TOP1.on("train"), TOP1.on("val"), F1.on("val"))
_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")

Points = list[tuple[float, float]]


def thin(points: Sequence[tuple[float, float]], most: int = MOST_POINTS) -> Points:
    """Return at most `most` of `points` (x ascending): of each stretch its lowest and highest, and both ends.

    Raises:
        ValueError: `most` is below 4.
    """
    if most < 4:
        raise ValueError(f"a line of at most {most} points would lose its extremes")
    if len(points) <= most:
        return list(points)
    values = np.asarray([y for _, y in points[1:-1]])
    edges = np.linspace(0, len(values), (most - 2) // 2 + 1).astype(int)
    chosen = {0, len(points) - 1}
    for first, last in pairwise(edges.tolist()):
        if last > first:
            stretch = values[first:last]
            chosen |= {1 + first + int(stretch.argmin()), 1 + first + int(stretch.argmax())}
    return [points[place] for place in sorted(chosen)]


class BatchLog:
    """The log of a training's batches, read incrementally."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._forget()

    def _forget(self) -> None:
        self._offset, self._file = 0, -1
        self.loss: Points = []
        """(epochs done, loss) of recorded batches."""
        self.last: dict[str, Any] = {}
        """The newest recorded batch."""
        self.passed: deque[tuple[float, float]] = deque(maxlen=SPEED_SAMPLES)
        """(seconds since 1970, epochs done) of the newest batches since the run last started."""

    def read(self) -> bool:
        """Read new complete lines; return whether the log was restarted (the run resumed from an earlier epoch).

        Raises:
            StorageError: the file can't be read.
        """
        try:
            status = self.path.stat()
        except FileNotFoundError:
            anew = self._file != -1
            self._forget()
            return anew
        anew = self._file not in (-1, status.st_ino) or status.st_size < self._offset
        if anew:
            self._forget()
        self._file = status.st_ino
        with storage_errors(self.path, "read"), self.path.open("rb") as file:
            file.seek(self._offset)
            while whole := _whole_lines(file.read(CHUNK_BYTES)):
                self._offset += len(whole)
                file.seek(self._offset)
                self._take_in(whole)
        return anew

    def _take_in(self, lines: bytes) -> None:
        for line in lines.splitlines():
            try:
                batch = json.loads(line)
                done = batch["epoch"] - 1 + batch["batch"] / batch["batches"]
                loss, moment = float(batch["loss"]), float(batch["time"])
            except (ValueError, KeyError, TypeError, ZeroDivisionError):
                continue  # a line truncated by a crash, and what was appended to it
            self.last = batch
            if math.isfinite(loss):
                self.loss.append((done, loss))
            if self.passed and (moment - self.passed[-1][0] > NEW_LIFE_SECONDS or done < self.passed[-1][1]):
                self.passed.clear()
            self.passed.append((moment, done))
        if len(self.loss) > MOST_KEPT:
            self.loss = thin(self.loss, MOST_KEPT // 2)

    def seconds_left(self, epochs: int) -> float | None:
        """Return how long the training still takes at the present pace; None while that is unknown, and at its end."""
        if len(self.passed) < 3:
            return None
        (began, first), (now, done) = self.passed[0], self.passed[-1]
        if now <= began or done <= first or done >= epochs:
            return None
        return (epochs - done) * (now - began) / (done - first)


def _whole_lines(content: bytes) -> bytes:
    """Return the text without a last line that is still being written."""
    return content[: content.rfind(b"\n") + 1]


@dataclass(frozen=True)
class StepSeen:
    """A stage of a run: its key, a short title, and its seconds; None where it is not done yet."""

    key: str
    words: str
    seconds: float | None


@dataclass(frozen=True)
class Live:
    """The current state of a run.

    Attributes:
        run: its record.
        stages: its stages, in order.
        epochs: planned epochs; None before its workflow is known.
        done: epochs done.
        seconds_left: of training, at the present pace; None while that is unknown, and once all epochs are done.
        batch: the newest batch: loss, learning_rate, images_per_second, maybe gpu_memory_bytes.
        memory_bytes: of its process; None if none runs on this machine.
        loss: (epochs done, loss) of batches.
        steps: metric name -> (step, value).
        images: number per split; empty before the split is made.
        stopping: the requested way to stop: `cancel`, `finish`, or empty.
        absent: classes without validation images, which F1 leaves out.
    """

    run: RunRecord
    stages: tuple[StepSeen, ...]
    epochs: int | None
    done: float
    seconds_left: float | None
    batch: dict[str, Any]
    memory_bytes: int | None
    loss: Points
    steps: dict[str, Points]
    images: dict[str, int]
    stopping: str
    absent: tuple[str, ...] = ()

    @property
    def overfitting(self) -> Overfitting | None:
        """Whether the curves show overfitting; None while there are too few points."""
        return overfitting(self.steps, self.images)


class _History:
    """What was read of one run so far."""

    def __init__(self, folder: RunFolder) -> None:
        self.lock, self.folder = threading.Lock(), folder
        self.batches = BatchLog(folder.training.batches)
        self.steps: dict[str, Points] = {name: [] for name in STEP_NAMES}
        self.newest = 0
        self.stages: dict[str, float] = {}
        self.images: dict[str, int] = {}
        self.absent: tuple[str, ...] | None = None
        self._planned: tuple[bool, list[Step]] | None = None

    def steps_of(self, run: RunRecord) -> list[Step]:
        """Return the stages of the run's workflow; until it is known, of the requested or a default one."""
        settled = run.workflow is not None
        if self._planned is None or self._planned[0] != settled:
            self._planned = settled, planned_steps(run.workflow or (run.request or {}).get("workflow"))
        return self._planned[1]

    def read(self, store: Store, run_id: str) -> None:
        if self.batches.read():
            self.steps, self.newest = {name: [] for name in STEP_NAMES}, 0
        for step, name, value in step_values(store.database, run_id, STEP_NAMES, after=self.newest):
            self.newest = max(self.newest, step)
            self.steps[name].append((float(step), value))
        if self.newest and self.absent is None:
            self.absent = absent_of(self.folder, "val")
        for name, points in self.steps.items():
            if len(points) > MOST_KEPT:
                self.steps[name] = thin(points, MOST_KEPT // 2)


class LiveRuns:
    """Follows runs. Sessions that watch the same run share what is read."""

    def __init__(self, store: Store) -> None:
        self._store, self._lock = store, threading.Lock()
        self._histories: LRUCache[str, _History] = LRUCache(KEPT_RUNS)

    def look(self, run_id: str) -> Live:
        """Return the current state of a run. Cheap enough for every second.

        Raises:
            RunError: there is no such run.
            StorageError: its files can't be read.
        """
        run = self._store.runs.get(run_id)
        if run.state == State.RUNNING and _is_silent(run) and run.run_id in self._store.runs.reconcile():
            run = self._store.runs.get(run.run_id)
        history = self._history(run.run_id)
        with history.lock:
            history.read(self._store, run.run_id)
            batches, epochs = history.batches, _epochs(run)
            loss, passed = thin(batches.loss), batches.passed
            return Live(
                run=run,
                stages=self._stages(history, run),
                epochs=epochs,
                done=passed[-1][1] if passed else 0.0,
                seconds_left=batches.seconds_left(epochs) if epochs else None,
                batch=batches.last,
                memory_bytes=_memory(run),
                loss=loss,
                steps={name: thin(points) for name, points in history.steps.items()},
                images=self._images(history, run),
                stopping=self._stopping(run.run_id),
                absent=history.absent or (),
            )

    def log(self, run_id: str) -> str:
        """Return the end of a run's log, as plain text.

        Raises:
            RunError: this can't be a run's id.
        """
        path = self._store.run_folder(run_id).log
        try:
            with path.open("rb") as file:
                file.seek(max(0, path.stat().st_size - LOG_BYTES))
                content = file.read(LOG_BYTES).decode("utf-8", "replace")
        except OSError:
            return ""
        # progress bars overwrite their line: only its last state counts
        lines = [line.rstrip("\r").rpartition("\r")[2] for line in _ANSI.sub("", content).split("\n")]
        shown = ["".join(c if c.isprintable() or c == "\t" else " " for c in line) for line in lines]
        return "\n".join(line.rstrip() for line in shown[-LOG_LINES:]).strip("\n")

    def _history(self, run_id: str) -> _History:
        with self._lock:
            return self._histories.setdefault(run_id, _History(self._store.run_folder(run_id)))

    def _stages(self, history: _History, run: RunRecord) -> tuple[StepSeen, ...]:
        if run.state == State.PENDING:
            history.stages.clear()
        folder, steps = self._store.run_folder(run.run_id), history.steps_of(run)
        for step in steps:  # each answer is written once
            path = None if step.key in history.stages else answer_path(folder, step.key)
            if path is not None and (seconds := _seconds(path)) is not None:
                history.stages[step.key] = seconds
        return tuple(StepSeen(step.key, step.words, history.stages.get(step.key)) for step in steps)

    def _images(self, history: _History, run: RunRecord) -> dict[str, int]:
        path = self._store.run_folder(run.run_id).answer("split")
        if not history.images and path.exists():
            history.images = SplitAnswer.model_validate(read_json(path)).counts()
        return history.images

    def _stopping(self, run_id: str) -> str:
        runs = self._store.runs
        return "cancel" if runs.cancel_requested(run_id) else "finish" if runs.finish_requested(run_id) else ""


def _seconds(path: Path) -> float | None:
    try:
        return float(read_json(path).get("seconds", 0.0))
    except (StorageError, AttributeError, TypeError, ValueError):
        return None


def _epochs(run: RunRecord) -> int | None:
    for node in (run.workflow or {}).get("nodes", ()):
        if node.get("kind") == "training":
            return int(node["settings"]["epochs"])
    return None


def _is_silent(run: RunRecord) -> bool:
    return run.heartbeat_at is None or datetime.now(UTC) - run.heartbeat_at > SILENT


def _memory(run: RunRecord) -> int | None:
    if run.state != State.RUNNING or run.pid is None or run.host != socket.gethostname():
        return None
    try:
        return int(psutil.Process(run.pid).memory_info().rss)
    except psutil.Error:
        return None
