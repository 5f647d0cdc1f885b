"""What the studio consists of: its services with their commands, addresses, tokens."""

from __future__ import annotations

import os
import secrets
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path

from app import oidc
from app.password import is_set
from app.supervisor import RUNNER_STOP_SECONDS, Service, Supervisor
from app.web_server import settings as web_settings
from flows.leash import Mark
from flows.runtime import LOOPBACK, studio_server_command, studio_server_environment
from flows.studio_file import StudioFile, read_studio
from workflows.errors import FieldguideError, StorageError, UsageError
from workflows.store.files import atomic_path, storage_errors
from workflows.store.locks import FileLock

WELL = "/_stcore/health"
ANYWHERE = ("0.0.0.0", "::")


class StudioError(FieldguideError):
    """The studio can't be started here."""


@dataclass(frozen=True)
class Door:
    """Where the studio listens, and the name by which a browser on this machine asks for it."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """The address to open."""
        host = "127.0.0.1" if self.host in ANYWHERE else self.host
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    @property
    def beyond(self) -> bool:
        """Whether others than this machine can come to it."""
        try:
            return self.host != "localhost" and not ip_address(self.host).is_loopback
        except ValueError:
            return True

    @property
    def names(self) -> tuple[str, ...]:
        """The names that a browser may ask for."""
        own = (self.host,) if self.host not in ANYWHERE else (socket.gethostname(), socket.getfqdn(), *_addresses())
        named = tuple(name for name in os.environ.get("FIELDGUIDE_HOSTS", "").split(",") if name)
        return tuple(dict.fromkeys(["localhost", *LOOPBACK, "[::1]", "::1", *(own if self.beyond else ()), *named]))

    def open(self) -> socket.socket:
        """Return the listening socket. Raises StudioError if the port is taken or the address is not ours."""
        try:
            family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
            return socket.create_server((self.host, self.port), family=family, backlog=128)
        except OSError as error:
            raise StudioError(
                f"Can't listen on {self.host} port {self.port}: {error.strerror or error}.",
                f"Something else uses it? Choose another port: fieldguide up --port {self.port + 1}",
            ) from error


def _addresses() -> list[str]:
    """The addresses of this machine's interfaces."""
    import psutil

    families = (socket.AF_INET, socket.AF_INET6)
    return [a.address for found in psutil.net_if_addrs().values() for a in found if a.family in families]


def check_door(home: Path, door: Door) -> None:
    """Refuse to listen beyond this machine unless somebody asks who comes in, and to start with a login that fails.

    Raises:
        UsageError: with what to set, to write or to install.
        StorageError: `secrets.toml` can't be read.
    """
    if oidc.is_configured(home):
        oidc.check(home)
    elif door.beyond and not is_set(home):
        raise UsageError(
            f"On {door.host} everybody on the network could use the studio.",
            f"Set a password first: fieldguide up --set-password. Or let people sign in by OpenID Connect, in "
            f"{home / oidc.NAME}:\n{oidc.EXAMPLE}\n\n"
            "The connection is not encrypted: put a reverse proxy with TLS before it.",
        )


def claim(home: Path) -> FileLock:
    """Be the one studio of this home. Raises StudioError if another one is up; says where."""
    lock = FileLock(home / "locks" / "studio.lock")
    if lock.acquire("studio", timeout=0.5):
        return lock
    found, holder = read_studio(home), lock.holder()
    where = f" at {found.url}" if found else ""
    process = f" (process {holder.pid})" if holder else ""
    raise StudioError(
        f"The studio is already up{where}{process}.",
        f"Open {found.url} in a browser; end it by Ctrl-C where it runs." if found else "It is just starting.",
    )


