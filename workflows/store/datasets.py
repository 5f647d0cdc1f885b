"""The records of data sets and their versions. Versions are added, never changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import Row, select

from workflows.store.database import Database
from workflows.store.tables import datasets, now, versions


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

    def add_version(self, version: VersionRecord) -> None:
        """Record a version (and its data set, if this is the first); its files must be in place already."""
        known = select(datasets.c.name).where(datasets.c.name == version.dataset)
        with self._database.write() as connection:
            if connection.execute(known).one_or_none() is None:
                values = {"name": version.dataset, "source": version.source, "created_at": now()}
                connection.execute(datasets.insert().values(**values))
            connection.execute(versions.insert().values(**{**asdict(version), "classes": list(version.classes)}))


def _version(row: Row[tuple[object, ...]]) -> VersionRecord:
    fields = dict(row._mapping)
    del fields["id"]
    return VersionRecord(**{**fields, "classes": tuple(fields["classes"])})
