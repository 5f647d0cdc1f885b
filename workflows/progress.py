"""Progress reports of long operations."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Called from time to time by long operations; the command line draws progress bars with it, Prefect its artifacts."""

    def __call__(self, stage: str, done: int, total: int, text: str = "") -> None:
        """Report that `done` of `total` units of `stage` are done; `text` is a short remark (a metric, a file)."""


def silent(stage: str, done: int, total: int, text: str = "") -> None:
    """Ignore the report."""