class Studio:
    """The studio's parts, ready to be supervised. Use it as a context manager: it holds lock and sockets."""

    def __init__(self, home: Path, door: Door, tell: Callable[[str], None]) -> None:
        """Claim the home and open the sockets. Raises StudioError, UsageError, StorageError."""
        self.home = home
        check_door(home, door)
        self._lock = claim(home)
        self._sockets: list[socket.socket] = []
        try:
            self._web = self._keep(door.open())
            self.door = Door(door.host, self._web.getsockname()[1])
            self.file = self._describe()
            self.supervisor = Supervisor(home, self.file, self._services(), tell)
        except FieldguideError:
            self.close()
            raise

    def _keep(self, opened: socket.socket) -> socket.socket:
        self._sockets.append(opened)
        return opened

    def close(self) -> None:
        """Give sockets and lock back."""
        for opened in self._sockets:
            opened.close()
        self._lock.release()

    def _describe(self) -> StudioFile:
        own = not os.environ.get("PREFECT_API_URL")
        if own:
            self._prefect = self._keep(socket.create_server((LOOPBACK[0], 0), backlog=128))
            url = f"http://{LOOPBACK[0]}:{self._prefect.getsockname()[1]}/api"
        else:
            url = os.environ["PREFECT_API_URL"]
        return StudioFile(
            process=str(Mark.mine()),
            url=self.door.url,
            prefect_url=url,
            prefect_auth=f"fieldguide:{secrets.token_urlsafe(24)}" if own else "",
            inference_url="",
            inference_token=_kept_secret(self.home / "studio" / "inference-token"),
            started_at=datetime.now(UTC).isoformat(),
        )

    def _services(self) -> list[Service]:
        owned = [self._prefect_service()] if self.file.prefect_auth else []
        by_itself = [self._runner_service(), self._scheduler_service()]
        return [*owned, self._web_service(), *by_itself, self._inference_service()]

    def _prefect_service(self) -> Service:
        return Service(
            "prefect",
            lambda: studio_server_command(self._prefect),
            environment=studio_server_environment(self.file.prefect_auth),
            descriptors=(self._prefect.fileno(),),
            health=lambda: f"{self.file.prefect_url}/health",
            after=("web",),
            outlasts=True,
        )

    def _web_service(self) -> Service:
        door, listener = self.door, self._web
        secret = _kept_secret(self.home / "studio" / "cookie-secret")
        return Service(
            "web",
            lambda: _python("app.web_server", str(listener.fileno()), str(Mark.mine())),
            environment=web_settings(self.home, door.host, door.port, door.names, secret),
            descriptors=(listener.fileno(),),
            health=lambda: f"{door.url}{WELL}",
        )

    def _access(self) -> dict[str, str]:
        """Return what a child needs to talk to Prefect's server."""
        access = {"PREFECT_API_URL": self.file.prefect_url, "NO_PROXY": _no_proxy(), "no_proxy": _no_proxy()}
        return access | ({"PREFECT_API_AUTH_STRING": self.file.prefect_auth} if self.file.prefect_auth else {})

    def _runner_service(self) -> Service:
        return Service(
            "runner",
            lambda: _python("flows.runner", "--studio", str(Mark.mine())),
            environment=self._access(),
            after=("web",),
            stop_seconds=RUNNER_STOP_SECONDS,
        )

    def _scheduler_service(self) -> Service:
        return Service(
            "scheduler",
            lambda: _python("flows.scheduler", "--studio", str(Mark.mine())),
            environment=self._access(),
            after=("web", "prefect") if self.file.prefect_auth else ("web",),
            stop_seconds=RUNNER_STOP_SECONDS,
        )

    def _inference_service(self) -> Service:
        token = self.home / "studio" / "inference-token"

        def command() -> Sequence[str]:
            port = _free_port()
            self.file.inference_url = f"http://{LOOPBACK[0]}:{port}"
            own = ("--parent", str(os.getpid()), "--token-file", str(token))
            return _python("workflows.serving", "--port", str(port), *own)

        return Service("inference", command, health=lambda: f"{self.file.inference_url}/health", after=("web",))


def _python(module: str, *arguments: str) -> list[str]:
    return [sys.executable, "-P", "-m", module, *arguments]


def _free_port() -> int:
    with socket.create_server((LOOPBACK[0], 0)) as found:
        return int(found.getsockname()[1])


def _no_proxy() -> str:
    known = [host for host in os.environ.get("NO_PROXY", os.environ.get("no_proxy", "")).split(",") if host]
    return ",".join(dict.fromkeys([*known, *LOOPBACK]))


def _kept_secret(path: Path) -> str:
    """Return the secret in a file that only its owner can read; it is made at the first asking. Raises StorageError."""
    with storage_errors(path, "read"), suppress(FileNotFoundError):
        found = path.read_text(encoding="ascii").strip()
        if found:
            return found
    made = secrets.token_urlsafe(32)
    with atomic_path(path) as temporary:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(made)
    if path.stat().st_mode & 0o077:
        raise StorageError(
            f"{path} can be read by others.", "Choose a file system that keeps secrets for FIELDGUIDE_HOME."
        )
    return made
