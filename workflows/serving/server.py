"""The inference server's process: its socket, its signals, its shutdown."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn

from workflows.serving.api import create_app
from workflows.serving.limits import ServerSettings
from workflows.serving.listening import url_of
from workflows.store.store import Store

WATCH_SECONDS = 0.5
LINGER_SECONDS = 5
"""Time for running requests at shutdown."""


def address_of(listener: socket.socket) -> str:
    """Return the URL of a bound socket."""
    host, port = listener.getsockname()[:2]
    return url_of(host, port)


def serve(
    store: Store,
    settings: ServerSettings,
    listener: socket.socket,
    ready: Callable[[str], None],
    ends_with: int | None = None,
) -> None:
    """Serve until stopped (by SIGTERM, and by SIGINT unless a supervisor handles it).

    Args:
        store: where the models are.
        settings: access and limits.
        listener: see `open_socket`.
        ready: called with the address when the server is ready.
        ends_with: a process; the server ends at once when that is no longer its parent, and leaves Ctrl-C to it.
    """
    if ends_with is not None:
        threading.Thread(target=_end_with, args=(ends_with,), daemon=True).start()
    config = uvicorn.Config(
        create_app(store, settings),
        log_level="warning",
        access_log=False,
        server_header=False,
        lifespan="on",
        timeout_graceful_shutdown=LINGER_SECONDS,
    )
    _Server(config, lambda: ready(address_of(listener)), patient=ends_with is not None).run(sockets=[listener])


class _Server(uvicorn.Server):
    """Reports when it is ready; `patient` servers leave Ctrl-C, which goes to the whole process group, to their supervisor."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None], patient: bool) -> None:
        super().__init__(config)
        self._ready, self._patient = ready, patient

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        with super().capture_signals():
            if self._patient:
                signal.signal(signal.SIGINT, signal.SIG_IGN)
            yield


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(WATCH_SECONDS)
    os._exit(0)
