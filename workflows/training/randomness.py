"""The random generators that training uses: seeded, saved, and set back."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

CUBLAS = "CUBLAS_WORKSPACE_CONFIG"


@contextmanager
def repeatable(seed: int) -> Iterator[None]:
    """Seed every generator, and for the body choose operations that give the same bits each time, where there are any."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    _deterministic(True)
    before = os.environ.get(CUBLAS)
    os.environ[CUBLAS] = ":4096:8"
    try:
        yield
    finally:
        _deterministic(False)
        if before is None:
            del os.environ[CUBLAS]
        else:
            os.environ[CUBLAS] = before


def derived_seed(*numbers: int) -> int:
    """Return a seed that is a pure function of `numbers`, and unlike that of others."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])


def _deterministic(wanted: bool) -> None:
    torch.use_deterministic_algorithms(wanted, warn_only=wanted)
    torch.backends.cudnn.deterministic = wanted
    # else every new tensor would be filled with NaN first
    torch.utils.deterministic.fill_uninitialized_memory = not wanted  # type: ignore[attr-defined]


def random_state() -> dict[str, Any]:
    """Return the state of every random generator that training uses."""
    name, keys, position, has_gauss, cached = np.random.get_state()
    return {
        "python": random.getstate(),
        "numpy": (name, torch.from_numpy(np.asarray(keys, np.int64)), position, has_gauss, cached),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def restore_random_state(state: dict[str, Any]) -> None:
    """Set every random generator back to `state`."""
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))
    name, keys, position, has_gauss, cached = state["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), position, has_gauss, cached))
    torch.set_rng_state(state["torch"])
    if state["cuda"] and len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(state["cuda"])
