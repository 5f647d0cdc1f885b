"""A run while it trains, as a page shows it: read bit by bit, kept in little memory however long it takes."""

from __future__ import annotations

import json
import math
import re
import socket
import threading
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from workflows.errors import StorageError
from workflows.pipeline import STAGE_KEYS
from workflows.store.files import read_json, storage_errors
from workflows.store.run_list import step_values
from workflows.store.store import RunRecord, Store

MOST_POINTS = 1000
"""Points of a line in the browser."""
MOST_KEPT = 4 * MOST_POINTS
"""Points of a line in memory; beyond, the lowest and highest of neighbours stand for all."""
KEPT_RUNS = 16
SPEED_SAMPLES = 600
NEW_LIFE_SECONDS = 600.0
"""So long a silence between two batches is no slow evaluation: the run was away."""
CHUNK_BYTES = 4_000_000
LOG_BYTES = 64_000
LOG_LINES = 400
SILENT = timedelta(seconds=20)
"""A running run beats every five seconds; after this it is worth looking whether its process lives."""
STEP_NAMES = ("train/loss", "val/loss", "train/top1", "val/top1", "val/f1_macro")
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
    kept = {0, len(points) - 1}
    for first, last in pairwise(edges.tolist()):
        if last > first:
            stretch = values[first:last]
            kept |= {1 + first + int(stretch.argmin()), 1 + first + int(stretch.argmax())}
    return [points[place] for place in sorted(kept)]


