"""The records of schedules: when a model is to be retrained, and every time that it was.

They are the truth; deployments on a Prefect server are made to match them.
"""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, String, UniqueConstraint, delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, mapped_column

from workflows.errors import UsageError
from workflows.requests import Missed, Overlap
from workflows.state import ALIVE, State
from workflows.store.database import Database
from workflows.store.models import Model
from workflows.store.tables import Record, StateText, Str40, Str64, Str80, Str120, now

STATE_WORDS = ((State.PENDING, "waiting"), (State.FINISHED, "done"))
"""What the log of schedules, and `schedule log --json`, call two states."""


class Schedule(Record):
    """When a model is to be retrained: exactly one of `cron`, `every_seconds` and `on_new_images` is given.

    Attributes:
        on_new_images: as soon as so many labelled images are new.
        settings: fields of `workflows.requests.RetrainSettings`.
        deployment_id: its deployment on the Prefect server; None until there is one.
        last_outcome: of its last run, as text.
        overlap: for a run that is due during a retraining of the model: skipped, or queued.
        missed: for runs missed while the studio was off: one run, or none.
        timezone: in which the cron line counts (IANA name).
        next_at: when it runs next; in the past if that was missed.
    """

    __tablename__ = "schedules"

    id: Mapped[Str40] = mapped_column(primary_key=True)
    model: Mapped[Str80] = mapped_column(ForeignKey("models.name"))
    cron: Mapped[Str120 | None]
    every_seconds: Mapped[int | None]
    on_new_images: Mapped[int | None]
    settings: Mapped[dict[str, Any]]
    paused: Mapped[bool]
    deployment_id: Mapped[Str64 | None]
    created_at: Mapped[datetime]
    last_fired_at: Mapped[datetime | None]
    last_outcome: Mapped[str | None]
    overlap: Mapped[Overlap] = mapped_column(String(16), server_default="skip")
    missed: Mapped[Missed] = mapped_column(String(16), server_default="run-once")
    timezone: Mapped[Str64] = mapped_column(server_default="UTC")
    next_at: Mapped[datetime | None]


class ScheduledRun(Record):
    """One run of a schedule: the scheduled retraining, under all the names that it has.

    Attributes:
        id: its line in the log of schedules.
        schedule_id: whose time it is.
        cause: what started it; unique for its schedule, so that nothing is done twice.
        trigger: the same as text, as in the decision's record.
        note: what it waits for or does while it is open; what came of it afterwards.
        decision_id: the retraining itself, however often it is cut off: its folder, and the decision at its end.
        flow_run_id: its last attempt in Prefect, as a flow run of the schedule's deployment.
        settled: whether Prefect knows the end of that flow run.
        process: the identity of the process that executes it.
        attempts: how often it was begun.
    """

    __tablename__ = "firings"
    __table_args__ = (UniqueConstraint("schedule_id", "cause"),)

    id: Mapped[Str40] = mapped_column(primary_key=True)
    schedule_id: Mapped[Str40]  # no foreign key: the log outlives the schedule
    model: Mapped[Str80]
    cause: Mapped[Str120]
    trigger: Mapped[Str120]
    state: Mapped[State] = mapped_column(StateText(STATE_WORDS), index=True)
    note: Mapped[str]
    decision_id: Mapped[Str120]
    flow_run_id: Mapped[Str64 | None]
    settled: Mapped[bool]
    process: Mapped[Str64 | None]
    attempts: Mapped[int]
    planned_at: Mapped[datetime]
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]

    @property
    def state_word(self) -> str:
        """The state as the log and `schedule log --json` call it."""
        return dict(STATE_WORDS).get(self.state, self.state.value)


_Schedules = list[Schedule]  # inside the class below, `list` is its method
_ScheduledRuns = list[ScheduledRun]


