"""Starts the studio's processes, restarts those that die, and ends them all in order.

::

    supervisor ─┬─ prefect     Prefect's API, on loopback, needs the token
                ├─ runner ──── trainings, each in a process group of its own
                ├─ scheduler ─ retrainings by schedule, watched folders
                ├─ inference   loaded models, on loopback, needs the token
                ├─ web         Streamlit
                └─ serving-…   one for each model that is served to people's own programs

Each leads its own process group, so that Ctrl-C reaches the supervisor alone; each watches the supervisor
and ends when that has ended, in whatever way. State and addresses are in `HOME/studio.json`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
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
"""A process that ran this long is restarted without a longer pause."""
RUNNER_STOP_SECONDS = 16.0
STOP_SECONDS = 3.0
LOG_BYTES = 5_000_000
HEALTH = "/_stcore/health"
"""The studio's address that says "ok" and nothing else."""


@dataclass(frozen=True)
class Service:
    """What a process is and how to start it."""

    name: str
    command: Callable[[], Sequence[str]]
    """Called at every start."""
    environment: dict[str, str] = field(default_factory=dict)
    descriptors: tuple[int, ...] = ()
    """Sockets that it inherits."""
    health: Callable[[], str] = lambda: ""
    """An address that answers 200 once it is ready; empty if being alive counts as ready."""
    headers: dict[str, str] = field(default_factory=dict)
    after: tuple[str, ...] = ()
    """Services that must have been ready before its first start."""
    stop_seconds: float = STOP_SECONDS
    outlasts: bool = False
    """It is ended after all others, because they need it to the end."""


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

    def check(self) -> str:
        """Check the process; return a message if something happened."""
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
        _end_group(self._process, signal.SIGKILL)  # no rest of it may run beside its successor
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

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.part.state = "stopped"
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()

    def end(self, seconds: float) -> None:
        """Wait that long for its end, then kill it and whatever it started."""
        if self._process is None:
            return
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=max(0.0, seconds))
        _end_group(self._process, signal.SIGKILL)
        self._process.wait()
        self._process, self.part.pid = None, None


def _end_group(process: subprocess.Popen[bytes] | None, number: int) -> None:
    """Signal the process group that a process leads."""
    try:
        if process is not None:
            os.killpg(process.pid, number)
    except (ProcessLookupError, PermissionError):
        return  # nothing is left of it


class Supervisor:
    """Keeps services running between `start` and `stop`."""

    def __init__(
        self,
        home: Path,
        file: StudioFile,
        services: Sequence[Service],
        report: Callable[[str], None],
        further: Callable[[], Mapping[str, Service]] = dict,
    ) -> None:
        """Prepare to supervise.

        Args:
            home: the state folder.
            file: the addresses; its `parts` are kept up to date here.
            services: in the order of their start.
            report: called with each event, one line.
            further: services that come and go while the studio runs, by what identifies them; called at each check.
        """
        self._home, self._file, self._report = home, file, report
        self._further = further
        self._fixed = [self._child(service) for service in services]
        self._coming: dict[str, Child] = {}
        self._file.parts = {child.part.name: child.part for child in self.children}
        self._waiting = list(self._fixed)

    def _child(self, service: Service) -> Child:
        return Child(service, self._home / "logs" / f"{service.name}.log")

    @property
    def children(self) -> list[Child]:
        """All processes under supervision."""
        return [*self._fixed, *self._coming.values()]

    def check(self) -> None:
        """Start services that may start, check the others, and write their states."""
        changed = self._start_waiting()
        changed = self._follow() or changed
        for child in self.children:
            if child not in self._waiting and (news := child.check()):
                self._report(news)
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

    def _follow(self) -> bool:
        """End the further services that are no longer wanted, then start the new ones: they may need the same port."""
        wanted = self._further()
        gone = [name for name in self._coming if name not in wanted]
        for name in gone:
            child = self._coming.pop(name)
            child.terminate()
            child.end(child.service.stop_seconds)
            self._file.parts.pop(child.part.name, None)
        new = [name for name in wanted if name not in self._coming]
        for name in new:
            child = self._coming[name] = self._child(wanted[name])
            self._file.parts[child.part.name] = child.part
            child.start()
        return bool(gone or new)

    def is_up(self) -> bool:
        """Return whether every service that belongs to the studio itself has been ready once."""
        return all(child.was_ready for child in self._fixed)

    def stop(self) -> None:
        """End all services, within some 20 s."""
        for outlasts in (False, True):
            wave = [child for child in self.children if child.service.outlasts is outlasts]
            requested_at = time.monotonic()
            for child in wave:
                child.terminate()
            for child in wave:
                child.end(requested_at + child.service.stop_seconds - time.monotonic())
        (self._home / "studio.json").unlink(missing_ok=True)

    def _write(self) -> None:
        try:
            self._file.write(self._home)
        except StorageError as error:
            self._report(str(error))  # a full disk must not end the studio
