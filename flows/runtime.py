"""Where flows run: against the server that `PREFECT_API_URL` names, else the studio's if it is up, else one of their own.

Our run record is the source of truth; Prefect dispatches, retries, caches and shows. So its server may come and go:
a run's state is always in the store.
"""

from __future__ import annotations

import atexit
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from select import select
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, build_opener

import workflows.environment as environment
from flows.studio_file import read_studio
from workflows.errors import FieldguideError
from workflows.serving.listening import is_loopback
from workflows.store.locks import FileLock

START_TIMEOUT_SECONDS = 180.0
STOP_TIMEOUT_SECONDS = 5.0
DRAIN_TIMEOUT_SECONDS = 5.0
POLL_SECONDS = 0.1
CLIENT_RETRIES = 3
"""An embedded server that is gone does not come back: a few tries (some 15 s) are enough."""
LOOPBACK = ("127.0.0.1", "localhost")


class ServerError(FieldguideError):
    """Prefect's server is not available."""


class EmbeddedServer:
    """Prefect's server in a child process, started at once; `wait` until it answers.

    It writes to `<home>/logs/prefect-server.log`, keeps its database in Prefect's own folder under our home, listens
    on a free loopback port, and answers only requests with this process's token.
    """

    def __init__(self) -> None:
        self.auth = f"fieldguide:{secrets.token_urlsafe(24)}"
        self.url = ""
        self.log = environment.home() / "logs" / "prefect-server.log"
        self.log.parent.mkdir(parents=True, exist_ok=True)
        Path(os.environ["PREFECT_HOME"]).mkdir(parents=True, exist_ok=True)
        # two that create or migrate the same database at once would interfere
        self._turn = FileLock(Path(os.environ["PREFECT_HOME"]) / "starting.lock")
        self._turn.acquire(timeout=START_TIMEOUT_SECONDS)
        self._process = self._start()
        atexit.register(self.stop)

    def _start(self) -> subprocess.Popen[bytes]:
        script = Path(__file__).with_name("embedded.py")
        private = {
            "PREFECT__SERVER_EPHEMERAL": "1",
            "PREFECT__SERVER_FINAL": "1",
            "PREFECT_UI_ENABLED": "0",
            "PREFECT_SERVER_API_AUTH_STRING": self.auth,
            "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": "http://127.0.0.1",
        }
        port, port_pipe = os.pipe()
        self._port = os.fdopen(port, "rb")
        with self.log.open("ab") as log, os.fdopen(port_pipe, "wb"):
            return subprocess.Popen(
                [sys.executable, "-P", str(script), str(port_pipe), str(os.getpid())],
                pass_fds=(port_pipe,),
                env={**os.environ, **private},
                stdin=subprocess.PIPE,  # the server runs while it is open
                stdout=log,
                stderr=log,
            )

    def wait(self, timeout: float = START_TIMEOUT_SECONDS) -> str:
        """Return the API's address once it answers. Raises ServerError when it ends or `timeout` seconds pass."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            if self._process.poll() is not None:
                self.stop()
                raise self._failure(f"ended at once with code {self._process.returncode}")
            if not self.url and select([self._port], [], [], POLL_SECONDS)[0]:
                self.url = f"http://127.0.0.1:{self._port.read().decode('ascii')}/api"
            if self.url and answers(self.url):
                self._turn.release()
                return self.url
            time.sleep(POLL_SECONDS)
        self.stop()
        raise self._failure(f"did not answer within {timeout:g} s")

    def _failure(self, how: str) -> ServerError:
        return ServerError(
            f"Prefect's embedded server {how}.",
            f"Its log is {self.log}. `fieldguide doctor` checks the installation; or start a server yourself "
            "(`prefect server start`) and set PREFECT_API_URL.",
        )

    def stop(self) -> None:
        """End the server. Safe to call again."""
        atexit.unregister(self.stop)
        self._turn.release()
        if self._process.poll() is None:
            try:
                self._process.communicate(timeout=STOP_TIMEOUT_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._port.close()


def studio_server_command(listener: socket.socket) -> list[str]:
    """Return the command that serves Prefect's API for the studio on an inherited socket, as this process's child."""
    script = Path(__file__).with_name("embedded.py")
    return [sys.executable, "-P", str(script), "--listener", str(listener.fileno()), str(os.getpid())]


def studio_server_environment(auth: str) -> dict[str, str]:
    """Return the settings that protect that server: it answers only requests with `auth`, and no other origin's pages.

    Concurrency leases go to files: if they were in memory, a restart of the server would end runs that hold one.
    """
    return {
        "PREFECT_SERVER_API_AUTH_STRING": auth,
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": "http://127.0.0.1",
        "PREFECT_SERVER_CSRF_PROTECTION_ENABLED": "true",
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
        "PREFECT_UI_ENABLED": "0",
        "PREFECT_API_URL": "",
    }


def answers(url: str, timeout: float = 2.0) -> bool:
    """Whether a Prefect API answers at `url` (its health page needs no password)."""
    proxies = ProxyHandler({} if is_loopback(urlsplit(url).hostname or "") else None)
    try:
        with build_opener(proxies).open(f"{url.rstrip('/')}/health", timeout=timeout) as reply:
            return int(reply.status) == 200
    except (URLError, OSError):
        return False


def loopback_works() -> bool:
    """Whether the loopback interface works; in a sandbox without any network it may not."""
    try:
        with socket.create_server((LOOPBACK[0], 0)) as listener:
            socket.create_connection(listener.getsockname(), timeout=2.0).close()
    except OSError:
        return False
    return True


def configured_url() -> str:
    """The configured address of a server for flows; empty for none."""
    from prefect.settings import PREFECT_API_URL

    return str(PREFECT_API_URL.value() or "")


def server_is_configured() -> bool:
    """Whether a server is configured, as far as is known without importing Prefect, which takes seconds."""
    return bool(os.environ.get("PREFECT_API_URL")) or ("prefect" in sys.modules and bool(configured_url()))


@contextmanager
def prefect_api(meanwhile: Callable[[], object] | None = None) -> Iterator[str]:
    """Provide a Prefect API for the duration of the block; yield its address.

    `meanwhile` is called while an embedded server starts (4-16 s): slow imports fit there. Raises ServerError.
    """
    _quiet_console()
    _reach_loopback_directly()
    server = None if server_is_configured() else _studio_server() or EmbeddedServer()
    try:
        if meanwhile is not None:
            meanwhile()
        url = configured_url()
        if url:  # also one from a Prefect profile, known only once Prefect is imported
            if not answers(url, timeout=10.0):
                raise ServerError(f"No Prefect server answers at {url}.", "Start it, or unset PREFECT_API_URL.")
            yield url
        elif server is not None:
            with _client_of(server):
                yield server.url
    finally:
        if server is not None:
            server.stop()


@dataclass(frozen=True)
class _StudioServer:
    """The server of a running studio in our home: a second one on the same database is not needed."""

    url: str
    auth: str

    def wait(self) -> str:
        return self.url

    def stop(self) -> None:
        """Leave it running: it belongs to the studio."""


def _studio_server() -> _StudioServer | None:
    studio = read_studio(environment.home())
    if studio is None or not studio.prefect_auth or not answers(studio.prefect_url):
        return None
    return _StudioServer(studio.prefect_url, studio.prefect_auth)


@contextmanager
def _client_of(server: EmbeddedServer | _StudioServer) -> Iterator[None]:
    """Point Prefect's clients at `server`; before the block ends, send what they have buffered."""
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker
    from prefect.settings import (
        PREFECT_API_AUTH_STRING,
        PREFECT_API_URL,
        PREFECT_CLIENT_MAX_RETRIES,
        temporary_settings,
    )

    server.wait()
    settings = {
        PREFECT_API_URL: server.url,
        PREFECT_API_AUTH_STRING: server.auth,
        PREFECT_CLIENT_MAX_RETRIES: CLIENT_RETRIES,
    }
    with temporary_settings(settings):
        try:
            yield
        finally:
            APILogWorker.drain_all(timeout=DRAIN_TIMEOUT_SECONDS)
            EventsWorker.drain_all(timeout=DRAIN_TIMEOUT_SECONDS)


def _quiet_console() -> None:
    """Keep Prefect's log lines for its UI: a command's stderr is for its progress bars and messages."""
    os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
    os.environ.setdefault("PREFECT_LOGGING_INTERNAL_LEVEL", "CRITICAL")


def _reach_loopback_directly() -> None:
    """Where a proxy is configured, Prefect's client would use it for the embedded server, too."""
    for name in ("NO_PROXY", "no_proxy"):
        known = [host for host in os.environ.get(name, "").split(",") if host]
        os.environ[name] = ",".join(dict.fromkeys([*known, *LOOPBACK]))
