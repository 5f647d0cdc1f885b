"""What the inference server answered lately: class and confidence of each photo, nothing else about it.

One file of JSON lines for each run, `HOME/recent/RUN.jsonl`; it is rolled over, so that at least the newest
`KEPT` answers are there and never more than twice as many.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from workflows.store.files import storage_errors
from workflows.store.tables import now

KEPT = 5_000


class RecentAnswers:
    """The newest answers of every run. Safe to use from many threads of one process."""

    def __init__(self, home: Path) -> None:
        self._folder = home / "recent"
        self._guard = threading.Lock()
        self._lines: dict[str, int] = {}

    def add(self, run_id: str, answers: Iterable[tuple[str, float]]) -> None:
        """Keep (class, confidence) of photos that a run has answered. Raises StorageError."""
        time = now().isoformat(timespec="seconds")
        lines = [json.dumps([time, label, round(confidence, 5)], ensure_ascii=False) for label, confidence in answers]
        if not lines:
            return
        path = self._path(run_id)
        with self._guard, storage_errors(path):
            self._folder.mkdir(parents=True, exist_ok=True)
            if run_id not in self._lines:
                self._lines[run_id] = len(_read(path))
            if self._lines[run_id] + len(lines) > KEPT:
                path.replace(path.with_suffix(".old.jsonl")) if path.exists() else None
                self._lines[run_id] = 0
            with path.open("a", encoding="utf-8") as file:
                file.write("\n".join(lines) + "\n")
            self._lines[run_id] += len(lines)

    def read(self, run_id: str, limit: int = KEPT) -> list[tuple[datetime, str, float]]:
        """Return time, class and confidence of the newest answers, oldest first."""
        path = self._path(run_id)
        found = []
        for line in [*_read(path.with_suffix(".old.jsonl")), *_read(path)][-limit:]:
            try:
                time, label, confidence = json.loads(line)
                found.append((datetime.fromisoformat(time), str(label), float(confidence)))
            except (ValueError, TypeError):
                continue  # the last line of a process that was killed
        return found

    def changed_at(self, run_id: str) -> int | None:
        """Return when the answers of a run were last added to, in nanoseconds; None if there are none."""
        try:
            return self._path(run_id).stat().st_mtime_ns
        except OSError:
            return None

    def _path(self, run_id: str) -> Path:
        return self._folder / f"{run_id}.jsonl"


def _read(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
