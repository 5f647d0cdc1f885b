"""Ctrl-C and SIGTERM as a wish: a run stops at its next batch, with its checkpoint whole and its state told."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from flows.caller import caller
from workflows.errors import RunError
from workflows.store.store import Store


@contextmanager
def stoppable(store: Store, run_id: str) -> Iterator[None]:
    """Let the first SIGINT or SIGTERM in the block ask the run to stop; a second one interrupts at once.

    Outside the main thread Python can't take signals: nothing changes there.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received: list[int] = []
    tell = caller.get().stopping

    def ask() -> None:
        with suppress(RunError):  # it has just ended by itself
            store.runs.request_cancel(run_id)

    def receive(number: int, frame: FrameType | None) -> None:
        if received:
            raise KeyboardInterrupt
        received.append(number)
        # in a thread, because the main one may be inside the database or a lock right now
        threading.Thread(target=ask, daemon=True).start()
        tell(number)

    before = {number: signal.signal(number, receive) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
