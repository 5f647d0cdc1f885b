"""Long work that pages order besides trainings: retraining a model, tuning. Each in a process of its own.

An errand is a folder below `HOME/errands`: what was asked (`errand.json`), how far it is (`progress.json`), what came
of it (`outcome.json`) and its log. The process is detached from the page that started it; it survives the page and
the web process, and ends with the studio. What was cut off goes on where it was, when it is told to.
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

from flows.leash import Mark
from flows.service import start_job
from flows.studio_file import read_studio
from flows.telling import Told, read_told
from workflows.errors import FieldguideError, StorageError
from workflows.store.files import read_json, storage_errors, write_json
from workflows.store.store import Store

Kind = Literal["retrain", "tune"]
ErrandState = Literal["running", "stopping", "done", "failed", "stopped", "interrupted"]
ERRAND_FILE, PROGRESS_FILE, OUTCOME_FILE, STOP_FILE = "errand.json", "progress.json", "outcome.json", "stop"
LOG_FILE = "errand.log"
START_SECONDS = 60.0
"""How long a process may take until it says that it lives."""
STATES_AT_WORK = ("running", "stopping")


@dataclass(frozen=True)
class Errand:
    """One piece of long work.

    Attributes:
        kind: what to do.
        about: the model, or the data set, by name.
        subject: id of the decision or of the tuning that comes of it; of a tuning empty until it is recorded.
        request: settings, as plain JSON types.
        ordered_at: ISO 8601, UTC.
        begun_at: when its process was started last, in seconds since 1970.
        process: the mark of its process; empty until that has begun.
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
    def mark(self) -> Mark | None:
        """The process that does it."""
        return Mark.parse(self.process) if self.process else None


class Errands:
    """The errands of a state folder. Cheap; safe from many processes."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._folder = store.home / "errands"

    def start(self, kind: Kind, about: str, request: dict[str, Any], *, subject: str, author: str) -> Errand:
        """Begin; return at once.

        Raises:
            StorageError: it can't be recorded.
            FieldguideError: no process can be started.
        """
        moment = datetime.now(UTC)
        errand_id = f"{kind}-{moment:%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
        errand = Errand(errand_id, kind, about, subject, request, author, moment.isoformat(), moment.timestamp())
        self.write(errand)
        self._launch(errand)
        return errand

    def go_on(self, errand: Errand) -> Errand:
        """Let one that was stopped or cut off, or that failed, go on; one that is at work is left alone."""
        if self.state(errand) in STATES_AT_WORK:
            return errand
        again = replace(errand, process="", begun_at=time.time())
        for name in (OUTCOME_FILE, STOP_FILE):
            self._path(errand.id, name).unlink(missing_ok=True)
        self.write(again)
        self._launch(again)
        return again

    def stop(self, errand: Errand) -> None:
        """Ask it to end: a training stops at its next batch."""
        mark = errand.mark
        with storage_errors(self._folder):
            self._path(errand.id, STOP_FILE).touch()
        if mark is not None and mark.lives():
            with contextlib.suppress(ProcessLookupError):
                os.kill(mark.pid, signal.SIGTERM)

    def forget(self, errand: Errand) -> None:
        """Remove what is kept of one that is over; what came of it (a decision, a study) stays."""
        if self.state(errand) not in STATES_AT_WORK:
            shutil.rmtree(self._path(errand.id, ERRAND_FILE).parent, ignore_errors=True)

    def find(self, errand_id: str) -> Errand | None:
        """Return an errand by its id."""
        return _read(self._path(errand_id, ERRAND_FILE))

    def all(self, kind: Kind | None = None, about: str | None = None) -> list[Errand]:
        """Return errands, the newest first."""
        found = [errand for path in self._folder.glob(f"*/{ERRAND_FILE}") if (errand := _read(path)) is not None]
        chosen = [each for each in found if kind in (None, each.kind) and about in (None, each.about)]
        return sorted(chosen, key=lambda errand: errand.ordered_at, reverse=True)

    def state(self, errand: Errand) -> ErrandState:
        """Say how it stands."""
        outcome = self.outcome(errand)
        if outcome is not None:
            return "failed" if "error" in outcome else "stopped" if outcome.get("stopped") else "done"
        stopped = self._path(errand.id, STOP_FILE).exists()
        mark = errand.mark
        starting = mark is None and time.time() - errand.begun_at < START_SECONDS and not stopped
        if starting or (mark is not None and mark.lives()):
            return "stopping" if stopped else "running"
        return "stopped" if stopped else "interrupted"

    def told(self, errand: Errand) -> Told | None:
        """Return how far it is; None before it has told anything."""
        return read_told(self.progress_path(errand))

    def outcome(self, errand: Errand) -> dict[str, Any] | None:
        """Return what came of it: `error` and `hint`, `stopped`, or the decision's or tuning's id as `subject`."""
        path = self._path(errand.id, OUTCOME_FILE)
        try:
            return dict(read_json(path)) if path.exists() else None
        except (StorageError, TypeError, ValueError):
            return None

    def write(self, errand: Errand) -> None:
        """Record an errand as it stands. Raises StorageError."""
        write_json(self._path(errand.id, ERRAND_FILE), asdict(errand))

    def progress_path(self, errand: Errand) -> Path:
        """Return the file that says how far it is."""
        return self._path(errand.id, PROGRESS_FILE)

    def end(self, errand: Errand, outcome: dict[str, Any]) -> None:
        """Record what came of it. Raises StorageError."""
        write_json(self._path(errand.id, OUTCOME_FILE), outcome)

    def last_words(self, errand: Errand, lines: int = 12) -> str:
        """Return the end of its log, for when it ended without words."""
        try:
            text = self._path(errand.id, LOG_FILE).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""
        return "\n".join(text.strip().splitlines()[-lines:])

    def _path(self, errand_id: str, name: str) -> Path:
        return self._folder / Path(errand_id).name / name

    def _launch(self, errand: Errand) -> None:
        studio = read_studio(self._store.home)
        tied = ["--studio", studio.process] if studio else []
        log, home = self._path(errand.id, LOG_FILE), str(self._store.home)
        try:
            start_job("flows.errand_job", errand.id, "--home", home, *tied, log=log)
        except OSError as error:
            raise FieldguideError(
                f"The work could not be started: {error.strerror}.", "Close other programs."
            ) from error


def _read(path: Path) -> Errand | None:
    try:
        return Errand(**read_json(path))
    except (StorageError, TypeError, ValueError):
        return None  # taken away in this moment, or written by another version
