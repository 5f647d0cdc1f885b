"""A Prefect server with its services and a scheduler, whose studio is the test; either can be killed and started anew."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from flows.process_identity import ProcessIdentity
from flows.runtime import answers, studio_server_command, studio_server_environment
from tests.app.studio import eventually
from tests.processes import environment

AUTH = "fieldguide:for-this-test-only"


@dataclass
class ByItself:
    """Server and scheduler of one home."""

    home: Path
    listener: socket.socket
    server: subprocess.Popen[bytes] | None = None
    scheduler: subprocess.Popen[bytes] | None = None
    log: Path = field(init=False)

    def __post_init__(self) -> None:
        self.log = self.home.parent / "by-itself.log"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}/api"

    def access(self) -> dict[str, str]:
        """What a client's environment needs."""
        return {"PREFECT_API_URL": self.url, "PREFECT_API_AUTH_STRING": AUTH, "NO_PROXY": "127.0.0.1"}

    def start_server(self) -> None:
        settings = {
            **environment(self.home),
            **studio_server_environment(AUTH),
            "PREFECT_HOME": str(self.home / "prefect"),
        }
        (self.home / "prefect").mkdir(exist_ok=True)
        self.server = self._start(studio_server_command(self.listener), settings, (self.listener.fileno(),))
        eventually(lambda: answers(self.url), what=self.words())

    def start_scheduler(self) -> None:
        command = [sys.executable, "-P", "-m", "flows.scheduler", "--studio", str(ProcessIdentity.current())]
        self.scheduler = self._start(command, environment(self.home, **self.access()), ())

    def _start(
        self, command: list[str], settings: dict[str, str], descriptors: tuple[int, ...]
    ) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return subprocess.Popen(
                command, env=settings, pass_fds=descriptors, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def words(self) -> str:
        """What they wrote, for messages."""
        logs = [self.log, *(self.home / "logs").glob("*.log")]
        return "\n".join(path.read_text(errors="replace")[-3000:] for path in logs if path.exists())

    def end(self) -> None:
        for process in (self.scheduler, self.server):
            if process is not None and process.poll() is None:
                process.send_signal(signal.SIGTERM)
                process.wait(60)


@contextmanager
def by_itself(home: Path) -> Iterator[ByItself]:
    """Have both run for the body."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        running = ByItself(home, listener)
        try:
            running.start_server()
            running.start_scheduler()
            yield running
        finally:
            running.end()
