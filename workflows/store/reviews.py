"""Images that somebody wants to look at again: the review list of each data set."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, delete, select

from workflows.store.database import Database
from workflows.store.tables import now, reviews

_AT_ONCE = 500  # SQLite takes a limited number of values in one statement


@dataclass(frozen=True)
class Review:
    """One image on the list.

    Attributes:
        note: why it is there, in words.
        done_at: when somebody had looked at it; None while it waits.
    """

    dataset: str
    image_id: str
    note: str
    added_at: datetime
    done_at: datetime | None


_Reviews = list[Review]  # inside the class below, `list` is its method
_Names = list[str]


class ReviewRecords:
    """The review lists."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def list(self, dataset: str, *, done: bool = False) -> _Reviews:
        """Return the images that wait for a look (with `done` also those that had theirs), oldest first."""
        query = select(reviews).where(reviews.c.dataset == dataset).order_by(reviews.c.added_at, reviews.c.image_id)
        if not done:
            query = query.where(reviews.c.done_at.is_(None))
        with self._database.read() as connection:
            return [Review(*row) for row in connection.execute(query)]

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
                    connection.execute(delete(reviews).where(_these(dataset, part)))
                connection.execute(reviews.insert(), rows)
        return len(rows)

    def mark_done(self, dataset: str, image_ids: Iterable[str]) -> None:
        """Note that these images were looked at; those not on the list are passed over."""
        with self._database.write() as connection:
            for part in _parts(list(image_ids)):
                connection.execute(reviews.update().where(_these(dataset, part)).values(done_at=now()))

    def remove(self, dataset: str, image_ids: Iterable[str]) -> None:
        """Take images off the list; those not on it are passed over."""
        with self._database.write() as connection:
            for part in _parts(list(image_ids)):
                connection.execute(delete(reviews).where(_these(dataset, part)))


def _these(dataset: str, image_ids: _Names) -> ColumnElement[bool]:
    return (reviews.c.dataset == dataset) & reviews.c.image_id.in_(image_ids)


def _parts(image_ids: _Names) -> Iterable[_Names]:
    return (image_ids[start : start + _AT_ONCE] for start in range(0, len(image_ids), _AT_ONCE))
