"""How far work in another process is: it keeps its newest word in a file, pages read it."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from workflows.errors import StorageError
from workflows.progress import Progress
from workflows.store.files import read_json, write_json
from workflows.store.tables import now

TELL_SECONDS = 0.5


@dataclass(frozen=True)
class Told:
    """How far the work is, as its process told last."""

    stage: str
    done: int
    total: int
    text: str
    at: str
    """ISO 8601, UTC."""


def tell_into(path: Path) -> Progress:
    """Return a `Progress` that keeps its newest word in a file, at most twice a second."""
    told: dict[str, float] = {}

    def tell(stage: str, done: int, total: int, text: str = "") -> None:
        moment = time.monotonic()
        waits = "waiting for" in text  # nothing may follow for hours
        if done < total and not waits and moment - told.get(stage, float("-inf")) < TELL_SECONDS:
            return
        told[stage] = moment
        with suppress(StorageError):  # a full disk must not end a training for the sake of a remark
            write_json(path, {"stage": stage, "done": done, "total": total, "text": text, "at": now()})

    return tell


def read_told(path: Path) -> Told | None:
    """Return the newest word in a file; None before there is one."""
    try:
        return Told(**read_json(path))
    except (StorageError, TypeError):
        return None
