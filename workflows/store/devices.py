"""One device, one training: a lock for each GPU, and one for the CPU among those who take turns on it.

The queue has two locks: one process waits for the device, the others for the place of that one. So a
search that gives the device back between its trials can't take it again before somebody who waits.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from workflows import settings
from workflows.errors import DeviceError
from workflows.store.locks import FileLock

_POLL_SECONDS = 0.5


def take_turns() -> None:
    """From now on, trainings of this process and of those started from it wait for each other on the CPU."""
    settings.TURNS.set("1")


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
    """Hold every GPU of `device`, or the CPU (see :func:`take_turns`), for the body, waiting for others.

    Args:
        home: the state folder; the locks lie under `home/locks`.
        device: `cpu`, or GPU numbers as in `0` or `0,1`.
        waiting: called once for each holder, e.g. "waiting for GPU 0: held by run flowers-… (process 4711)".
        owner: the run that takes the device, for those who wait.
        poll: called twice a second while waiting; may raise to stop waiting (a cancelled run).
    """
    with ExitStack() as locks:
        for name, words in _to_hold(device):  # always in this order, so that two runs can't wait for each other
            lock = FileLock(home / "locks" / f"{name}.lock")
            place = FileLock(home / "locks" / f"{name}-next.lock")
            locks.callback(lock.release)
            try:
                for each in (place, lock):
                    _wait_for(each, lock, words, owner, waiting, poll)
            finally:
                place.release()
        yield


def _to_hold(device: str) -> list[tuple[str, str]]:
    """Return the locks that a device takes: their names, and what they lock, as text."""
    if device == "cpu":
        return [("cpu", "the CPU")] if settings.TURNS.read() else []
    return [(f"gpu-{_physical(number)}", f"GPU {number}") for number in sorted(gpu_numbers(device))]


def _wait_for(
    wanted: FileLock,
    device: FileLock,
    words: str,
    owner: str,
    waiting: Callable[[str], None],
    poll: Callable[[], None],
) -> None:
    reported = ""
    while not wanted.acquire(owner):
        text = f"waiting for {words}: held by {device.holder() or 'another process'}"
        if text != reported:
            waiting(text)
            reported = text
        poll()
        time.sleep(_POLL_SECONDS)


def gpu_numbers(device: str) -> tuple[int, ...]:
    """Return the GPU numbers that a device names; none for "cpu". Raises DeviceError if it names no device."""
    if device == "cpu":
        return ()
    parts = device.split(",")
    if not all(part.isdecimal() for part in parts) or len(set(parts)) < len(parts):
        raise DeviceError(f"{device!r} names no device.", "Use auto, cpu, a GPU number such as 0, or several: 0,1")
    return tuple(int(part) for part in parts)


def _physical(number: int) -> str:
    """Return the name of GPU `number` outside CUDA_VISIBLE_DEVICES, under which processes number differently."""
    visible = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    name = visible[number] if number < len(visible) else str(number)
    return "".join(letter if letter.isalnum() or letter == "-" else "-" for letter in name)
