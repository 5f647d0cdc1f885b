"""The runner's queue: one small file for each training that waits or runs.

Pages write it, the runner reads it; so a page needs no server to order a training, and an order is not lost while
the runner is being restarted. A run's state is in its record, not here.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flows.process_identity import ProcessIdentity
from workflows.errors import StorageError
from workflows.store.files import read_json, write_json
from workflows.store.store import Store


@dataclass(frozen=True)
class Order:
    """A training ordered from the studio."""

    run_id: str
    priority: int = 0
    """Higher goes first; equal ones in their order of arrival."""
    ordered_at: str = ""
    """ISO 8601, UTC."""
    process: str = ""
    """The identity of the process that executes it; empty while it waits."""
    devices: tuple[str, ...] = ()
    """What it occupies: `cpu`, or GPU numbers."""
    waiting: str = ""
    """What it waits for, as text."""

    @property
    def mark(self) -> ProcessIdentity | None:
        """The process that executes it."""
        return ProcessIdentity.parse(self.process) if self.process else None


class Queue:
    """The orders below `HOME/queue`."""

    def __init__(self, store: Store) -> None:
        self.folder = store.home / "queue"

    def put(self, run_id: str, priority: int = 0) -> Order:
        """Order the execution of a recorded run."""
        order = Order(run_id, priority, datetime.now(UTC).isoformat())
        self._write(order)
        return order

    def change(self, order: Order, **fields: Any) -> Order:
        """Rewrite an order with changed fields; nothing is written if nothing changes."""
        changed = replace(order, **fields)
        if changed != order:
            self._write(changed)
        return changed

    def orders(self) -> list[Order]:
        """Return all orders: those that are being executed first, then the waiting ones in their order."""
        found = [order for path in self.folder.glob("*.json") if (order := _read(path)) is not None]
        return sorted(found, key=lambda order: (not order.process, -order.priority, order.ordered_at, order.run_id))

    def get(self, run_id: str) -> Order | None:
        """Return the order for a run, if there is one."""
        return _read(self._path(run_id))

    def drop(self, run_id: str) -> None:
        """Delete an order."""
        self._path(run_id).unlink(missing_ok=True)

    def _path(self, run_id: str) -> Path:
        return self.folder / f"{run_id}.json"

    def _write(self, order: Order) -> None:
        write_json(self._path(order.run_id), asdict(order))


def _read(path: Path) -> Order | None:
    if path.name.startswith("."):
        return None  # being written
    try:
        fields = read_json(path)
        return Order(**{**fields, "devices": tuple(fields.get("devices", ()))})
    except (StorageError, TypeError):
        return None  # just removed, or written by another version
