"""Locks between processes that vanish with the process that holds them.

An advisory `flock` on a file: the kernel drops it when the holder ends, however it ends, so a lock never
has to be broken by hand. The file stays (removing it would let two processes lock two different files).

Not filelock: what can be shared is an SQLite database there, in which a holder can't sign.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from workflows.store.files import storage_errors

_held: set[int] = set()


def _close_in_child() -> None:
    # A forked loader process shares its parent's locks: without this it would keep them after the parent died.
    for descriptor in _held:
        os.close(descriptor)
    _held.clear()


os.register_at_fork(after_in_child=_close_in_child)


@dataclass(frozen=True)
class Holder:
    """Who holds a lock, as written in its file."""

    pid: int
    host: str
    owner: str

    def __str__(self) -> str:
        where = "" if self.host == socket.gethostname() else f" on {self.host}"
        process = f"process {self.pid}{where}"
        return f"run {self.owner} ({process})" if self.owner else process


class FileLock:
    """A lock on `path`, held until :meth:`release` or the end of the process.

    It is exclusive; or, if `shared`, held by any number of processes that share it.
    """

    def __init__(self, path: Path, shared: bool = False) -> None:
        self.path = path
        self._shared = shared
        self._descriptor: int | None = None

    def acquire(self, owner: str = "", timeout: float = 0.0) -> bool:
        """Try for `timeout` seconds to take the lock; return whether it is ours now."""
        deadline = time.monotonic() + timeout
        while not self._try(owner):
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.05)
        return True

    def _try(self, owner: str) -> bool:
        with storage_errors(self.path, "lock"):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_SH if self._shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        _held.add(descriptor)
        self._descriptor = descriptor
        text = json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "owner": owner})
        with contextlib.suppress(
            OSError
        ):  # the signature only helps those who wait; a full disk must not cost the lock
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, text.encode(), 0)
        return True

    def release(self) -> None:
        """Release the lock; nothing happens if it isn't held."""
        if self._descriptor is not None:
            _held.discard(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = None

    def holder(self) -> Holder | None:
        """Return who signed the lock last, if that can be read."""
        try:
            fields = json.loads(self.path.read_text())
            return Holder(int(fields["pid"]), str(fields["host"]), str(fields["owner"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None


def _ignore(_text: str) -> None:
    pass


@contextmanager
def hold(
    path: Path, owner: str = "", waiting: Callable[[str], None] = _ignore, *, shared: bool = False
) -> Iterator[FileLock]:
    """Wait for the lock on `path` and hold it for the body; `waiting` is called once with the holder."""
    lock = FileLock(path, shared)
    if not lock.acquire(owner, timeout=0.5):
        waiting(f"waiting for {lock.holder() or 'another process'}")
        lock.acquire(owner, timeout=float("inf"))
    try:
        yield lock
    finally:
        lock.release()