class ScheduleRecords:
    """What the database knows of schedules and their runs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # -------------------------------------------------------------- schedules

    def add(self, model: str, **fields: Any) -> Schedule:
        """Record a schedule for a model that exists. Raises UsageError if it doesn't."""
        schedule_id = f"s-{secrets.token_hex(3)}"
        values = {"id": schedule_id, "model": model, "settings": {}, "paused": False, "created_at": now(), **fields}
        with self._database.write() as connection:
            if connection.execute(select(Model.name).where(Model.name == model)).one_or_none() is None:
                raise UsageError(f"There is no model {model!r}.", "`fieldguide models list` shows them.")
            connection.execute(insert(Schedule).values(**values))
        return self.get(schedule_id)

    def list(self, model: str | None = None) -> _Schedules:
        """Return the schedules (of a model), oldest first."""
        query = select(Schedule).order_by(Schedule.created_at, Schedule.id)
        if model is not None:
            query = query.where(Schedule.model == model)
        with self._database.read() as connection:
            return [Schedule.of(row) for row in connection.execute(query)]

    def get(self, name: str) -> Schedule:
        """Return a schedule by its id, or by its model if that has only this one. Raises UsageError."""
        every = self.list()
        found = [one for one in every if one.id == name] or [one for one in every if one.model == name]
        if len(found) == 1:
            return found[0]
        if found:
            ids = ", ".join(one.id for one in found)
            raise UsageError(f"{name!r} has {len(found)} schedules: {ids}.", "Name the one that you mean.")
        raise UsageError(f"There is no schedule {name!r}.", "`fieldguide schedule list` shows all.")

    def update(self, schedule_id: str, **columns: Any) -> None:
        """Change columns of a schedule; one that is gone is passed over."""
        with self._database.write() as connection:
            connection.execute(update(Schedule).where(Schedule.id == schedule_id).values(**columns))

    def remove(self, schedule_id: str) -> None:
        """Forget a schedule; the log of its runs stays, those that wait are cancelled."""
        waiting = (ScheduledRun.schedule_id == schedule_id) & (ScheduledRun.state == State.PENDING)
        with self._database.write() as connection:
            values = {"state": State.CANCELLED, "note": "the schedule was removed", "finished_at": now()}
            connection.execute(update(ScheduledRun).where(waiting).values(**values))
            connection.execute(delete(Schedule).where(Schedule.id == schedule_id))

    # ---------------------------------------------------------------- scheduled runs

    def record_run(
        self,
        schedule: Schedule,
        cause: str,
        trigger: str,
        decision_id: str,
        *,
        planned_at: datetime | None = None,
        flow_run_id: str | None = None,
        skipped: str = "",
        **columns: Any,
    ) -> ScheduledRun | None:
        """Record a run of a schedule; None, and nothing changes, if this very cause is on record already.

        Args:
            planned_at: when it was due; by default now.
            flow_run_id: the Prefect flow run that came of it.
            skipped: why nothing is done about it; empty if something is.
            columns: of the schedule, to be changed in the same transaction.
        """
        moment = now()
        values = {
            "id": f"f-{secrets.token_hex(6)}",
            "schedule_id": schedule.id,
            "model": schedule.model,
            "cause": cause,
            "trigger": trigger[:120],
            "state": State.SKIPPED if skipped else State.PENDING,
            "note": skipped,
            "decision_id": decision_id,
            "flow_run_id": flow_run_id,
            "settled": not (skipped and flow_run_id),
            "attempts": 0,
            "planned_at": planned_at or moment,
            "created_at": moment,
            "finished_at": moment if skipped else None,
        }
        news = {"last_outcome": f"skipped: {skipped}"} if skipped else {"last_fired_at": moment}
        try:
            with self._database.write() as connection:
                connection.execute(insert(ScheduledRun).values(**values))
                connection.execute(update(Schedule).where(Schedule.id == schedule.id).values(**news, **columns))
        except IntegrityError:
            return None
        return self.scheduled_run(str(values["id"]))

    def scheduled_run(self, run_id: str) -> ScheduledRun:
        """Return one scheduled run. Raises UsageError."""
        with self._database.read() as connection:
            row = connection.execute(select(ScheduledRun).where(ScheduledRun.id == run_id)).one_or_none()
        if row is None:
            raise UsageError(f"There is no scheduled run {run_id!r}.", "`fieldguide schedule log` shows them.")
        return ScheduledRun.of(row)

    def scheduled_runs(self, schedule_id: str | None = None, limit: int | None = 50) -> _ScheduledRuns:
        """Return the newest scheduled runs (of a schedule), newest first."""
        query = select(ScheduledRun).order_by(ScheduledRun.created_at.desc(), ScheduledRun.id).limit(limit)
        if schedule_id is not None:
            query = query.where(ScheduledRun.schedule_id == schedule_id)
        with self._database.read() as connection:
            return [ScheduledRun.of(row) for row in connection.execute(query)]

    def unfinished(self) -> _ScheduledRuns:
        """Return the scheduled runs that wait or run, oldest first."""
        query = (
            select(ScheduledRun).where(ScheduledRun.state.in_(ALIVE)).order_by(ScheduledRun.created_at, ScheduledRun.id)
        )
        with self._database.read() as connection:
            return [ScheduledRun.of(row) for row in connection.execute(query)]

    def unsettled(self) -> _ScheduledRuns:
        """Return the scheduled runs that have no living process and whose end Prefect may not know."""
        open_elsewhere = ScheduledRun.state != State.RUNNING
        query = select(ScheduledRun).where(
            open_elsewhere & ~ScheduledRun.settled & ScheduledRun.flow_run_id.is_not(None)
        )
        with self._database.read() as connection:
            return [ScheduledRun.of(row) for row in connection.execute(query)]

    def update_scheduled_run(self, run_id: str, **columns: Any) -> ScheduledRun:
        """Change columns of a scheduled run; one that ends gets its end time and updates its schedule."""
        ends = not State(columns.get("state", State.RUNNING)).alive
        if ends:
            columns.setdefault("finished_at", now())
            columns.setdefault("process", None)
        with self._database.write() as connection:
            connection.execute(update(ScheduledRun).where(ScheduledRun.id == run_id).values(**columns))
        scheduled = self.scheduled_run(run_id)
        if ends:
            self.update(scheduled.schedule_id, last_outcome=scheduled.note)
        return scheduled
