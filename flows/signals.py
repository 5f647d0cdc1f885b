"""Ctrl-C and SIGTERM as stop requests: a run stops at its next batch, with checkpoint and state saved."""

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
    """Make the first SIGINT or SIGTERM in the block request a stop of the run; a second one interrupts at once.

    Outside the main thread Python can't handle signals: nothing changes there.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received: list[int] = []
    report = caller.get().stopping

    def ask() -> None:
        with suppress(RunError):  # it has just ended
            store.runs.request_cancel(run_id)

    def receive(number: int, frame: FrameType | None) -> None:
        if received:
            raise KeyboardInterrupt
        received.append(number)
        # in a thread, because the main one may be inside the database or a lock right now
        threading.Thread(target=ask, daemon=True).start()
        report(number)

    before = {number: signal.signal(number, receive) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
