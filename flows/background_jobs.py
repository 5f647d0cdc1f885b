"""Background jobs besides trainings: retraining a model, tuning. Each runs in a process of its own.

A job is a folder below `HOME/errands` (homes of earlier versions have it): the request (`errand.json`), the progress
(`progress.json`), the outcome (`outcome.json`) and the log. The process is detached from the page that started it: it
survives the page and the web process, and ends with the studio. An interrupted job can be resumed.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import time
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from flows.process_identity import ProcessIdentity
from flows.progress_file import WorkProgress, read_progress
from flows.service import start_job
from flows.studio_file import read_studio
from workflows.errors import FieldguideError, StorageError
from workflows.state import State
from workflows.store.files import read_json, storage_errors, write_json
from workflows.store.store import Store

Kind = Literal["retrain", "tune"]
JOB_FILE, PROGRESS_FILE, OUTCOME_FILE, STOP_FILE = "errand.json", "progress.json", "outcome.json", "stop"
LOG_FILE = "errand.log"
START_SECONDS = 60.0
"""Seconds a process may take until it has recorded its identity."""


@dataclass(frozen=True)
class BackgroundJob:
    """One job.

    Attributes:
        kind: what to do.
        about: the model, or the data set, by name.
        subject: id of the resulting decision or tuning; of a tuning empty until it is recorded.
        request: settings, as plain JSON types.
        ordered_at: ISO 8601, UTC.
        begun_at: when its process was started last, in seconds since 1970.
        process: the identity of its process; empty until that has started.
    """

    id: str
    kind: Kind
    about: str
    subject: str
    request: dict[str, Any]
    author: str
    ordered_at: str
    begun_at: float
    process: str = ""

    @property
    def mark(self) -> ProcessIdentity | None:
        """The identity of its process."""
        return ProcessIdentity.parse(self.process) if self.process else None


class BackgroundJobs:
    """The jobs of a state folder. Cheap; safe from many processes."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._folder = store.home / "errands"

    def start(self, kind: Kind, about: str, request: dict[str, Any], *, subject: str, author: str) -> BackgroundJob:
        """Start a job; return at once.

        Raises:
            StorageError: it can't be recorded.
            FieldguideError: no process can be started.
        """
        moment = datetime.now(UTC)
        job_id = f"{kind}-{moment:%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
        job = BackgroundJob(job_id, kind, about, subject, request, author, moment.isoformat(), moment.timestamp())
        self.write(job)
        self._launch(job)
        return job

    def resume(self, job: BackgroundJob) -> BackgroundJob:
        """Resume a stopped, interrupted or failed job; an active one is left alone."""
        if self.state(job).alive:
            return job
        again = replace(job, process="", begun_at=time.time())
        for name in (OUTCOME_FILE, STOP_FILE):
            self._path(job.id, name).unlink(missing_ok=True)
        self.write(again)
        self._launch(again)
        return again

    def stop(self, job: BackgroundJob) -> None:
        """Request it to end: a training stops at its next batch."""
        mark = job.mark
        with storage_errors(self._folder):
            self._path(job.id, STOP_FILE).touch()
        if mark is not None and mark.is_alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(mark.pid, signal.SIGTERM)

    def forget(self, job: BackgroundJob) -> None:
        """Remove the files of a job that has ended; its result (a decision, a study) stays."""
        if not self.state(job).alive:
            shutil.rmtree(self._path(job.id, JOB_FILE).parent, ignore_errors=True)

    def find(self, job_id: str) -> BackgroundJob | None:
        """Return a job by its id."""
        return _read(self._path(job_id, JOB_FILE))

    def all(self, kind: Kind | None = None, about: str | None = None) -> list[BackgroundJob]:
        """Return jobs, the newest first."""
        found = [job for path in self._folder.glob(f"*/{JOB_FILE}") if (job := _read(path)) is not None]
        chosen = [each for each in found if kind in (None, each.kind) and about in (None, each.about)]
        return sorted(chosen, key=lambda job: job.ordered_at, reverse=True)

    def state(self, job: BackgroundJob) -> State:
        """Return its state."""
        outcome = self.outcome(job)
        if outcome is not None:
            return State.FAILED if "error" in outcome else State.CANCELLED if outcome.get("stopped") else State.FINISHED
        stopped = self._path(job.id, STOP_FILE).exists()
        mark = job.mark
        starting = mark is None and time.time() - job.begun_at < START_SECONDS and not stopped
        if starting or (mark is not None and mark.is_alive()):
            return State.STOPPING if stopped else State.RUNNING
        return State.CANCELLED if stopped else State.INTERRUPTED

    def progress(self, job: BackgroundJob) -> WorkProgress | None:
        """Return its progress; None before it has reported any."""
        return read_progress(self.progress_path(job))

    def outcome(self, job: BackgroundJob) -> dict[str, Any] | None:
        """Return its outcome: `error` and `hint`, `stopped`, or the decision's or tuning's id as `subject`."""
        path = self._path(job.id, OUTCOME_FILE)
        try:
            return dict(read_json(path)) if path.exists() else None
        except (StorageError, TypeError, ValueError):
            return None

    def write(self, job: BackgroundJob) -> None:
        """Write a job's record. Raises StorageError."""
        write_json(self._path(job.id, JOB_FILE), asdict(job))

    def progress_path(self, job: BackgroundJob) -> Path:
        """Return the file of its progress."""
        return self._path(job.id, PROGRESS_FILE)

    def end(self, job: BackgroundJob, outcome: dict[str, Any]) -> None:
        """Record its outcome. Raises StorageError."""
        write_json(self._path(job.id, OUTCOME_FILE), outcome)

    def log_tail(self, job: BackgroundJob, lines: int = 12) -> str:
        """Return the end of its log, for jobs that ended without an error message."""
        try:
            text = self._path(job.id, LOG_FILE).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""
        return "\n".join(text.strip().splitlines()[-lines:])

    def _path(self, job_id: str, name: str) -> Path:
        return self._folder / Path(job_id).name / name

    def _launch(self, job: BackgroundJob) -> None:
        studio = read_studio(self._store.home)
        tied = ["--studio", studio.process] if studio else []
        log, home = self._path(job.id, LOG_FILE), str(self._store.home)
        try:
            start_job("flows.background_job", job.id, "--home", home, *tied, log=log)
        except OSError as error:
            raise FieldguideError(
                f"The work could not be started: {error.strerror}.", "Close other programs."
            ) from error


def _read(path: Path) -> BackgroundJob | None:
    try:
        return BackgroundJob(**read_json(path))
    except (StorageError, TypeError, ValueError):
        return None  # just removed, or written by another version
