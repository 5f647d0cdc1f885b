"""The database's records of runs and their metrics."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from workflows.state import State
from workflows.store.run_result import RunResult
from workflows.store.tables import Record, Str16, Str64, Str80, Str120

RunKind = Literal["train", "trial"]
"""Requested runs, and the many short trainings of a tuning, which lists leave out."""


class RunRecord(Record):
    """One run, as recorded in the database. All times are aware and in UTC."""

    __tablename__ = "runs"

    run_id: Mapped[Str80] = mapped_column(primary_key=True)
    kind: Mapped[RunKind] = mapped_column(String(16), server_default="train", index=True)
    state: Mapped[State] = mapped_column(index=True)
    created_at: Mapped[datetime] = mapped_column(index=True)
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    heartbeat_at: Mapped[datetime | None]
    dataset: Mapped[Str80 | None]
    version: Mapped[int | None]
    goal: Mapped[Str16 | None]
    device: Mapped[Str80 | None]
    request: Mapped[dict[str, Any]]
    workflow: Mapped[dict[str, Any] | None]
    result: Mapped[RunResult | None]
    error: Mapped[str | None]
    pid: Mapped[int | None]
    host: Mapped[str | None] = mapped_column(String(255))
    flow_run_id: Mapped[Str64 | None]

    @property
    def final(self) -> RunResult | None:
        """The result of a run that has finished; None of any other."""
        return self.result if self.state == State.FINISHED else None


class Metric(Record):
    """One metric of a run at one evaluation step."""

    __tablename__ = "metrics"

    run_id: Mapped[Str80] = mapped_column(ForeignKey("runs.run_id"), primary_key=True)
    step: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[Str120] = mapped_column(primary_key=True)
    value: Mapped[float | None]  # null where the value is not a number
    time: Mapped[datetime]
