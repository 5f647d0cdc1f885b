"""The review thresholds of classifiers: who saved which, when and why.

Nothing here is ever changed: the newest line counts. A line without a value returns to the default.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, insert, select
from sqlalchemy.orm import Mapped, mapped_column

from workflows.store.database import Database
from workflows.store.tables import Record, Str16, Str80, Str120, now


class SavedThreshold(Record):
    """One line of the log of a classifier's thresholds.

    Attributes:
        run_id: the run that trained the classifier; every model version that is this run has its threshold.
        value: confidence in [0, 1]; None for the default from then on.
        wanted: accuracy that it was chosen for, if it was.
        chosen_on: the split that it was chosen on; empty where it was given as a number.
        judged: what it did on each split, as documents of `evaluation.thresholds.JudgedThreshold`.
    """

    __tablename__ = "review_thresholds"

    id: Mapped[int] = mapped_column(primary_key=True, init=False, repr=False, compare=False)
    run_id: Mapped[Str80] = mapped_column(ForeignKey("runs.run_id"), index=True)
    value: Mapped[float | None]
    wanted: Mapped[float | None]
    chosen_on: Mapped[Str16]
    judged: Mapped[dict[str, Any]]
    author: Mapped[Str120]
    reason: Mapped[str]
    created_at: Mapped[datetime]


class ThresholdRecords:
    """The log of thresholds."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def log(self, run_id: str) -> list[SavedThreshold]:
        """Return what was saved for the classifier of a run, the newest first."""
        query = select(SavedThreshold).where(SavedThreshold.run_id == run_id).order_by(SavedThreshold.id.desc())
        with self._database.read() as connection:
            return [SavedThreshold.of(row) for row in connection.execute(query)]

    def newest(self, run_id: str) -> SavedThreshold | None:
        """Return the line that counts, None if there is none."""
        query = select(SavedThreshold).where(SavedThreshold.run_id == run_id).order_by(SavedThreshold.id.desc())
        with self._database.read() as connection:
            row = connection.execute(query.limit(1)).one_or_none()
        return SavedThreshold.of(row) if row else None

    def add(self, **fields: Any) -> None:
        """Add a line."""
        with self._database.write() as connection:
            connection.execute(insert(SavedThreshold).values(created_at=now(), **fields))
