"""Common parts of the studio's background processes.

Services (runner, scheduler) poll until the studio has ended. Jobs do one long task in a process of
their own: they survive the service that started them, stop at their next batch when the studio has ended, and take
turns on the device.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from flows.process_identity import ProcessIdentity, exit_with
from workflows.errors import FieldguideError
from workflows.store.devices import take_turns
from workflows.store.store import Store

NICENESS = 5
"""The page must answer within a second while a training uses every core."""
FAREWELL_SECONDS = 10.0
"""Seconds a job may take to reach its next batch when the studio has ended."""


class Service(Protocol):
    """A service that polls."""

    def step(self) -> None:
        """Poll once. May raise FieldguideError: it is logged, and polling continues."""

    def stop(self) -> None:
        """Stop, so that the next instance can continue."""


def serve(name: str, make: Callable[[Store, ProcessIdentity], Service], poll_seconds: float) -> int:
    """Run a service until SIGTERM, or until the studio has ended; return the exit code.

    Args:
        name: its module, for `--help`.
        make: makes it, from the store and the identity of the studio.
        poll_seconds: seconds between two polls.
    """
    studio: ProcessIdentity = arguments(name).parse_args().studio
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    exit_with(studio)
    service = make(Store(), studio)
    while not stop.is_set():
        try:
            service.step()
        except FieldguideError as error:  # a full disk, a busy database: log it, and poll again
            sys.stderr.write(f"{error}\n")
        stop.wait(poll_seconds)
    service.stop()
    return 0


def arguments(name: str, subject: str = "", *, studio_required: bool = True) -> argparse.ArgumentParser:
    """Return the parser of a service's or a job's command line: `--studio PID@START`, and a job's subject."""
    parser = argparse.ArgumentParser(prog=f"python -m {name}")
    if subject:
        parser.add_argument(subject)
    parser.add_argument("--studio", type=ProcessIdentity.parse, required=studio_required)
    return parser


_started: list[subprocess.Popen[bytes]] = []
"""Jobs of this process that may still run: polled, or those that nobody waits for would stay as zombies."""


def start_job(name: str, *arguments: str, log: Path) -> subprocess.Popen[bytes]:
    """Start a module's job in a process that leads its own group, its output appended to a log file. Raises OSError."""
    command = [sys.executable, "-P", "-m", name, *arguments]
    with log.open("ab") as output:
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    _started.append(child)
    _started[:] = [each for each in _started if each.poll() is None]
    return child


def begin_job(studio: ProcessIdentity | None, stop: Callable[[], object]) -> None:
    """Make this process a job: pages have priority, and its trainings take turns with those of other jobs.

    Args:
        studio: the job is stopped when this has ended; None for one without a studio.
        stop: requests its training to stop at the next batch; if that takes too long, the process is killed.
    """
    os.nice(NICENESS)
    take_turns()

    def part() -> None:
        try:
            stop()
        except FieldguideError as error:  # a full disk, for example
            print(f"The training could not be asked to stop, so it is killed: {error}", file=sys.stderr, flush=True)
        finally:
            time.sleep(FAREWELL_SECONDS)
            ProcessIdentity.current().kill_group()  # its own group: data loaders and further GPUs' processes end, too

    if studio is not None:
        exit_with(studio, part)
