"""One GPU, one training: a lock for each device."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from workflows.store.locks import FileLock

_POLL_SECONDS = 0.5


def _nobody_asks() -> None:
    pass


@contextmanager
def hold_device(
    home: Path,
    device: str,
    waiting: Callable[[str], None],
    *,
    owner: str = "",
    poll: Callable[[], None] = _nobody_asks,
) -> Iterator[None]:
    """Hold every GPU of `device` for the body, waiting for those that others hold.

    Args:
        home: the state folder; the locks lie under `home/locks`.
        device: `cpu` (never locked), or GPU numbers as in `0` or `0,1`.
        waiting: told once for each holder, e.g. "waiting for GPU 0: held by run flowers-… (process 4711)".
        owner: the run that takes the device, for those who wait.
        poll: called twice a second while waiting; may raise to give up (a cancelled run).
    """
    with ExitStack() as held:
        for number in _gpu_numbers(device):  # always in this order, so that two runs can't wait for each other
            lock = FileLock(home / "locks" / f"gpu-{_physical(number)}.lock")
            _wait_for(lock, number, owner, waiting, poll)
            held.callback(lock.release)
        yield


def _wait_for(
    lock: FileLock, number: int, owner: str, waiting: Callable[[str], None], poll: Callable[[], None]
) -> None:
    told = ""
    while not lock.acquire(owner):
        text = f"waiting for GPU {number}: held by {lock.holder() or 'another process'}"
        if text != told:
            waiting(text)
            told = text
        poll()
        time.sleep(_POLL_SECONDS)


def _gpu_numbers(device: str) -> list[int]:
    names = device.lower().replace("cuda:", "").replace(" ", "").split(",")
    return sorted({int(name) for name in names if name.isdigit()})


def _physical(number: int) -> str:
    """Return the name of GPU `number` outside CUDA_VISIBLE_DEVICES, under which processes number differently."""
    visible = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    name = visible[number] if number < len(visible) else str(number)
    return "".join(letter if letter.isalnum() or letter == "-" else "-" for letter in name)
