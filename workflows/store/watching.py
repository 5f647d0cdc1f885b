"""The records of watched folders, and of the webhooks that get notifications."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Mapped, mapped_column

from workflows.errors import UsageError
from workflows.store.database import Database
from workflows.store.tables import Record, Str40, Str80, now


class WatchedFolder(Record):
    """A folder whose new files go into a data set.

    Attributes:
        labels: the label file, if the folders' names are not the labels.
        unlabelled: its images come without labels.
        last_seen_at: when it was last scanned.
        last_report: what came of the last import: `at`, `listing`, `error` or `version`, `added`, `rejected`.
        filename_column: the label file's column of file names, if it was named.
        label_column: its column of labels, if it was named.
    """

    __tablename__ = "watched_folders"

    id: Mapped[Str40] = mapped_column(primary_key=True)
    dataset: Mapped[Str80]
    folder: Mapped[str]
    labels: Mapped[str | None]
    unlabelled: Mapped[bool]
    every_seconds: Mapped[int]
    paused: Mapped[bool]
    created_at: Mapped[datetime]
    last_seen_at: Mapped[datetime | None]
    last_report: Mapped[dict[str, Any] | None]
    filename_column: Mapped[str | None]
    label_column: Mapped[str | None]

    @property
    def outcome(self) -> str:
        """The outcome of the last import, as text."""
        report = self.last_report
        if not report:
            return "nothing yet"
        if "error" in report:
            return f"failed: {report['error']}"
        changed = f"version {report['version']}" if report["changed"] else "nothing new"
        return f"{changed}: {report['accepted']} imported, {report['rejected']} rejected, {report['ignored']} ignored"


class Webhook(Record):
    """A webhook: an address that is notified of some events; `last_status` is the result of the last delivery."""

    __tablename__ = "webhooks"

    id: Mapped[Str40] = mapped_column(primary_key=True)
    url: Mapped[str]
    events: Mapped[list[str]]
    created_at: Mapped[datetime]
    last_status: Mapped[str | None]


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
            connection.execute(insert(WatchedFolder).values(paused=False, **values, **fields))
        return self.get(str(values["id"]))

    def list(self) -> _Folders:
        """Return all watched folders, oldest first."""
        query = select(WatchedFolder).order_by(WatchedFolder.created_at, WatchedFolder.id)
        with self._database.read() as connection:
            return [WatchedFolder.of(row) for row in connection.execute(query)]

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
        with self._database.write() as connection:
            connection.execute(update(WatchedFolder).where(WatchedFolder.id == watch_id).values(**columns))

    def remove(self, watch_id: str) -> None:
        """Watch it no longer; what was imported stays."""
        with self._database.write() as connection:
            connection.execute(delete(WatchedFolder).where(WatchedFolder.id == watch_id))


class WebhookRecords:
    """The database's records of webhooks."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, url: str, events: _Names) -> Webhook:
        """Record a webhook and its events."""
        values = {"id": f"a-{secrets.token_hex(3)}", "url": url, "events": events, "created_at": now()}
        with self._database.write() as connection:
            connection.execute(insert(Webhook).values(**values))
        return self.get(str(values["id"]))

    def list(self) -> _Webhooks:
        """Return all, oldest first."""
        query = select(Webhook).order_by(Webhook.created_at, Webhook.id)
        with self._database.read() as connection:
            return [Webhook.of(row) for row in connection.execute(query)]

    def get(self, webhook_id: str) -> Webhook:
        """Return one by its id. Raises UsageError."""
        found = [one for one in self.list() if one.id == webhook_id]
        if not found:
            raise UsageError(f"There is no alert {webhook_id!r}.", "`fieldguide alerts list` shows all.")
        return found[0]

    def update(self, webhook_id: str, **columns: Any) -> None:
        """Change columns; one that is gone is passed over."""
        with self._database.write() as connection:
            connection.execute(update(Webhook).where(Webhook.id == webhook_id).values(**columns))

    def remove(self, webhook_id: str) -> None:
        """Tell this address nothing more."""
        with self._database.write() as connection:
            connection.execute(delete(Webhook).where(Webhook.id == webhook_id))
