"""Starts the studio's processes, starts again what dies, and ends them all in order.

::

    supervisor ─┬─ prefect     Prefect's API, on loopback, for who knows the token
                ├─ runner ──── trainings, each in a process group of its own
                ├─ scheduler ─ retrainings by schedule, watched folders
                ├─ inference   models kept warm, on loopback, for who knows the token
                └─ web         Streamlit

Each is a leader of its own process group, so that Ctrl-C reaches the supervisor alone; each watches the supervisor
and goes when that is gone, however it went. State and addresses stand in `HOME/studio.json`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

from flows.studio_file import Part, StudioFile
from workflows.errors import StorageError

POLL_SECONDS = 0.25
PROBE_SECONDS = 2.0
LONGEST_PAUSE_SECONDS = 60.0
HEALTHY_SECONDS = 60.0
"""Who ran this long may die again without being thought hopeless."""
RUNNER_STOP_SECONDS = 16.0
STOP_SECONDS = 3.0
LOG_BYTES = 5_000_000


@dataclass(frozen=True)
class Service:
    """What a process is and how to start it."""

    name: str
    command: Callable[[], Sequence[str]]
    """Asked at every start."""
    environment: dict[str, str] = field(default_factory=dict)
    descriptors: tuple[int, ...] = ()
    """Sockets that it inherits."""
    health: Callable[[], str] = lambda: ""
    """An address that answers 200 once it is ready; empty if being alive is all it can show."""
    headers: dict[str, str] = field(default_factory=dict)
    after: tuple[str, ...] = ()
    """Those that must have become ready before it starts the first time."""
    stop_seconds: float = STOP_SECONDS
    outlasts: bool = False
    """It is ended when all others have ended, because they need it to the end."""


class Child:
    """One process under supervision."""

    def __init__(self, service: Service, log: Path) -> None:
        self.service = service
        self.part = Part(service.name, log=str(log))
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._started = self._retry_at = 0.0
        self._failures = 0
        self.was_ready = False

    def start(self) -> None:
        """Start the process."""
        self._log.parent.mkdir(parents=True, exist_ok=True)
        if self._log.exists() and self._log.stat().st_size > LOG_BYTES:
            self._log.replace(self._log.with_suffix(".old.log"))
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                list(self.service.command()),
                env={**os.environ, **self.service.environment},
                pass_fds=self.service.descriptors,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._started = time.monotonic()
        self.part.pid, self.part.state = self._process.pid, "starting"

    def look(self) -> str:
        """Look how it fares; return what there is to tell about it, if anything."""
        if self._process is None:
            if self.part.restarts and time.monotonic() >= self._retry_at:
                self.start()
                return f"{self.service.name} is started again"
            return ""
        code = self._process.poll()
        if code is not None:
            return self._died(code)
        if self.part.state == "starting" and self._is_ready():
            self.part.state, self.was_ready = "running", True
            return f"{self.service.name} is up{' again' if self.part.restarts else ''}"
        if self.part.state == "running" and time.monotonic() - self._started > HEALTHY_SECONDS:
            self._failures = 0
        return ""

    def _died(self, code: int) -> str:
        _end_group(self._process, signal.SIGKILL)  # nothing of it may go on behind its successor's back
        self._process = None
        pause = min(float(2**self._failures), LONGEST_PAUSE_SECONDS)
        self._failures += 1
        self._retry_at = time.monotonic() + pause
        self.part.state, self.part.pid, self.part.exit_code = "restarting", None, code
        self.part.restarts += 1
        self.part.died_at = datetime.now(UTC).isoformat()
        how = f"was ended by signal {-code}" if code < 0 else f"ended with code {code}"
        return f"{self.service.name} {how}; it is started again in {pause:.0f} s. Its log: {self._log}"

    def _is_ready(self) -> bool:
        address = self.service.health()
        if not address:
            return time.monotonic() - self._started > 1.0
        opener = build_opener(ProxyHandler({}))
        opener.addheaders = list(self.service.headers.items())
        try:
            with opener.open(address, timeout=PROBE_SECONDS) as reply:
                return int(reply.status) == 200
        except (URLError, OSError):
            return False

    def ask_to_end(self) -> None:
        """Send SIGTERM."""
        self.part.state = "stopped"
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()

    def end(self, seconds: float) -> None:
        """Wait so long for its end, then end it and whatever it started."""
        if self._process is None:
            return
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=max(0.0, seconds))
        _end_group(self._process, signal.SIGKILL)
        self._process.wait()
        self._process, self.part.pid = None, None


def _end_group(process: subprocess.Popen[bytes] | None, number: int) -> None:
    """Signal a process's whole group, which it led."""
    try:
        if process is not None:
            os.killpg(process.pid, number)
    except (ProcessLookupError, PermissionError):
        return  # nothing is left of it


class Supervisor:
    """Keeps services running between `start` and `stop`."""

    def __init__(self, home: Path, file: StudioFile, services: Sequence[Service], tell: Callable[[str], None]) -> None:
        """Prepare to supervise.

        Args:
            home: the state folder.
            file: the addresses; its `parts` are kept up to date here.
            services: in the order of their start.
            tell: told what happens, a line at a time.
        """
        self._home, self._file, self._tell = home, file, tell
        self.children = [Child(service, home / "logs" / f"{service.name}.log") for service in services]
        self._file.parts = {child.part.name: child.part for child in self.children}
        self._waiting = list(self.children)

    def look(self) -> None:
        """Start who may start, look after the rest, and write down how it stands."""
        changed = self._start_waiting()
        for child in self.children:
            if child not in self._waiting and (news := child.look()):
                self._tell(news)
                changed = True
        if changed:
            self._write()

    def _start_waiting(self) -> bool:
        ready = {child.part.name for child in self.children if child.was_ready}
        able = [child for child in self._waiting if ready.issuperset(child.service.after)]
        for child in able:
            child.start()
            self._waiting.remove(child)
        return bool(able)

    def is_up(self) -> bool:
        """Return whether every service has been ready once."""
        return all(child.was_ready for child in self.children)

    def stop(self) -> None:
        """End all services, within some 20 s."""
        for outlasts in (False, True):
            wave = [child for child in self.children if child.service.outlasts is outlasts]
            asked = time.monotonic()
            for child in wave:
                child.ask_to_end()
            for child in wave:
                child.end(asked + child.service.stop_seconds - time.monotonic())
        (self._home / "studio.json").unlink(missing_ok=True)

    def _write(self) -> None:
        try:
            self._file.write(self._home)
        except StorageError as error:
            self._tell(str(error))  # a full disk must not end the studio
