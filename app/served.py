"""Models that the studio serves to people's own programs: which ones, on which port, with which token.

`HOME/studio/serving.json` is the record of what is to be served. The studio's supervisor starts what it lists, also
after a restart, and ends what is no longer in it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from flows.runtime import LOOPBACK
from flows.studio_file import Part, read_studio
from workflows.errors import StorageError, UsageError
from workflows.serving.listening import ANYWHERE, ServingError, interface_addresses, is_loopback, open_socket, url_of
from workflows.store.files import read_json, stored_secret, write_json
from workflows.store.locks import hold
from workflows.store.store import Store

FIRST_PORT, PORTS_TRIED = 8000, 100
LOG_TAIL = 2_000
SERVING = "serving-"
"""What the names of their processes among the studio's begin with."""


@dataclass(frozen=True)
class Served:
    """One model that is to be served, under its name: its champion answers.

    Attributes:
        port: where it listens.
        author: who started it.
        since: when, ISO 8601, UTC.
        host: the address of the interface that it listens on; `0.0.0.0`: all of this machine's.
    """

    model: str
    port: int
    author: str
    since: str
    host: str = LOOPBACK[0]

    @property
    def part(self) -> str:
        """What its process is called among the studio's."""
        return f"{SERVING}{self.model}-{self.port}"

    @property
    def address(self) -> str:
        """Where it answers programs of this machine."""
        return url_of(LOOPBACK[0] if self.host in ANYWHERE else self.host, self.port)

    @property
    def addresses(self) -> list[str]:
        """Where it answers programs of other machines; empty if it doesn't."""
        if is_loopback(self.host):
            return []
        if self.host not in ANYWHERE:
            return [url_of(self.host, self.port)]
        found = (each for each in interface_addresses() if ":" in self.host or ":" not in each)
        # those with a percent sign hold only together with the name of an interface
        return [url_of(each, self.port) for each in found if not is_loopback(each) and "%" not in each]


@dataclass(frozen=True)
class ServedState:
    """What is to be served, and how that stands.

    Attributes:
        state: of its process (`flows.studio_file.Part`); `stopped` where no studio is up.
        trouble: why its process ended, if it did and is being restarted.
    """

    served: Served
    state: str
    trouble: str = ""

    @property
    def is_running(self) -> bool:
        """Whether requests are answered."""
        return self.state == "running"


def read_served(home: Path) -> list[Served]:
    """Return what is to be served, by model. Raises StorageError if the record can't be read."""
    path = _file(home)
    if not path.exists():
        return []  # nothing ever was
    try:
        return sorted((Served(**fields) for fields in read_json(path)), key=lambda each: each.model)
    except (StorageError, TypeError) as error:
        raise StorageError(
            f"{path} can't be read as the record of served models: {error}.",
            "If it is damaged, delete it, and start serving again from the pages of the models.",
        ) from error


def served_changed(home: Path) -> tuple[int, int]:
    """Return what changes with the record, at the cost of one look at its file."""
    try:
        found = _file(home).stat()
        return found.st_mtime_ns, found.st_ino
    except OSError:
        return 0, 0


def start_serving(store: Store, model: str, port: int | None = None, host: str = LOOPBACK[0]) -> Served:
    """Record that a model is to be served: the running studio starts it at once, a later one when it starts.

    Args:
        model: its name; its champion answers, also when that changes.
        port: default the first free one.
        host: the address of an interface of this machine; see :class:`Served`.

    Raises:
        ModelError: there is no such model, or it has no champion.
        UsageError: it is served already.
        ServingError: the port is in use, or this machine has no such address.
        StorageError: the record or the token can't be read or written.
    """
    from workflows.data.publishing import resolve_author  # Pandas, which the studio's supervisor can do without
    from workflows.registry.models import champion

    champion(store, model)
    with hold(store.locks_folder / "serving.lock"):
        known = read_served(store.home)
        for each in known:
            if each.model == model:
                raise UsageError(f"{model} is served already, at {each.address}.", "Stop it first to change its port.")
        chosen = _free_port(host, port, {each.port for each in known})
        served = Served(model, chosen, resolve_author(), datetime.now(UTC).isoformat(), host)
        stored_secret(token_file(store.home, model))
        write_json(_file(store.home), [asdict(each) for each in (*known, served)])
    return served


def stop_serving(store: Store, model: str) -> None:
    """Take a model off the record and revoke its token; its process is ended.

    Raises:
        UsageError: it isn't served.
        StorageError: the record can't be read or written.
    """
    with hold(store.locks_folder / "serving.lock"):
        known = read_served(store.home)
        left = [each for each in known if each.model != model]
        if len(left) == len(known):
            raise UsageError(f"{model} is not served by the studio.", "List what is: fieldguide serve --list")
        write_json(_file(store.home), [asdict(each) for each in left])
        token_file(store.home, model).unlink(missing_ok=True)


def served_states(home: Path) -> list[ServedState]:
    """Return what is to be served with how each stands, by model. Raises StorageError if the record can't be read."""
    studio = read_studio(home)
    parts = studio.parts if studio else {}
    waiting = "starting" if studio else "stopped"
    return [_state(each, parts.get(each.part), waiting) for each in read_served(home)]


def token_file(home: Path, model: str) -> Path:
    """Return the file of the token that requests for a model must carry; only its owner can read it."""
    return home / "studio" / f"serving-{model}.token"


def _state(served: Served, part: Part | None, waiting: str) -> ServedState:
    if part is None:
        return ServedState(served, waiting)
    return ServedState(served, part.state, _last_words(Path(part.log)) if part.state == "restarting" else "")


def _last_words(log: Path) -> str:
    """Return the last line of a log."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace")[-LOG_TAIL:].strip().splitlines()
    except OSError:
        lines = []
    return lines[-1] if lines else ""


def _free_port(host: str, wanted: int | None, taken: set[int]) -> int:
    """Return a port that nothing listens on, and that no other served model has. Raises ServingError."""
    if wanted is not None:
        if wanted in taken:
            raise ServingError(f"Port {wanted} is another served model's.", "Choose another port.")
        open_socket(host, wanted).close()
        return wanted
    open_socket(host, 0).close()  # says what is wrong with the address, if anything is
    for port in range(FIRST_PORT, FIRST_PORT + PORTS_TRIED):
        try:
            if port not in taken:
                open_socket(host, port).close()
                return port
        except ServingError:
            continue
    raise ServingError(f"None of the ports from {FIRST_PORT} on is free.", "Choose a port.")


def _file(home: Path) -> Path:
    return home / "studio" / "serving.json"
