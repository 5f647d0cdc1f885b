"""What the studio consists of: its services with their commands, addresses, tokens."""

from __future__ import annotations

import os
import secrets
import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from app import oidc
from app.password import is_set
from app.served import Served, read_served, served_changed, token_file
from app.supervisor import HEALTH, RUNNER_STOP_SECONDS, Service, Supervisor
from app.web_server import settings as web_settings
from flows.process_identity import ProcessIdentity
from flows.runtime import LOOPBACK, studio_server_command, studio_server_environment
from flows.studio_file import StudioFile, read_studio
from workflows import settings
from workflows.errors import FieldguideError, StorageError, UsageError
from workflows.serving.listening import ANYWHERE, interface_addresses, is_loopback, url_of
from workflows.store.files import stored_secret
from workflows.store.locks import FileLock


class StudioError(FieldguideError):
    """The studio can't be started here."""


@dataclass(frozen=True)
class ListenAddress:
    """Where the studio listens, and the host name for browsers on this machine."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """The address to open."""
        return url_of(LOOPBACK[0] if self.host in ANYWHERE else self.host, self.port)

    @property
    def is_exposed(self) -> bool:
        """Whether other machines can reach it."""
        return not is_loopback(self.host)

    @property
    def host_names(self) -> tuple[str, ...]:
        """The host names that a request may address the studio by."""
        own = (
            (self.host,)
            if self.host not in ANYWHERE
            else (socket.gethostname(), socket.getfqdn(), *interface_addresses())
        )
        named = tuple(name for name in (settings.HOSTS.read() or "").split(",") if name)
        return tuple(dict.fromkeys(["localhost", *LOOPBACK, "[::1]", "::1", *(own if self.is_exposed else ()), *named]))

    def listen(self) -> socket.socket:
        """Return the listening socket. Raises StudioError if the port is taken or the address is not this machine's."""
        try:
            family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
            return socket.create_server((self.host, self.port), family=family, backlog=128)
        except OSError as error:
            raise StudioError(
                f"Can't listen on {self.host} port {self.port}: {error.strerror or error}.",
                f"If something else uses it, choose another port: fieldguide up --port {self.port + 1}",
            ) from error


def check_access(home: Path, address: ListenAddress) -> None:
    """Refuse to listen for other machines without a login, and to start with an unusable login.

    Raises:
        UsageError: its hint says what to set, write or install.
        StorageError: `secrets.toml` can't be read.
    """
    if oidc.is_configured(home):
        oidc.check(home)
    elif address.is_exposed and not is_set(home):
        raise UsageError(
            f"On {address.host} everyone on the network could use the studio.",
            f"Set a password first: fieldguide up --set-password. Or let people sign in by OpenID Connect, in "
            f"{home / oidc.NAME}:\n{oidc.EXAMPLE}\n\n"
            "The connection is not encrypted: put a reverse proxy with TLS before it.",
        )


def claim(home: Path) -> FileLock:
    """Lock this home for one studio. Raises StudioError with the address of a running one."""
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
    """The studio's services, ready to be supervised. Use it as a context manager: it holds lock and sockets."""

    def __init__(self, home: Path, address: ListenAddress, report: Callable[[str], None]) -> None:
        """Lock the home and open the sockets. Raises StudioError, UsageError, StorageError."""
        self.home = home
        check_access(home, address)
        self._lock = claim(home)
        self._sockets: list[socket.socket] = []
        self._served: tuple[tuple[int, int], dict[str, Service]] = ((-1, -1), {})
        try:
            self._web = self._keep(address.listen())
            self.address = ListenAddress(address.host, self._web.getsockname()[1])
            self.file = self._describe()
            self.supervisor = Supervisor(home, self.file, self._services(), report, self._served_services)
        except FieldguideError:
            self.close()
            raise

    def _keep(self, opened: socket.socket) -> socket.socket:
        self._sockets.append(opened)
        return opened

    def close(self) -> None:
        """Release sockets and lock."""
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
            process=str(ProcessIdentity.current()),
            url=self.address.url,
            prefect_url=url,
            prefect_auth=f"fieldguide:{secrets.token_urlsafe(24)}" if own else "",
            inference_url="",
            inference_token=stored_secret(self.home / "studio" / "inference-token"),
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
        address, listener = self.address, self._web
        secret = stored_secret(self.home / "studio" / "cookie-secret")
        return Service(
            "web",
            lambda: _python("app.web_server", str(listener.fileno()), str(ProcessIdentity.current())),
            environment=web_settings(self.home, address.host, address.port, address.host_names, secret),
            descriptors=(listener.fileno(),),
            health=lambda: f"{address.url}{HEALTH}",
        )

    def _access(self) -> dict[str, str]:
        """Return the environment that a child needs for Prefect's server."""
        access = {"PREFECT_API_URL": self.file.prefect_url, "NO_PROXY": _no_proxy(), "no_proxy": _no_proxy()}
        return access | ({"PREFECT_API_AUTH_STRING": self.file.prefect_auth} if self.file.prefect_auth else {})

    def _runner_service(self) -> Service:
        return Service(
            "runner",
            lambda: _python("flows.runner", "--studio", str(ProcessIdentity.current())),
            environment=self._access(),
            after=("web",),
            stop_seconds=RUNNER_STOP_SECONDS,
        )

    def _scheduler_service(self) -> Service:
        return Service(
            "scheduler",
            lambda: _python("flows.scheduler", "--studio", str(ProcessIdentity.current())),
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

    def _served_services(self) -> dict[str, Service]:
        """Return a service for every model that is to be served; read again when the record has changed."""
        changed = served_changed(self.home)
        if changed != self._served[0]:
            try:
                found = read_served(self.home)
            except StorageError:
                return self._served[1]  # a damaged record stops no model that is being served
            self._served = changed, {f"{each.part} {each.since}": self._served_service(each) for each in found}
        return self._served[1]

    def _served_service(self, served: Served) -> Service:
        token = token_file(self.home, served.model)
        what = ("--run", served.model, "--pinned", "--port", str(served.port), "--token-file", str(token))
        where = ("--host", served.host, "--parent", str(os.getpid()))
        return Service(
            served.part,
            lambda: _python("workflows.serving", *what, *where),
            health=lambda: f"{served.address}/health",
        )


def _python(module: str, *arguments: str) -> list[str]:
    return [sys.executable, "-P", "-m", module, *arguments]


def _free_port() -> int:
    with socket.create_server((LOOPBACK[0], 0)) as found:
        return int(found.getsockname()[1])


def _no_proxy() -> str:
    known = [host for host in os.environ.get("NO_PROXY", os.environ.get("no_proxy", "")).split(",") if host]
    return ",".join(dict.fromkeys([*known, *LOOPBACK]))