class BatchLog:
    """The log of a training's batches, read from where the last look ended."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._forget()

    def _forget(self) -> None:
        self._offset, self._file = 0, -1
        self.loss: Points = []
        """(epochs done, loss) of recorded batches."""
        self.last: dict[str, Any] = {}
        """The newest batch as it was recorded."""
        self.passed: deque[tuple[float, float]] = deque(maxlen=SPEED_SAMPLES)
        """(seconds since 1970, epochs done) of the newest batches of this life of the run."""

    def read(self) -> bool:
        """Take in whole lines that are new; return whether the log was begun anew (the run goes on from earlier).

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
                continue  # a line that a crash cut, and what was written behind it
            self.last = batch
            if math.isfinite(loss):
                self.loss.append((done, loss))
            if self.passed and (moment - self.passed[-1][0] > NEW_LIFE_SECONDS or done < self.passed[-1][1]):
                self.passed.clear()
            self.passed.append((moment, done))
        if len(self.loss) > MOST_KEPT:
            self.loss = thin(self.loss, MOST_KEPT // 2)

    def seconds_left(self, epochs: int) -> float | None:
        """Return how long the training still takes at the present pace; None while that can't be told."""
        if len(self.passed) < 3:
            return None
        (began, first), (now, done) = self.passed[0], self.passed[-1]
        if now <= began or done <= first:
            return None
        return max(0.0, epochs - done) * (now - began) / (done - first)


def _whole_lines(content: bytes) -> bytes:
    """Cut off a last line that is still being written."""
    return content[: content.rfind(b"\n") + 1]


@dataclass(frozen=True)
class Gap:
    """Where validation loss leaves training loss behind.

    Attributes:
        best_step: the step with the lowest validation loss.
        rise: how much higher it is now, as a share of that lowest.
        steps: how many steps ago that was.
        open: whether the network has begun to learn its photos by heart.
    """

    best_step: int
    rise: float
    steps: int
    open: bool


OPEN_RISE, OPEN_STEPS = 0.05, 2


def overfitting(train: Sequence[tuple[float, float]], val: Sequence[tuple[float, float]]) -> Gap | None:
    """Judge the gap between the losses: open if validation loss rose by 5 % or more since its lowest, two steps or
    more ago, while training loss went on falling. None before the second step.

    Args:
        train, val: (step, loss), steps ascending.
    """
    if len(val) < 2 or not train:
        return None
    best_step, lowest = min(val, key=lambda point: point[1])
    last = val[-1][1]
    behind = sum(step > best_step for step, _ in val)
    rise = (last - lowest) / max(abs(lowest), 1e-12)
    then = next((loss for step, loss in train if step >= best_step), train[-1][1])
    is_open = behind >= OPEN_STEPS and rise >= OPEN_RISE and train[-1][1] < then
    return Gap(int(best_step), rise, behind, is_open)


@dataclass(frozen=True)
class Live:
    """What there is to see of a run at this moment.

    Attributes:
        run: its record.
        stages: (key, seconds) of the stages of its walk; seconds None where it is still to be done.
        epochs: passes over the photos that it was asked for; None before its workflow is known.
        done: epochs done.
        seconds_left: of training, at the present pace; None while that can't be told.
        batch: the newest batch: loss, learning_rate, images_per_second, maybe gpu_memory_bytes.
        memory_bytes: of its process; None if it has none here.
        loss: (epochs done, loss) of batches.
        steps: metric name -> (step, value).
        stopping: what somebody asked for: `cancel`, `finish`, or nothing.
    """

    run: RunRecord
    stages: tuple[tuple[str, float | None], ...]
    epochs: int | None
    done: float
    seconds_left: float | None
    batch: dict[str, Any]
    memory_bytes: int | None
    loss: Points
    steps: dict[str, Points]
    stopping: str

    @property
    def gap(self) -> Gap | None:
        """The gap between training and validation loss."""
        return overfitting(self.steps["train/loss"], self.steps["val/loss"])


class _Course:
    """All that was read of one run so far."""

    def __init__(self, folder: Path) -> None:
        self.lock = threading.Lock()
        self.batches = BatchLog(folder / "training" / "batches.jsonl")
        self.steps: dict[str, Points] = {name: [] for name in STEP_NAMES}
        self.newest = 0
        self.stages: dict[str, float] = {}

    def read(self, store: Store, run_id: str) -> None:
        if self.batches.read():
            self.steps, self.newest = {name: [] for name in STEP_NAMES}, 0
        for step, name, value in step_values(store.database, run_id, STEP_NAMES, after=self.newest):
            self.newest = max(self.newest, step)
            self.steps[name].append((float(step), value))
        for name, points in self.steps.items():
            if len(points) > MOST_KEPT:
                self.steps[name] = thin(points, MOST_KEPT // 2)


class LiveRuns:
    """Follows runs. Many sessions may look at the same one: it is read once for all."""

    def __init__(self, store: Store) -> None:
        self._store, self._lock = store, threading.Lock()
        self._courses: OrderedDict[str, _Course] = OrderedDict()

    def look(self, run_id: str) -> Live:
        """Return what there is to see of a run now. Cheap enough for every second.

        Raises:
            RunError: there is no such run.
            StorageError: its files can't be read.
        """
        run = self._store.runs.get(run_id)
        if run.state == "running" and _is_silent(run) and run.run_id in self._store.runs.reconcile():
            run = self._store.runs.get(run.run_id)
        course = self._course(run.run_id)
        with course.lock:
            course.read(self._store, run.run_id)
            batches, epochs = course.batches, _epochs(run)
            loss, passed = thin(batches.loss), batches.passed
            return Live(
                run=run,
                stages=self._stages(course, run),
                epochs=epochs,
                done=passed[-1][1] if passed else 0.0,
                seconds_left=batches.seconds_left(epochs) if epochs else None,
                batch=batches.last,
                memory_bytes=_memory(run),
                loss=loss,
                steps={name: thin(points) for name, points in course.steps.items()},
                stopping=self._stopping(run.run_id),
            )

    def log(self, run_id: str) -> str:
        """Return the end of what a run's process said, as plain text.

        Raises:
            RunError: this can't be a run's id.
        """
        path = self._store.run_folder(run_id) / "training.log"
        try:
            with path.open("rb") as file:
                file.seek(max(0, path.stat().st_size - LOG_BYTES))
                content = file.read(LOG_BYTES).decode("utf-8", "replace")
        except OSError:
            return ""
        # bars in a terminal write over their own line: only what stood there last counts
        lines = [line.rstrip("\r").rpartition("\r")[2] for line in _ANSI.sub("", content).split("\n")]
        shown = ["".join(c if c.isprintable() or c == "\t" else " " for c in line) for line in lines]
        return "\n".join(line.rstrip() for line in shown[-LOG_LINES:]).strip("\n")

    def _course(self, run_id: str) -> _Course:
        with self._lock:
            course = self._courses.pop(run_id, None) or _Course(self._store.run_folder(run_id))
            self._courses[run_id] = course
            while len(self._courses) > KEPT_RUNS:
                self._courses.popitem(last=False)
            return course

    def _stages(self, course: _Course, run: RunRecord) -> tuple[tuple[str, float | None], ...]:
        if run.state == "pending":
            course.stages.clear()
        folder = self._store.run_folder(run.run_id) / "stages"
        for key in STAGE_KEYS:  # each is written once
            if key not in course.stages and (seconds := _seconds(folder / f"{key}.json")) is not None:
                course.stages[key] = seconds
        return tuple((key, course.stages.get(key)) for key in STAGE_KEYS)

    def _stopping(self, run_id: str) -> str:
        runs = self._store.runs
        return "cancel" if runs.cancel_requested(run_id) else "finish" if runs.finish_requested(run_id) else ""


def _seconds(path: Path) -> float | None:
    if not path.exists():
        return None
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
    if run.state != "running" or run.pid is None or run.host != socket.gethostname():
        return None
    try:
        return int(psutil.Process(run.pid).memory_info().rss)
    except psutil.Error:
        return None
