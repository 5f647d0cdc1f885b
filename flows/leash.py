"""No child outlives the studio: whoever is started by it watches it, and goes when it is gone.

The studio's main process is named by its number *and* its start, so that a number given anew to a stranger is not
taken for it. That also works for grandchildren, and for children whose parent was started afresh meanwhile.
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
class Mark:
    """A process that can't be mistaken for another."""

    pid: int
    started: float
    """When it was started, in seconds since 1970."""

    @classmethod
    def of(cls, pid: int) -> Mark | None:
        """Return the mark of a living process, None if there is none of this number."""
        try:
            return cls(pid, psutil.Process(pid).create_time())
        except psutil.Error:
            return None

    @classmethod
    def mine(cls) -> Mark:
        """Return the mark of this process."""
        return cls(os.getpid(), psutil.Process().create_time())

    @classmethod
    def parse(cls, text: str) -> Mark:
        """Read what `str` wrote. Raises ValueError."""
        pid, _, started = text.partition("@")
        return cls(int(pid), float(started))

    def __str__(self) -> str:
        return f"{self.pid}@{self.started:.3f}"

    def lives(self) -> bool:
        """Return whether the process runs; one that has ended but was not yet buried does not."""
        try:
            process = psutil.Process(self.pid)
            return (
                abs(process.create_time() - self.started) < SAME_START_SECONDS
                and process.status() != psutil.STATUS_ZOMBIE
            )
        except psutil.Error:
            return False

    def kill_group(self) -> None:
        """End the process and all that it has started, at once, if it leads its own group and runs still."""
        if self.lives():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)


def _leave() -> None:
    os._exit(0)


def follow(master: Mark, when_gone: Callable[[], object] = _leave) -> None:
    """Watch `master` from a thread; call `when_gone` once it is no more (by default this process ends at once)."""

    def watch() -> None:
        while master.lives():
            time.sleep(WATCH_SECONDS)
        when_gone()

    threading.Thread(target=watch, name="leash", daemon=True).start()
