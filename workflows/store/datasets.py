"""The records of data sets and their versions. Versions are added, never changed; data sets can be deleted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import Row, delete, select

from workflows.store.database import Database
from workflows.store.tables import datasets, now, reviews, versions


@dataclass(frozen=True)
class DatasetRecord:
    """One data set: its name, and where its first images came from."""

    name: str
    source: str
    created_at: datetime


@dataclass(frozen=True)
class VersionRecord:
    """One immutable version of a data set.

    Attributes:
        fingerprint: SHA-256 over all records of the version; equal fingerprints mean equal content.
        listing: SHA-256 over the names, sizes and times of the source files; cheap to compare.
        reason: why it was made, in words.
        author: who made it; empty for versions older than this column.
        action: what made it, e.g. `import` or `relabel`.
        parent: number of the version that it was made from; None for the first.
    """

    dataset: str
    number: int
    classes: tuple[str, ...]
    images: int
    fingerprint: str
    listing: str
    source: str
    reason: str
    given_split: bool
    created_at: datetime
    author: str = ""
    action: str = "import"
    parent: int | None = None


class DatasetRecords:
    """What the database knows of data sets."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def list(self) -> list[DatasetRecord]:
        """Return all data sets by name."""
        with self._database.read() as connection:
            rows = connection.execute(select(datasets).order_by(datasets.c.name)).all()
        return [DatasetRecord(*row) for row in rows]

    def get(self, name: str) -> DatasetRecord | None:
        """Return one data set, or None if there is none of this name."""
        with self._database.read() as connection:
            row = connection.execute(select(datasets).where(datasets.c.name == name)).one_or_none()
        return DatasetRecord(*row) if row else None

    def versions(self, name: str) -> Sequence[VersionRecord]:
        """Return the versions of a data set, oldest first; empty if there is none of this name."""
        query = select(versions).where(versions.c.dataset == name).order_by(versions.c.number)
        with self._database.read() as connection:
            return [_version(row) for row in connection.execute(query)]

    def newest(self) -> Sequence[VersionRecord]:
        """Return the newest version of every data set, by name."""
        query = select(versions).order_by(versions.c.dataset, versions.c.number)
        with self._database.read() as connection:
            by_name = {row.dataset: _version(row) for row in connection.execute(query)}
        return list(by_name.values())

    def claim(self, name: str, source: str) -> DatasetRecord:
        """Record a data set without versions, unless its name is taken; return the record of that name."""
        own = datasets.c.name == name
        with self._database.write() as connection:
            row = connection.execute(select(datasets).where(own)).one_or_none()
            if row is None:
                connection.execute(datasets.insert().values(name=name, source=source, created_at=now()))
                row = connection.execute(select(datasets).where(own)).one()
        return DatasetRecord(*row)

    def add_version(self, version: VersionRecord) -> None:
        """Record a version (and its data set, if this is the first); its files must be in place already."""
        self.claim(version.dataset, version.source)
        with self._database.write() as connection:
            if version.number == 1:  # the name may have been claimed for an import that failed
                first = datasets.update().where(datasets.c.name == version.dataset)
                connection.execute(first.values(source=version.source))
            connection.execute(versions.insert().values(**{**asdict(version), "classes": list(version.classes)}))

    def delete(self, name: str) -> None:
        """Forget a data set with its versions and review list; the records of runs stay."""
        with self._database.write() as connection:
            for table in (reviews, versions):
                connection.execute(delete(table).where(table.c.dataset == name))
            connection.execute(delete(datasets).where(datasets.c.name == name))

    def remember_listing(self, version: VersionRecord, listing: str) -> None:
        """Note that a source with this listing was found to hold exactly this version."""
        same = (versions.c.dataset == version.dataset) & (versions.c.number == version.number)
        with self._database.write() as connection:
            connection.execute(versions.update().where(same).values(listing=listing))


def _version(row: Row[tuple[object, ...]]) -> VersionRecord:
    fields = dict(row._mapping)
    del fields["id"]
    return VersionRecord(**{**fields, "classes": tuple(fields["classes"])})
