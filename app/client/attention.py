"""What Home tells: the data sets in numbers, and what wants to be looked at."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from workflows.errors import StorageError
from workflows.store.files import read_json
from workflows.store.store import Store

AUDIT_FILE = "audit.json"
SERIOUS = ("error", "warning")


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


class Attention:
    """Reads what kept reports say; never starts an audit."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def datasets(self) -> list[DatasetBrief]:
        """Return all data sets, those changed last first."""
        found = [
            DatasetBrief(
                version.dataset,
                version.number,
                version.images,
                len(version.classes),
                version.created_at,
                self._findings(version.dataset, version.number),
            )
            for version in self._store.datasets.newest()
        ]
        return sorted(found, key=lambda brief: brief.changed_at, reverse=True)

    def _findings(self, name: str, number: int) -> tuple[str, ...] | None:
        path = self._store.dataset_folder(name) / str(number) / AUDIT_FILE
        try:
            return _titles(path, path.stat().st_mtime_ns)
        except OSError:
            return None


@lru_cache(maxsize=256)
def _titles(path: Path, _changed: int) -> tuple[str, ...] | None:
    try:
        findings: list[dict[str, Any]] = read_json(path)["findings"]
        return tuple(str(found["title"]) for found in findings if found["severity"] in SERIOUS)
    except (StorageError, KeyError, TypeError):
        return None
