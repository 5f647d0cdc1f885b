"""Progress of work in another process: it writes its latest report to a file, pages read it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from workflows.errors import StorageError
from workflows.progress import Progress
from workflows.store.files import read_json, write_json
from workflows.store.tables import now
from workflows.throttle import ProgressThrottle

WRITE_SECONDS = 0.5


@dataclass(frozen=True)
class WorkProgress:
    """The progress that a process last reported."""

    stage: str
    done: int
    total: int
    text: str
    at: str
    """ISO 8601, UTC."""


def progress_into(path: Path) -> Progress:
    """Return a `Progress` that writes its latest report to a file, at most twice a second."""
    throttle = ProgressThrottle(WRITE_SECONDS)

    def report(stage: str, done: int, total: int, text: str = "") -> None:
        waits = "waiting for" in text  # the next report may come hours later
        if not throttle.take(stage, always=waits or done >= total):
            return
        with suppress(StorageError):  # a full disk must not end a training
            write_json(path, {"stage": stage, "done": done, "total": total, "text": text, "at": now()})

    return report


def read_progress(path: Path) -> WorkProgress | None:
    """Return the latest report in a file; None before there is one."""
    try:
        return WorkProgress(**read_json(path))
    except (StorageError, TypeError):
        return None
