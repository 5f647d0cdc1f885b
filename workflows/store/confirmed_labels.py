"""Labels that somebody has looked at and found right, so that they are not suspected again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from sqlalchemy import Connection, ForeignKey, String, delete, insert, select
from sqlalchemy.orm import Mapped, mapped_column

from workflows.store.database import Database
from workflows.store.tables import Record, Str80, Str120, now

_AT_ONCE = 500  # SQLite takes a limited number of values in one statement


class ConfirmedLabel(Record):
    """The confirmed label of one image; it says nothing of another label that the image may get.

    Attributes:
        author: who confirmed it; empty if that is unknown.
    """

    __tablename__ = "confirmed_labels"

    dataset: Mapped[Str80] = mapped_column(ForeignKey("datasets.name"), primary_key=True)
    image_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    label: Mapped[str]
    author: Mapped[Str120]
    confirmed_at: Mapped[datetime]


class ConfirmedLabelRecords:
    """The confirmed labels of each data set."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, dataset: str) -> dict[str, str]:
        """Return the confirmed label of each image that has one."""
        query = select(ConfirmedLabel).where(ConfirmedLabel.dataset == dataset)
        with self._database.read() as connection:
            return {row.image_id: row.label for row in connection.execute(query)}

    def add(self, dataset: str, labels: Mapping[str, str], author: str = "") -> None:
        """Confirm labels (by image id) of a recorded data set; an image's earlier confirmation is replaced."""
        moment = now()
        rows = [
            {"dataset": dataset, "image_id": image, "label": label, "author": author, "confirmed_at": moment}
            for image, label in labels.items()
        ]
        if not rows:
            return
        with self._database.write() as connection:
            _delete(connection, dataset, list(labels))
            connection.execute(insert(ConfirmedLabel), rows)

    def remove(self, dataset: str, image_ids: Iterable[str]) -> None:
        """Withdraw the confirmation of these images' labels, where there is one."""
        with self._database.write() as connection:
            _delete(connection, dataset, list(image_ids))


def _delete(connection: Connection, dataset: str, image_ids: list[str]) -> None:
    for start in range(0, len(image_ids), _AT_ONCE):
        these = ConfirmedLabel.image_id.in_(image_ids[start : start + _AT_ONCE])
        connection.execute(delete(ConfirmedLabel).where(ConfirmedLabel.dataset == dataset, these))
