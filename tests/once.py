"""What is expensive is made once for all processes that share the tests."""

from __future__ import annotations

import fcntl
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

Made = TypeVar("Made")


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], Made]) -> Made:
    """Return what `make(folder)` returned to the first process that wanted it; the others wait for it meanwhile.

    Args:
        factory: pytest's, whose folder all processes share.
        name: of what is made, and of its folder.
        make: fills the folder, which nobody may change afterwards; what it returns can be pickled.
    """
    place = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        place = place.parent
    made = place / f"{name}.pickle"
    with (place / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            (place / name).mkdir()
            made.write_bytes(pickle.dumps(make(place / name)))
    value: Made = pickle.loads(made.read_bytes())  # noqa: S301 - our own, a moment ago
    return value
