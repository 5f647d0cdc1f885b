"""The caller of a flow in this process: what can't be a flow's parameter, because it is no plain data."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass

from workflows.progress import Progress, silent
from workflows.store.store import Store


def _say_nothing(signal_number: int) -> None:
    pass


@dataclass(frozen=True)
class Caller:
    """What the caller passes to a flow; a flow started by a Prefect worker has none of it."""

    store: Store | None = None
    progress: Progress = silent
    stopping: Callable[[int], None] = _say_nothing
    """Called with the number of the signal that requested the stop."""


caller: ContextVar[Caller] = ContextVar("caller", default=Caller())  # noqa: B039 - it can't change
