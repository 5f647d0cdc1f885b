"""Images to review: the review list of each data set."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import ColumnElement, ForeignKey, String, delete, insert, select, update
from sqlalchemy.orm import Mapped, mapped_column

from workflows.store.database import Database
from workflows.store.tables import Record, Str80, now

_AT_ONCE = 500  # SQLite takes a limited number of values in one statement


class Review(Record):
    """One image on the list.

    Attributes:
        note: why it is there.
        done_at: when it was reviewed; None before.
    """

    __tablename__ = "reviews"

    dataset: Mapped[Str80] = mapped_column(ForeignKey("datasets.name"), primary_key=True)
    image_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    note: Mapped[str]
    added_at: Mapped[datetime]
    done_at: Mapped[datetime | None]


_Reviews = list[Review]  # inside the class below, `list` is its method
_Names = list[str]


class ReviewRecords:
    """The review lists."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def list(self, dataset: str, *, done: bool = False) -> _Reviews:
        """Return the images to review (with `done` also those reviewed), oldest first."""
        query = select(Review).where(Review.dataset == dataset).order_by(Review.added_at, Review.image_id)
        if not done:
            query = query.where(Review.done_at.is_(None))
        with self._database.read() as connection:
            return [Review.of(row) for row in connection.execute(query)]

    def add(self, dataset: str, image_ids: Iterable[str], note: str = "") -> int:
        """Put images on the list of a recorded data set; one that is there already waits again, with the new note.

        Returns:
            The number of images put there.
        """
        wanted = list(dict.fromkeys(image_ids))
        rows = [{"dataset": dataset, "image_id": each, "note": note, "added_at": now()} for each in wanted]
        if rows:
            with self._database.write() as connection:
                for part in _parts(wanted):
                    connection.execute(delete(Review).where(_these(dataset, part)))
                connection.execute(insert(Review), rows)
        return len(rows)

    def mark_done(self, dataset: str, image_ids: Iterable[str]) -> None:
        """Mark these images as reviewed; those not on the list are ignored."""
        with self._database.write() as connection:
            for part in _parts(list(image_ids)):
                connection.execute(update(Review).where(_these(dataset, part)).values(done_at=now()))

    def reopen(self, dataset: str, image_ids: Iterable[str]) -> None:
        """Let images wait again that were looked at, with their notes; those not on the list are passed over."""
        with self._database.write() as connection:
            for part in _parts(list(image_ids)):
                connection.execute(update(Review).where(_these(dataset, part)).values(done_at=None))

    def remove(self, dataset: str, image_ids: Iterable[str]) -> None:
        """Take images off the list; those not on it are passed over."""
        with self._database.write() as connection:
            for part in _parts(list(image_ids)):
                connection.execute(delete(Review).where(_these(dataset, part)))


def _these(dataset: str, image_ids: _Names) -> ColumnElement[bool]:
    return (Review.dataset == dataset) & Review.image_id.in_(image_ids)


def _parts(image_ids: _Names) -> Iterable[_Names]:
    return (image_ids[start : start + _AT_ONCE] for start in range(0, len(image_ids), _AT_ONCE))
