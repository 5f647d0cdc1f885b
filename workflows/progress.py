"""How long work tells whoever is watching how far it is."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Called from time to time by long work; the command line draws bars with it, Prefect its artifacts."""

    def __call__(self, stage: str, done: int, total: int, text: str = "") -> None:
        """Report that `done` of `total` units of `stage` are done; `text` is a short remark (a metric, a file)."""


def silent(stage: str, done: int, total: int, text: str = "") -> None:
    """Report to nobody."""
