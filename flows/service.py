"""What the studio's processes that work without a page have in common.

Services (runner, scheduler) look again and again until the studio is gone. Jobs do one long thing in a process of
their own: they survive the service that started them, stop at their next batch when the studio is gone, and take
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

from flows.leash import Mark, follow
from workflows.errors import FieldguideError
from workflows.store.devices import take_turns
from workflows.store.store import Store

NICENESS = 5
"""The page must answer within a second while a training uses every core."""
FAREWELL_SECONDS = 10.0
"""How long a job may take to come to its next batch when the studio is gone."""


class Service(Protocol):
    """What looks again and again."""

    def step(self) -> None:
        """Look once. May raise FieldguideError: it is said, and looked again."""

    def stop(self) -> None:
        """Leave everything so that the next one can go on with it."""


def serve(name: str, make: Callable[[Store, Mark], Service], poll_seconds: float) -> int:
    """Run a service until it is told to stop, or until the studio is gone; return the exit code.

    Args:
        name: its module, for `--help`.
        make: makes it, from the store and the mark of the studio.
        poll_seconds: how long to wait between two looks.
    """
    studio: Mark = arguments(name).parse_args().studio
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    follow(studio)
    service = make(Store(), studio)
    while not stop.is_set():
        try:
            service.step()
        except FieldguideError as error:  # a full disk, a busy database: say it, and look again
            sys.stderr.write(f"{error}\n")
        stop.wait(poll_seconds)
    service.stop()
    return 0


def arguments(name: str, subject: str = "", *, studio_required: bool = True) -> argparse.ArgumentParser:
    """Return the parser of a service's or a job's command line: `--studio PID@START`, and for a job what it is about."""
    parser = argparse.ArgumentParser(prog=f"python -m {name}")
    if subject:
        parser.add_argument(subject)
    parser.add_argument("--studio", type=Mark.parse, required=studio_required)
    return parser


def start_job(name: str, *arguments: str, log: Path) -> subprocess.Popen[bytes]:
    """Start the job of a module in a process that leads its own group, its words added to a file of a folder that is there. Raises OSError."""
    command = [sys.executable, "-P", "-m", name, *arguments]
    with log.open("ab") as output:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True)


def begin_job(studio: Mark | None, stop: Callable[[], object]) -> None:
    """Make this process a job: it gives way to pages, and its trainings take turns with those of other jobs.

    Args:
        studio: when this is gone, the job is stopped; None for one that has no studio.
        stop: asks its training to stop at the next batch; if that takes too long, the process is ended.
    """
    os.nice(NICENESS)
    take_turns()

    def part() -> None:
        stop()
        time.sleep(FAREWELL_SECONDS)
        Mark.mine().kill_group()  # it leads its own group: loaders and further GPUs' processes go, too

    if studio is not None:
        follow(studio, part)
