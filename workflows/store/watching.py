"""The records of watched folders, and of the addresses that are told what happens."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select

from workflows.errors import UsageError
from workflows.store.database import Database
from workflows.store.files import to_plain
from workflows.store.tables import now, watched_folders, webhooks


@dataclass(frozen=True)
class WatchedFolder:
    """A folder whose new files go into a data set.

    Attributes:
        labels: the label file, if the folders' names don't tell the labels.
        unlabelled: its images come without labels.
        last_seen_at: when it was looked at last.
        last_report: what came of the last import: `at`, `listing`, `error` or `version`, `added`, `rejected`.
    """

    id: str
    dataset: str
    folder: str
    labels: str | None
    unlabelled: bool
    every_seconds: int
    paused: bool
    created_at: datetime
    last_seen_at: datetime | None
    last_report: dict[str, Any] | None

    @property
    def outcome(self) -> str:
        """What came of the last import, in words."""
        report = self.last_report
        if not report:
            return "nothing yet"
        if "error" in report:
            return f"failed: {report['error']}"
        changed = f"version {report['version']}" if report["changed"] else "nothing new"
        return f"{changed}: {report['accepted']} taken in, {report['rejected']} rejected, {report['ignored']} ignored"


@dataclass(frozen=True)
class Webhook:
    """An address that is told of some events; `last_status` says how that went last."""

    id: str
    url: str
    events: list[str]
    created_at: datetime
    last_status: str | None


_Folders = list[WatchedFolder]  # inside the classes below, `list` is a method
_Webhooks = list[Webhook]
_Names = list[str]


class WatchRecords:
    """What the database knows of watched folders."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, dataset: str, folder: str, **fields: Any) -> WatchedFolder:
        """Record a folder to watch. Raises UsageError if it is watched for this data set already."""
        if any(one.dataset == dataset and one.folder == folder for one in self.list()):
            raise UsageError(f"{folder} is watched for {dataset!r} already.", "`fieldguide watch list` shows it.")
        values = {"id": f"w-{secrets.token_hex(3)}", "dataset": dataset, "folder": folder, "created_at": now()}
        with self._database.write() as connection:
            connection.execute(watched_folders.insert().values(paused=False, **values, **fields))
        return self.get(str(values["id"]))

    def list(self) -> _Folders:
        """Return all watched folders, oldest first."""
        query = select(watched_folders).order_by(watched_folders.c.created_at, watched_folders.c.id)
        with self._database.read() as connection:
            return [WatchedFolder(*row) for row in connection.execute(query)]

    def get(self, name: str) -> WatchedFolder:
        """Return a watched folder by its id, or by its data set if that has only this one. Raises UsageError."""
        every = self.list()
        found = [one for one in every if one.id == name] or [one for one in every if one.dataset == name]
        if len(found) == 1:
            return found[0]
        if found:
            ids = ", ".join(one.id for one in found)
            raise UsageError(f"{len(found)} folders are watched for {name!r}: {ids}.", "Name the one that you mean.")
        raise UsageError(f"No folder is watched as {name!r}.", "`fieldguide watch list` shows all.")

    def update(self, watch_id: str, **columns: Any) -> None:
        """Change columns; a folder that is no longer watched is passed over."""
        if "last_report" in columns:
            columns["last_report"] = to_plain(columns["last_report"])
        with self._database.write() as connection:
            connection.execute(watched_folders.update().where(watched_folders.c.id == watch_id).values(**columns))

    def remove(self, watch_id: str) -> None:
        """Watch it no longer; what was imported stays."""
        with self._database.write() as connection:
            connection.execute(watched_folders.delete().where(watched_folders.c.id == watch_id))


class WebhookRecords:
    """What the database knows of the addresses that are told what happens."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, url: str, events: _Names) -> Webhook:
        """Record an address and what it is told of."""
        values = {"id": f"a-{secrets.token_hex(3)}", "url": url, "events": events, "created_at": now()}
        with self._database.write() as connection:
            connection.execute(webhooks.insert().values(**values))
        return self.get(str(values["id"]))

    def list(self) -> _Webhooks:
        """Return all, oldest first."""
        query = select(webhooks).order_by(webhooks.c.created_at, webhooks.c.id)
        with self._database.read() as connection:
            return [Webhook(*row) for row in connection.execute(query)]

    def get(self, webhook_id: str) -> Webhook:
        """Return one by its id. Raises UsageError."""
        found = [one for one in self.list() if one.id == webhook_id]
        if not found:
            raise UsageError(f"There is no alert {webhook_id!r}.", "`fieldguide alerts list` shows all.")
        return found[0]

    def update(self, webhook_id: str, **columns: Any) -> None:
        """Change columns; one that is gone is passed over."""
        with self._database.write() as connection:
            connection.execute(webhooks.update().where(webhooks.c.id == webhook_id).values(**columns))

    def remove(self, webhook_id: str) -> None:
        """Tell this address nothing more."""
        with self._database.write() as connection:
            connection.execute(webhooks.delete().where(webhooks.c.id == webhook_id))
