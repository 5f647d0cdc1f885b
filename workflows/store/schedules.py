"""The records of schedules: when a model is to be retrained, and every time that it was.

They are the truth; deployments on a Prefect server are made to match them.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from workflows.errors import UsageError
from workflows.store.database import Database
from workflows.store.files import to_plain
from workflows.store.tables import firings, models, now, schedules

Overlap = Literal["skip", "queue"]
Missed = Literal["run-once", "skip"]
FiringState = Literal["waiting", "running", "done", "skipped", "failed", "cancelled"]
OPEN = ("waiting", "running")


@dataclass(frozen=True)
class Schedule:
    """When a model is to be retrained: exactly one of `cron`, `every_seconds` and `on_new_images` is given.

    Attributes:
        on_new_images: as soon as so many labelled images are new.
        settings: fields of `workflows.retraining.plan.RetrainSettings`.
        deployment_id: its deployment on the Prefect server; None until there is one.
        last_outcome: of its last firing, in words.
        overlap: what becomes of a firing while a retraining of the model is under way.
        missed: what becomes of firings while the studio was off: one is made up for, or none.
        timezone: in which the cron line counts (IANA name).
        next_at: when it fires next; in the past if that was missed.
    """

    id: str
    model: str
    cron: str | None
    every_seconds: int | None
    on_new_images: int | None
    settings: dict[str, Any]
    paused: bool
    deployment_id: str | None
    created_at: datetime
    last_fired_at: datetime | None
    last_outcome: str | None
    overlap: Overlap
    missed: Missed
    timezone: str
    next_at: datetime | None


@dataclass(frozen=True)
class Firing:
    """One time that a schedule fired.

    Attributes:
        cause: what made it fire; unique for its schedule, so that nothing is done twice.
        trigger: the same in words, as the decision's record has it.
        note: what it waits for or does while it is open; what came of it afterwards.
        decision_id: under which the retraining goes on, however often it is cut off.
        flow_run_id: the Prefect flow run of its last attempt.
        settled: whether Prefect has been told the end of that flow run.
        process: mark of the process that executes it.
        attempts: how often it was begun.
    """

    id: str
    schedule_id: str
    model: str
    cause: str
    trigger: str
    state: FiringState
    note: str
    decision_id: str
    flow_run_id: str | None
    settled: bool
    process: str | None
    attempts: int
    planned_at: datetime
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


_Schedules = list[Schedule]  # inside the class below, `list` is its method
_Firings = list[Firing]


class ScheduleRecords:
    """What the database knows of schedules and their firings."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # -------------------------------------------------------------- schedules

    def add(self, model: str, **fields: Any) -> Schedule:
        """Record a schedule for a model that exists. Raises UsageError if it doesn't."""
        schedule_id = f"s-{secrets.token_hex(3)}"
        values = {**fields, "settings": to_plain(fields.get("settings") or {})}
        values = {"id": schedule_id, "model": model, "paused": False, "created_at": now(), **values}
        with self._database.write() as connection:
            if connection.execute(select(models.c.name).where(models.c.name == model)).one_or_none() is None:
                raise UsageError(f"There is no model {model!r}.", "`fieldguide models list` shows them.")
            connection.execute(schedules.insert().values(**values))
        return self.get(schedule_id)

    def list(self, model: str | None = None) -> _Schedules:
        """Return the schedules (of a model), oldest first."""
        query = select(schedules).order_by(schedules.c.created_at, schedules.c.id)
        if model is not None:
            query = query.where(schedules.c.model == model)
        with self._database.read() as connection:
            return [Schedule(*row) for row in connection.execute(query)]

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
            connection.execute(schedules.update().where(schedules.c.id == schedule_id).values(**columns))

    def remove(self, schedule_id: str) -> None:
        """Forget a schedule; the log of its firings stays, those that wait are cancelled."""
        waiting = (firings.c.schedule_id == schedule_id) & (firings.c.state == "waiting")
        with self._database.write() as connection:
            values = {"state": "cancelled", "note": "the schedule was removed", "finished_at": now()}
            connection.execute(firings.update().where(waiting).values(**values))
            connection.execute(schedules.delete().where(schedules.c.id == schedule_id))

    # ---------------------------------------------------------------- firings

    def fire(
        self,
        schedule: Schedule,
        cause: str,
        trigger: str,
        decision_id: str,
        *,
        planned_at: datetime | None = None,
        flow_run_id: str | None = None,
        skipped: str = "",
    ) -> Firing | None:
        """Record that a schedule fires; None if this very cause is on record already.

        Args:
            planned_at: when it should have fired; by default now.
            flow_run_id: the Prefect flow run that came of it.
            skipped: why nothing is done about it; empty if something is.
        """
        moment = now()
        values = {
            "id": f"f-{secrets.token_hex(6)}",
            "schedule_id": schedule.id,
            "model": schedule.model,
            "cause": cause,
            "trigger": trigger[:120],
            "state": "skipped" if skipped else "waiting",
            "note": skipped,
            "decision_id": decision_id,
            "flow_run_id": flow_run_id,
            "settled": not (skipped and flow_run_id),
            "attempts": 0,
            "planned_at": planned_at or moment,
            "created_at": moment,
            "finished_at": moment if skipped else None,
        }
        try:
            with self._database.write() as connection:
                connection.execute(firings.insert().values(**values))
        except IntegrityError:
            return None
        news = {"last_outcome": f"skipped: {skipped}"} if skipped else {"last_fired_at": moment}
        self.update(schedule.id, **news)
        return self.firing(str(values["id"]))

    def firing(self, firing_id: str) -> Firing:
        """Return one firing. Raises UsageError."""
        with self._database.read() as connection:
            row = connection.execute(select(firings).where(firings.c.id == firing_id)).one_or_none()
        if row is None:
            raise UsageError(f"There is no firing {firing_id!r}.", "`fieldguide schedule log` shows them.")
        return Firing(*row)

    def firings(self, schedule_id: str | None = None, limit: int | None = 50) -> _Firings:
        """Return the newest firings (of a schedule), newest first."""
        query = select(firings).order_by(firings.c.created_at.desc(), firings.c.id).limit(limit)
        if schedule_id is not None:
            query = query.where(firings.c.schedule_id == schedule_id)
        with self._database.read() as connection:
            return [Firing(*row) for row in connection.execute(query)]

    def unfinished(self) -> _Firings:
        """Return the firings that wait or run, oldest first."""
        query = select(firings).where(firings.c.state.in_(OPEN)).order_by(firings.c.created_at, firings.c.id)
        with self._database.read() as connection:
            return [Firing(*row) for row in connection.execute(query)]

    def unsettled(self) -> _Firings:
        """Return the firings that have no living process and whose end Prefect may not know."""
        open_elsewhere = firings.c.state != "running"
        query = select(firings).where(open_elsewhere & ~firings.c.settled & firings.c.flow_run_id.is_not(None))
        with self._database.read() as connection:
            return [Firing(*row) for row in connection.execute(query)]

    def update_firing(self, firing_id: str, **columns: Any) -> Firing:
        """Change columns of a firing; one that ends gets its end time and tells its schedule."""
        ends = columns.get("state") is not None and columns["state"] not in OPEN
        if ends:
            columns.setdefault("finished_at", now())
            columns.setdefault("process", None)
        with self._database.write() as connection:
            connection.execute(firings.update().where(firings.c.id == firing_id).values(**columns))
        firing = self.firing(firing_id)
        if ends:
            self.update(firing.schedule_id, last_outcome=firing.note)
        return firing
