"""Batching: photos of concurrent requests go through the network together.

All of this runs in the event loop's thread, so it needs no locks; the network itself runs in a single thread of its
own, because two at once would only compete for the same cores (or the GPU's memory).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import numpy as np

from workflows.errors import FieldguideError
from workflows.serving.limits import Limits

T = TypeVar("T")
Compute = Callable[[np.ndarray], np.ndarray]


class Busy(FieldguideError):  # noqa: N818 - a state, not a fault
    """The server is at its limit; the same request can be repeated in a moment."""


class Batcher:
    """The queue in front of the network."""

    def __init__(self, limits: Limits, prepare: Callable[[], object] | None = None) -> None:
        """Create the queue; `prepare` is called once in the network's thread."""
        self._limits = limits
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="network", initializer=prepare)
        self._turn = asyncio.Lock()
        self._open: dict[Hashable, _Batch] = {}
        self.waiting = 0
        """Photos admitted and not yet answered."""
        self.batches = 0
        """Batches that went through the network since the start."""
        self.images = 0
        """Photos that went through it."""

    @contextmanager
    def admit(self, images: int) -> Iterator[None]:
        """Count `images` as being processed within the `with` block.

        Raises:
            Busy: too many are already.
        """
        if self.waiting and self.waiting + images > self._limits.waiting_images:
            raise Busy("The inference server has too many photos waiting.", "Try again in a moment.")
        self.waiting += images
        try:
            yield
        finally:
            self.waiting -= images

    async def ask(self, model: Hashable, squares: np.ndarray, compute: Compute) -> np.ndarray:
        """Return `compute(squares)`, batched with concurrent requests for the same `model`.

        Args:
            model: equal for requests that may share a batch; their squares then have one size and one `compute`.
            squares: uint8 [n, side, side, 3].
            compute: turns squares into one row each; called in the network's thread.
        """
        batch = self._open.get(model)
        if batch is None or batch.size + len(squares) > self._limits.batch:
            batch = _Batch()
            batch.rows = asyncio.ensure_future(self._run(model, batch, compute))
            self._open[model] = batch
        first = batch.add(squares)
        # shielded: a client that disconnects must not cancel the results of others
        rows = await asyncio.shield(batch.rows)
        return rows[first : first + len(squares)]

    async def _run(self, model: Hashable, batch: _Batch, compute: Compute) -> np.ndarray:
        # a single request doesn't wait; other admitted ones are being decoded and may arrive at any moment
        await asyncio.sleep(self._limits.gather_seconds if self.waiting > batch.size else 0)
        async with self._turn:  # while another batch runs, this one still grows
            if self._open.get(model) is batch:
                del self._open[model]
            self.batches += 1
            self.images += batch.size
            squares = np.concatenate(batch.squares)
            return await asyncio.get_running_loop().run_in_executor(self._thread, compute, squares)

    async def run(self, work: Callable[[], T]) -> T:
        """Do other work in the network's thread, in turn."""
        async with self._turn:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def close(self) -> None:
        """End the network's thread; waiting photos are dropped."""
        self._thread.shutdown(wait=False, cancel_futures=True)


class _Batch:
    """Photos that will go through the network together."""

    rows: asyncio.Future[np.ndarray]

    def __init__(self) -> None:
        self.squares: list[np.ndarray] = []
        self.size = 0

    def add(self, squares: np.ndarray) -> int:
        """Add photos and return the number of the first one's row."""
        first = self.size
        self.squares.append(squares)
        self.size += len(squares)
        return first
