"""No child outlives the studio: each process started by it watches it, and ends when it has ended.

The studio's main process is identified by its id *and* its start time, so that a reused id is not
mistaken for it. That also works for grandchildren, and for children whose parent was restarted meanwhile.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import psutil

WATCH_SECONDS = 0.5
SAME_START_SECONDS = 0.5
"""Two readings of one process's start agree within this."""


@dataclass(frozen=True)
class ProcessIdentity:
    """A process, identified by id and start time."""

    pid: int
    started: float
    """When it was started, in seconds since 1970."""

    @classmethod
    def of(cls, pid: int) -> ProcessIdentity | None:
        """Return the identity of a living process, None if there is none with this id."""
        try:
            return cls(pid, psutil.Process(pid).create_time())
        except psutil.Error:
            return None

    @classmethod
    def current(cls) -> ProcessIdentity:
        """Return the identity of this process."""
        return cls(os.getpid(), psutil.Process().create_time())

    @classmethod
    def parse(cls, text: str) -> ProcessIdentity:
        """Read what `str` wrote. Raises ValueError."""
        pid, _, started = text.partition("@")
        return cls(int(pid), float(started))

    def __str__(self) -> str:
        return f"{self.pid}@{self.started:.3f}"

    def is_alive(self) -> bool:
        """Return whether the process runs; a zombie does not."""
        try:
            process = psutil.Process(self.pid)
            return (
                abs(process.create_time() - self.started) < SAME_START_SECONDS
                and process.status() != psutil.STATUS_ZOMBIE
            )
        except psutil.Error:
            return False

    def kill_group(self) -> None:
        """Kill the process and all that it has started, if it leads its own group and still runs."""
        if self.is_alive():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)


def _leave() -> None:
    os._exit(0)


def exit_with(parent: ProcessIdentity, when_gone: Callable[[], object] = _leave) -> None:
    """Watch `parent` from a thread; call `when_gone` once it has ended (by default this process ends at once)."""

    def watch() -> None:
        while parent.is_alive():
            time.sleep(WATCH_SECONDS)
        when_gone()

    threading.Thread(target=watch, name="parent watch", daemon=True).start()
