"""One device, one training: a lock for each GPU, and one for the processor among those who take turns on it.

Whoever waits stands in a line of two places: one waits for the device, the others for the place of that one. So a
search that gives the device back between its trials can't take it again before somebody who waits.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from workflows.store.locks import FileLock

TURNS_VARIABLE = "FIELDGUIDE_TURNS"
"""Set in processes whose trainings take turns on the processor: those that the studio starts. Trainings by hand don't:
whoever starts several at once on many cores wants that."""
_POLL_SECONDS = 0.5


def take_turns() -> None:
    """From now on, trainings of this process and of those started from it wait for each other on the processor."""
    os.environ[TURNS_VARIABLE] = "1"


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
    """Hold every GPU of `device`, or the processor (see :func:`take_turns`), for the body, waiting for others.

    Args:
        home: the state folder; the locks lie under `home/locks`.
        device: `cpu`, or GPU numbers as in `0` or `0,1`.
        waiting: told once for each holder, e.g. "waiting for GPU 0: held by run flowers-… (process 4711)".
        owner: the run that takes the device, for those who wait.
        poll: called twice a second while waiting; may raise to give up (a cancelled run).
    """
    with ExitStack() as held:
        for name, words in _to_hold(device):  # always in this order, so that two runs can't wait for each other
            lock = FileLock(home / "locks" / f"{name}.lock")
            place = FileLock(home / "locks" / f"{name}-next.lock")
            held.callback(lock.release)
            try:
                for each in (place, lock):
                    _wait_for(each, lock, words, owner, waiting, poll)
            finally:
                place.release()
        yield


def _to_hold(device: str) -> list[tuple[str, str]]:
    """Return the locks that a device takes: their names, and what they stand for in words."""
    if device == "cpu":
        return [("cpu", "the processor")] if os.environ.get(TURNS_VARIABLE) else []
    return [(f"gpu-{_physical(number)}", f"GPU {number}") for number in _gpu_numbers(device)]


def _wait_for(
    wanted: FileLock,
    device: FileLock,
    words: str,
    owner: str,
    waiting: Callable[[str], None],
    poll: Callable[[], None],
) -> None:
    told = ""
    while not wanted.acquire(owner):
        text = f"waiting for {words}: held by {device.holder() or 'another process'}"
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
