"""A studio that is really up, for tests that talk to it: `studio` starts one per module, `running_studio` one over any home."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from app.client import Client
from flows.studio_file import StudioFile, read_studio
from tests.processes import FIELDGUIDE, environment

START_SECONDS = 180.0
STOP_SECONDS = 40.0
POLL_SECONDS = 0.2


def eventually(true: Callable[[], object], seconds: float = START_SECONDS, what: str = "") -> None:
    """Wait until `true()` holds; fail if it doesn't within `seconds` (generous: other tests use this machine, too)."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, what or f"{true} did not come true within {seconds:g} s"
        time.sleep(POLL_SECONDS)


@dataclass
class StartedStudio:
    """A studio that was started by `fieldguide up`."""

    home: Path
    process: subprocess.Popen[bytes]
    said: Path
    """What `up` printed."""
    client: Client = field(init=False)

    def __post_init__(self) -> None:
        self.client = Client(self.home)

    @property
    def file(self) -> StudioFile:
        """Addresses and states."""
        found = read_studio(self.home)
        assert found is not None, self.said.read_text()
        return found

    @property
    def url(self) -> str:
        """The page's address."""
        return self.file.url

    def state(self, part: str) -> str:
        """The state of one of its processes; empty before there is one."""
        found = read_studio(self.home)
        return found.parts[part].state if found and part in found.parts else ""

    def wait_for(self, *parts: str) -> StartedStudio:
        """Wait until these processes are running, e.g. `inference`."""
        for part in parts:
            self._wait_for(part)
        return self

    def _wait_for(self, part: str) -> None:
        try:
            eventually(lambda: self.state(part) == "running")
        except AssertionError:
            pytest.fail(f"{part} is not up: {self.logs()}")

    def family(self) -> list[psutil.Process]:
        """All processes that belong to it, itself first."""
        try:
            own = psutil.Process(self.process.pid)
            return [own, *own.children(recursive=True)]
        except psutil.Error:
            return []

    def logs(self) -> str:
        """The end of what its processes and `up` itself wrote, for messages of failed tests."""
        files = [self.said, *sorted((self.home / "logs").glob("*.log")), *self.home.glob("runs/*/training.log")]
        return "\n".join(f"--- {path.name}\n{path.read_text(errors='replace')[-2000:]}" for path in files)

    def end(self, number: int = signal.SIGINT) -> int:
        """Signal `up`, wait until it has ended, and return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(timeout=STOP_SECONDS)


def start_studio(home: Path, *arguments: str, **extra: str) -> StartedStudio:
    """Start `fieldguide up` on a free port, in a session of its own; it is not up yet."""
    home.parent.mkdir(parents=True, exist_ok=True)
    said = home.parent / f"{home.name}-up.log"
    with said.open("wb") as output:
        process = subprocess.Popen(
            [str(FIELDGUIDE), "up", "--port", "0", "--no-browser", *arguments],
            env=environment(home, **extra),
            cwd=home.parent,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    return StartedStudio(home, process, said)


def gone(processes: list[psutil.Process], seconds: float = 20.0) -> list[psutil.Process]:
    """Wait for processes to end; return (and end) those that didn't."""
    _, left = psutil.wait_procs(processes, timeout=seconds)
    left = [process for process in left if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]
    for process in left:
        process.kill()
    return left


@contextmanager
def running_studio(home: Path, *parts: str) -> Iterator[StartedStudio]:
    """Start a studio and wait for these parts of it (`web` without any); nothing of it is left, whatever happens."""
    started = start_studio(home)
    try:
        yield started.wait_for(*(parts or ("web",)))
    finally:
        family = started.family()
        try:
            started.end()
        finally:
            if started.process.poll() is None:
                started.process.kill()
                started.process.wait()
            gone(family)


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartedStudio]:
    """A studio with an empty home, whose page answers. Use `wait_for` for the rest of it."""
    with running_studio(tmp_path_factory.mktemp("studio") / "home") as started:
        yield started
