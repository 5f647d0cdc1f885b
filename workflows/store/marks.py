"""What people call and note: titles, notes, tags and stars of runs, data sets and versions. Ids never change."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Literal

from sqlalchemy import Connection, String, delete, insert, select
from sqlalchemy.orm import Mapped, mapped_column

from workflows.errors import UsageError
from workflows.store.database import Database
from workflows.store.tables import Record, Str120, now

Subject = Literal["run", "dataset", "version"]
MAX_TITLE, MAX_TAG, MAX_NOTE = 120, 40, 10_000


class Mark(Record):
    """What people have added to one run, data set or version; all of it may be empty.

    Attributes:
        key: the run's or the data set's id; `DATASET:NUMBER` of a version.
        title: the name that lists show in place of the id.
    """

    __tablename__ = "marks"

    subject: Mapped[Subject] = mapped_column(String(16), primary_key=True)
    key: Mapped[Str120] = mapped_column(primary_key=True)
    title: Mapped[Str120] = mapped_column(default="")
    note: Mapped[str] = mapped_column(default="")
    tags: Mapped[tuple[str, ...]] = mapped_column(default=())
    starred: Mapped[bool] = mapped_column(default=False)
    changed_at: Mapped[datetime | None] = mapped_column(default=None)

    @property
    def empty(self) -> bool:
        """Whether nobody has added anything."""
        return not (self.title or self.note or self.tags or self.starred)

    @property
    def words(self) -> str:
        """Star, title and tags on one line."""
        return " ".join(
            [*(["★"] if self.starred else []), *([self.title] if self.title else []), *map("#{}".format, self.tags)]
        )

    def contains(self, text: str) -> bool:
        """Return whether title, note or a tag contains this, in any case."""
        wanted = text.casefold()
        return any(wanted in part.casefold() for part in (self.title, self.note, *self.tags))

    def document(self) -> dict[str, object]:
        """Return it as part of what `--json` prints."""
        return {"title": self.title, "note": self.note, "tags": list(self.tags), "starred": self.starred}


def version_key(dataset: str, number: int) -> str:
    """Return the key of a version of a data set."""
    return f"{dataset}:{number}"


class MarkRecords:
    """The marks of everything in the store."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, subject: Subject, key: str) -> Mark:
        """Return the mark of one thing; an empty one if it has none."""
        with self._database.read() as connection:
            return _get(connection, subject, key)

    def all(self, subject: Subject) -> dict[str, Mark]:
        """Return all marks of a kind that are not empty, by key."""
        with self._database.read() as connection:
            rows = connection.execute(select(Mark).where(Mark.subject == subject).order_by(Mark.key))
            return {row.key: Mark.of(row) for row in rows}

    def titles(self, subject: Subject) -> dict[str, str]:
        """Return the titles of those things that have one, by key."""
        return {key: mark.title for key, mark in self.all(subject).items() if mark.title}

    def matching(
        self, subject: Subject, text: str = "", tags: Collection[str] = (), starred: bool = False
    ) -> list[str]:
        """Return the keys whose marks contain `text` and every tag, and are starred if that is wanted."""
        return [
            key
            for key, mark in self.all(subject).items()
            if mark.contains(text) and set(tags) <= set(mark.tags) and (mark.starred or not starred)
        ]

    def among(
        self, subject: Subject, keys: Iterable[str], text: str = "", tags: Collection[str] = (), starred: bool = False
    ) -> list[str]:
        """Return those of `keys` that contain `text` in the key or in the mark, and match the rest as in `matching`."""
        marked, named = set(self.matching(subject, "", tags, starred)), set(self.matching(subject, text))
        return [
            key
            for key in keys
            if (text.casefold() in key.casefold() or key in named) and (key in marked or not (tags or starred))
        ]

    def tags(self, subject: Subject) -> list[str]:
        """Return all tags in use, in order."""
        return sorted({tag for mark in self.all(subject).values() for tag in mark.tags}, key=str.casefold)

    def change(
        self,
        subject: Subject,
        key: str,
        *,
        title: str | None = None,
        note: str | None = None,
        tags: Iterable[str] | None = None,
        starred: bool | None = None,
    ) -> Mark:
        """Set what is given, leave the rest; return the new mark.

        Args:
            title: empty for the id again.
            tags: all tags that it has from now on.

        Raises:
            UsageError: a title, note or tag is too long, or has more than one line where one is allowed.
        """
        wanted = {
            "title": None if title is None else _line(title, "title", MAX_TITLE),
            "note": None if note is None else _checked(note.strip(), "note", MAX_NOTE),
            "tags": None if tags is None else tuple(dict.fromkeys(_tag(tag) for tag in tags if tag.strip())),
            "starred": starred,
        }
        with self._database.write() as connection:
            before = _get(connection, subject, key)
            values = before.values() | {name: value for name, value in wanted.items() if value is not None}
            after = Mark(**(values | {"changed_at": now()}))
            _forget(connection, subject, [key])
            if not after.empty:
                connection.execute(insert(Mark).values(**after.values()))
        return after

    def forget(self, subject: Subject, keys: Iterable[str]) -> None:
        """Remove the marks of things that are deleted."""
        with self._database.write() as connection:
            _forget(connection, subject, list(keys))


def _get(connection: Connection, subject: Subject, key: str) -> Mark:
    row = connection.execute(select(Mark).where(Mark.subject == subject, Mark.key == key)).one_or_none()
    return Mark.of(row) if row else Mark(subject=subject, key=key)


def _forget(connection: Connection, subject: Subject, keys: list[str]) -> None:
    connection.execute(delete(Mark).where(Mark.subject == subject, Mark.key.in_(keys)))


def _tag(text: str) -> str:
    tag = _line(text, "tag", MAX_TAG)
    if "," in tag:
        raise UsageError(f"The tag {tag!r} contains a comma.", "Give several tags one by one.")
    return tag


def _line(text: str, what: str, most: int) -> str:
    """Return the text with single spaces: titles and tags have one line."""
    return _checked(" ".join(text.split()), what, most)


def _checked(text: str, what: str, most: int) -> str:
    if len(text) > most:
        raise UsageError(f"This {what} has {len(text):,} characters.", f"A {what} has at most {most:,}.")
    return text
