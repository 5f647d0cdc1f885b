"""What Home shows: the data sets in numbers, how far each is, and what needs attention."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Literal

from app.client.cache import Cache
from workflows.data.audit.findings import counts_in_words
from workflows.data.audit.run import AUDIT_FILE
from workflows.errors import FieldguideError, StorageError
from workflows.state import ALIVE, State
from workflows.store.files import read_json
from workflows.store.recent import RecentAnswers
from workflows.store.run_list import newest_runs
from workflows.store.store import Store

SERIOUS = ("error", "warning")
KEPT_DRIFTS = 64
DRIFT_NS = 60_000_000_000
"""How long the drift of a model that is in use right now is taken as known."""
STEPS = {
    "import": "Import",
    "look": "Look",
    "train": "Train",
    "evaluate": "Evaluate",
    "register": "Register",
    "schedule": "Schedule",
}
"""The way from photos to a model that stays good, in order."""
NextStep = Literal["look", "train", "watch", "evaluate", "schedule", ""]
"""What is to be done next; `watch` while a training is under way. A run is evaluated in order to register it."""


@dataclass(frozen=True)
class DatasetBrief:
    """One data set as one line."""

    name: str
    version: int
    images: int
    classes: int
    changed_at: datetime
    findings: tuple[str, ...] | None
    """Titles of the audit's errors and warnings; None if the version was not audited."""
    audited: str | None
    """Everything that the audit found, remarks included, as `1 warning, 2 remarks`; None if there was no audit."""
    errors: int = 0
    """How many of the findings are errors, which stop a training."""


@dataclass(frozen=True)
class Progress:
    """How far a data set is on its way to a model that stays good.

    Attributes:
        dataset: its name.
        next: the next step; empty if all are done.
        words: why that is the next step.
        run_id: the run that it is about; empty if it is about none.
        model: the model that was made of it; empty if there is none yet.
    """

    dataset: str
    next: NextStep
    words: str
    run_id: str = ""
    model: str = ""


class Attention:
    """Reads stored reports; never starts an audit."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._drifts = Cache(KEPT_DRIFTS)

    def datasets(self) -> list[DatasetBrief]:
        """Return all data sets, those changed last first."""
        found = []
        for version in self._store.datasets.newest():
            findings = self._findings(version.dataset, version.number)
            brief = DatasetBrief(
                version.dataset,
                version.number,
                version.images,
                len(version.classes),
                version.created_at,
                None if findings is None else findings.serious,
                None if findings is None else findings.words,
                0 if findings is None else findings.errors,
            )
            found.append(brief)
        return sorted(found, key=lambda brief: brief.changed_at, reverse=True)

    # ---------------------------------------------------------------- next steps

    def next_step(self) -> Progress | None:
        """Return the progress of the data set changed last that is not at the end of its way; else of the one changed last.

        None without any data set.
        """
        latest: Progress | None = None
        for brief in self.datasets():
            progress = self._progress(brief)
            if progress.next:
                return progress
            latest = latest or progress
        return latest

    def progress(self, dataset: str) -> Progress | None:
        """Return how far a data set is; None if there is no such one."""
        return next((self._progress(brief) for brief in self.datasets() if brief.name == dataset), None)

    def _progress(self, brief: DatasetBrief) -> Progress:
        name, version = brief.name, f"{brief.name} v{brief.version}"
        alive = newest_runs(self._store.database, 1, ALIVE, dataset=name)
        if alive:
            run = alive[0]
            return Progress(
                name, "watch", f"{run.run_id} is training on {name} v{run.version or brief.version}.", run.run_id
            )
        registered = sorted(self._store.models.versions(), key=lambda one: one.created_at, reverse=True)
        scheduled = {schedule.model for schedule in self._store.schedules.list() if not schedule.paused}
        own = (one.model for one in registered if one.dataset == name)
        automatic = next((model for model in own if model in scheduled), "")
        if automatic:
            return Progress(name, "", f"{automatic} is retrained on a schedule.", model=automatic)
        if brief.findings is None:
            return Progress(name, "look", f"{version} has not been checked yet.")
        if brief.errors:
            errors = "an error" if brief.errors == 1 else f"{brief.errors} errors"
            return Progress(name, "look", f"The audit of {version} found {errors}, which would stop a training.")
        runs = newest_runs(self._store.database, 1, (State.FINISHED,), dataset=name)
        if not runs or runs[0].version != brief.version:
            before = f" Its last training was on version {runs[0].version}." if runs else ""
            return Progress(name, "train", f"Nothing is trained on {version} yet.{before}")
        used = next((one for one in registered if one.run_id == runs[0].run_id), None)
        if used is None:
            return Progress(name, "evaluate", f"{runs[0].run_id} is finished and not registered yet.", runs[0].run_id)
        words = f"{used.model} is in use; a schedule keeps it up to date with new photos."
        return Progress(name, "schedule", words, used.run_id, used.model)

    def drifted(self) -> list[tuple[str, tuple[str, ...]]]:
        """Return the models whose recent photos differ from those that they were trained on, with what differs."""
        found = []
        for model, number in sorted(self._store.models.champions().items()):
            run_id = next((one.run_id for one in self._store.models.versions(model) if one.number == number), "")
            stamp = RecentAnswers(self._store.home).changed_at(run_id)
            if stamp is None:
                continue  # nobody has used it
            recent = time.time_ns() - stamp < DRIFT_NS  # in use right now: not computed anew for every photo
            key = (model, number, stamp // DRIFT_NS if recent else stamp)
            reasons = self._drifts.get(key, partial(self._drift, model))
            if reasons:
                found.append((model, reasons))
        return found

    def _drift(self, model: str) -> tuple[str, ...]:
        from flows.drift import drift_of  # scipy: only where somebody has used a model

        try:
            return drift_of(self._store, model).reasons
        except (FieldguideError, OSError, KeyError):
            return ()  # an old run without a validation, or one whose files are gone

    def _findings(self, name: str, number: int) -> _Findings | None:
        path = self._store.dataset_folder(name) / str(number) / AUDIT_FILE
        try:
            return _read(path, path.stat().st_mtime_ns)
        except OSError:
            return None


@dataclass(frozen=True)
class _Findings:
    """What an audit found: the titles of what is serious, how much of each severity in words, and how many errors."""

    serious: tuple[str, ...]
    words: str
    errors: int


@lru_cache(maxsize=256)
def _read(path: Path, _changed: int) -> _Findings | None:
    try:
        findings: list[dict[str, Any]] = read_json(path)["findings"]
        serious = tuple(str(found["title"]) for found in findings if found["severity"] in SERIOUS)
        counts = Counter(found["severity"] for found in findings)
        return _Findings(serious, counts_in_words(counts), counts["error"])
    except (StorageError, KeyError, TypeError):
        return None
