"""The records of data sets and their versions. Versions are added, never changed; data sets can be deleted."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ForeignKey, String, UniqueConstraint, delete, insert, select, update
from sqlalchemy.orm import Mapped, mapped_column

from workflows.store.confirmed_labels import ConfirmedLabel
from workflows.store.database import Database
from workflows.store.marks import Mark, version_key
from workflows.store.reviews import Review
from workflows.store.tables import Record, Str64, Str80, Str120, now


class DatasetRecord(Record):
    """One data set: its name, and where its first images came from."""

    __tablename__ = "datasets"

    name: Mapped[Str80] = mapped_column(primary_key=True)
    source: Mapped[str]
    created_at: Mapped[datetime]


class VersionRecord(Record):
    """One immutable version of a data set.

    Attributes:
        fingerprint: SHA-256 over all records of the version; equal fingerprints mean equal content.
        listing: SHA-256 over the names, sizes and times of the source files; cheap to compare.
        reason: why it was made.
        author: who made it; empty for versions older than this column.
        action: what made it, e.g. `import` or `relabel`.
        parent: number of the version that it was made from; None for the first.
    """

    __tablename__ = "versions"
    __table_args__ = (UniqueConstraint("dataset", "number"),)

    id: Mapped[int] = mapped_column(primary_key=True, init=False, repr=False, compare=False)
    dataset: Mapped[Str80] = mapped_column(ForeignKey("datasets.name"))
    number: Mapped[int]
    classes: Mapped[tuple[str, ...]]
    images: Mapped[int]
    fingerprint: Mapped[Str64]
    listing: Mapped[Str64]
    source: Mapped[str]
    reason: Mapped[str]
    given_split: Mapped[bool]
    created_at: Mapped[datetime]
    author: Mapped[Str120] = mapped_column(server_default="", default="")
    action: Mapped[str] = mapped_column(String(32), server_default="import", default="import")
    parent: Mapped[int | None] = mapped_column(default=None)


class DatasetRecords:
    """What the database knows of data sets."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def list(self) -> list[DatasetRecord]:
        """Return all data sets by name."""
        with self._database.read() as connection:
            rows = connection.execute(select(DatasetRecord).order_by(DatasetRecord.name)).all()
        return [DatasetRecord.of(row) for row in rows]

    def get(self, name: str) -> DatasetRecord | None:
        """Return one data set, or None if there is none of this name."""
        with self._database.read() as connection:
            row = connection.execute(select(DatasetRecord).where(DatasetRecord.name == name)).one_or_none()
        return DatasetRecord.of(row) if row else None

    def versions(self, name: str) -> Sequence[VersionRecord]:
        """Return the versions of a data set, oldest first; empty if there is none of this name."""
        query = select(VersionRecord).where(VersionRecord.dataset == name).order_by(VersionRecord.number)
        with self._database.read() as connection:
            return [VersionRecord.of(row) for row in connection.execute(query)]

    def newest(self) -> Sequence[VersionRecord]:
        """Return the newest version of every data set, by name."""
        query = select(VersionRecord).order_by(VersionRecord.dataset, VersionRecord.number)
        with self._database.read() as connection:
            by_name = {row.dataset: VersionRecord.of(row) for row in connection.execute(query)}
        return list(by_name.values())

    def claim(self, name: str, source: str) -> DatasetRecord:
        """Record a data set without versions, unless its name is taken; return the record of that name."""
        query = select(DatasetRecord).where(DatasetRecord.name == name)
        with self._database.write() as connection:
            row = connection.execute(query).one_or_none()
            if row is None:
                connection.execute(insert(DatasetRecord).values(name=name, source=source, created_at=now()))
                row = connection.execute(query).one()
        return DatasetRecord.of(row)

    def add_version(self, version: VersionRecord) -> None:
        """Record a version (and its data set, if this is the first); its files must be in place already."""
        self.claim(version.dataset, version.source)
        with self._database.write() as connection:
            if version.number == 1:  # the name may have been claimed for an import that failed
                first = update(DatasetRecord).where(DatasetRecord.name == version.dataset)
                connection.execute(first.values(source=version.source))
            connection.execute(insert(VersionRecord).values(**version.values()))

    def delete(self, name: str) -> None:
        """Forget a data set with its versions, review list, confirmed labels and marks; the records of runs stay."""
        keys = [version_key(name, version.number) for version in self.versions(name)]
        with self._database.write() as connection:
            connection.execute(delete(Mark).where(Mark.subject == "version", Mark.key.in_(keys)))
            connection.execute(delete(Mark).where(Mark.subject == "dataset", Mark.key == name))
            for table in (Review, ConfirmedLabel, VersionRecord):
                connection.execute(delete(table).where(table.dataset == name))
            connection.execute(delete(DatasetRecord).where(DatasetRecord.name == name))

    def remember_listing(self, version: VersionRecord, listing: str) -> None:
        """Record that a source with this listing contains exactly this version."""
        same = (VersionRecord.dataset == version.dataset) & (VersionRecord.number == version.number)
        with self._database.write() as connection:
            connection.execute(update(VersionRecord).where(same).values(listing=listing))
