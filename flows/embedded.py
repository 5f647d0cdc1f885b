"""Prefect's server for the duration of one command: run as a script, on a free loopback port, in the caller's process group.

Prefect can start such a server itself, but that one receives the caller's Ctrl-C (and ends before the caller has
finished), outlives a caller that was killed, and any web page open on this machine may access it.
This one ignores signals to the process group, ends when its caller closes the pipe to it or ends, in whatever
way, and answers only requests with the token.

Usage: `python embedded.py DESCRIPTOR CALLER_PID`; the port is written to the inherited file descriptor once it is bound.
Or, for the studio: `python embedded.py --listener DESCRIPTOR CALLER_PID`; it then serves on the inherited socket, with
Prefect's services (schedules, late runs), until SIGTERM.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import uvicorn

WATCH_SECONDS = 0.5
START_TIMEOUT_SECONDS = 180.0


class _Server(uvicorn.Server):
    """Handles no signals: the caller answers those sent to the whole group (Ctrl-C, a service manager's stop)."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def end_with(caller: int) -> None:
    """End this process at once when process `caller` is no longer its parent. Runs in a thread, endlessly."""
    while os.getppid() == caller:
        time.sleep(WATCH_SECONDS)
    os._exit(0)


def end_at_word_of(caller: IO[bytes], server: uvicorn.Server) -> None:
    """Shut the server down when the caller closes its pipe. Runs in a thread."""
    while caller.read(1):
        pass
    server.should_exit = True


def main(port_pipe: int, caller: int) -> None:
    """Serve until the caller closes its pipe or ends."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=end_with, args=(caller,), daemon=True).start()
    # named as TCP, or asyncio leaves Nagle's delay on: 40 ms for each answer
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    with os.fdopen(port_pipe, "w", encoding="ascii") as port:
        port.write(str(listener.getsockname()[1]))

    from prefect.server.api.server import create_app  # seconds of imports: after the watch has started

    config = uvicorn.Config(create_app(ephemeral=True, final=True), log_level="error", lifespan="on")
    server = _Server(config)
    threading.Thread(target=end_at_word_of, args=(sys.stdin.buffer, server), daemon=True).start()
    server.run(sockets=[listener])


def serve_studio(listener: socket.socket, caller: int) -> None:
    """Serve on `listener` until SIGTERM, or until the caller has ended."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=end_with, args=(caller,), daemon=True).start()

    from prefect.server.api.server import create_app

    from workflows.store.locks import FileLock

    # two that create or migrate the same database at once would interfere
    turn = FileLock(Path(os.environ["PREFECT_HOME"]) / "starting.lock")
    turn.acquire(timeout=START_TIMEOUT_SECONDS)
    server = _StudioServer(uvicorn.Config(create_app(final=True), log_level="warning", lifespan="on"), turn.release)
    signal.signal(signal.SIGTERM, lambda *_: server.end())
    server.run(sockets=[listener])


class _StudioServer(_Server):
    def __init__(self, config: uvicorn.Config, when_up: Callable[[], None]) -> None:
        super().__init__(config)
        self._when_up = when_up

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self._when_up()

    def end(self) -> None:
        """Shut down; open connections are closed, because everything important is in the store."""
        self.force_exit = self.should_exit = True


if __name__ == "__main__":
    if sys.argv[1] == "--listener":
        serve_studio(socket.socket(fileno=int(sys.argv[2])), int(sys.argv[3]))
    else:
        main(int(sys.argv[1]), int(sys.argv[2]))
