"""Automatic work: schedules of retrainings with their log, and watched folders."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import available_timezones

from app.client.cache import Cache
from flows import scheduling
from flows.process_identity import ProcessIdentity
from flows.studio_file import read_studio
from flows.watching import add_watch, start_import
from workflows.data.catalog import get_version
from workflows.errors import FieldguideError
from workflows.registry.models import champion
from workflows.requests import RetrainSettings, validated
from workflows.retraining.plan import obstacle
from workflows.retraining.times import next_time, time_zone
from workflows.retraining.weekly import WEEKDAYS, Weekly, next_times, weekly_of
from workflows.store.schedules import Schedule, ScheduledRun
from workflows.store.store import Store
from workflows.store.tables import now
from workflows.store.watching import WatchedFolder

__all__ = [
    "WEEKDAYS",
    "Schedule",
    "ScheduleBrief",
    "ScheduledRun",
    "Schedules",
    "WatchedFolder",
    "Weekly",
    "weekly_of",
]

SHOWN_RUNS = 100
SHOWN_TIMES = 3


@dataclass(frozen=True)
class ScheduleBrief:
    """One schedule in a list."""

    schedule: Schedule
    when: str
    """When it runs, in words."""
    last: ScheduledRun | None
    obstacle: str = ""
    """Why the next retraining can't succeed; empty if nothing is in its way."""

    @property
    def is_active(self) -> bool:
        """Whether one of its runs waits or runs."""
        return self.last is not None and self.last.state.alive

    def upcoming(self) -> list[datetime]:
        """Return its next times from now on; none if it has no times. Raises UsageError if it can't be computed."""
        times: list[datetime] = []
        while not self.schedule.paused and len(times) < SHOWN_TIMES + 1:
            moment = next_time(self.schedule, times[-1] if times else None)
            if moment is None:
                break
            times.append(moment.astimezone(time_zone(self.schedule.timezone)))
        return times


class Schedules:
    """Schedules and watched folders: listing them, their results, and changing them."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._obstacles = Cache(64)

    # ---------------------------------------------------------------- looking

    def is_up(self) -> bool:
        """Return whether the studio's scheduler runs, without which nothing runs."""
        found = read_studio(self._store.home)
        return found is not None and "scheduler" in found.parts

    def all(self) -> list[ScheduleBrief]:
        """Return all schedules, oldest first."""
        records = self._store.schedules
        return [
            ScheduleBrief(
                one,
                scheduling.in_words(one),
                next(iter(records.scheduled_runs(one.id, limit=1)), None),
                self._obstacle(one),
            )
            for one in records.list()
        ]

    def _obstacle(self, schedule: Schedule) -> str:
        """Look once for each champion and version of its data; the page asks again and again."""
        settings = RetrainSettings.model_validate(schedule.settings)
        try:
            current = champion(self._store, schedule.model)
            newest = get_version(self._store, current.dataset).number
        except FieldguideError as error:
            return str(error)
        key = (schedule.model, current.number, newest, settings.model_dump_json())
        return self._obstacles.get(key, lambda: obstacle(self._store, schedule.model, settings))

    def of_model(self, model: str) -> list[Schedule]:
        """Return the schedules of a model, oldest first."""
        return self._store.schedules.list(model)

    def log(self) -> list[ScheduledRun]:
        """Return the newest scheduled runs of all schedules, newest first."""
        return self._store.schedules.scheduled_runs(limit=SHOWN_RUNS)

    def watches(self) -> list[WatchedFolder]:
        """Return all watched folders, oldest first."""
        return self._store.watched.list()

    def timezone(self) -> str:
        """Return this machine's time zone."""
        return scheduling.local_timezone()

    def upcoming(self, cron: str, zone: str) -> list[datetime]:
        """Return the next times of a cron line by the clock of a time zone.

        Raises:
            UsageError: it is no cron line, or is never due.
        """
        place = time_zone(zone)
        return [moment.astimezone(place) for moment in next_times(cron, zone, now(), SHOWN_TIMES)]

    # --------------------------------------------------------------- changing

    def add(self, model: str, *, settings: dict[str, Any] | None = None, **when: Any) -> Schedule:
        """Add a schedule; see :func:`flows.scheduling.add_schedule`. Raises UsageError."""
        wanted = validated(RetrainSettings, settings or {})
        return scheduling.add_schedule(self._store, model, settings=wanted, **when)

    def edit(self, schedule_id: str, *, settings: dict[str, Any], **changes: Any) -> Schedule:
        """Change a schedule; see :func:`flows.scheduling.edit_schedule`. Raises UsageError."""
        schedule = self._store.schedules.get(schedule_id)
        wanted = validated(RetrainSettings, {**schedule.settings, **settings})
        return scheduling.edit_schedule(self._store, schedule, settings=wanted, **changes)

    def pause(self, schedule_id: str) -> None:
        """Pause a schedule. Raises UsageError."""
        scheduling.pause(self._store, self._store.schedules.get(schedule_id))

    def resume(self, schedule_id: str) -> None:
        """Resume a schedule. Raises UsageError."""
        scheduling.resume(self._store, self._store.schedules.get(schedule_id))

    def remove(self, schedule_id: str) -> None:
        """Delete a schedule; its log stays."""
        self._store.schedules.remove(schedule_id)

    def run_now(self, schedule_id: str) -> ScheduledRun:
        """Run a schedule as soon as the slot is free. Raises UsageError."""
        return scheduling.run_now(self._store, self._store.schedules.get(schedule_id))

    # --------------------------------------------------------- watched folders

    def watch(
        self,
        dataset: str,
        folder: str,
        labels: str = "",
        unlabelled: bool = False,
        every_seconds: int = 60,
        filename_column: str | None = None,
        label_column: str | None = None,
    ) -> WatchedFolder:
        """Watch a folder; see :func:`flows.watching.add_watch`. Raises UsageError."""
        file = Path(labels) if labels else None
        return add_watch(
            self._store,
            dataset,
            Path(folder),
            labels=file,
            filename_column=filename_column,
            label_column=label_column,
            unlabelled=unlabelled,
            every_seconds=every_seconds,
        )

    def pause_watch(self, watch_id: str, paused: bool) -> None:
        """Pause or resume a watched folder."""
        self._store.watched.update(watch_id, paused=paused)

    def remove_watch(self, watch_id: str) -> None:
        """Stop watching a folder; imported photos stay."""
        self._store.watched.remove(watch_id)

    def import_now(self, watch_id: str) -> None:
        """Start to import from a watched folder, in a process of its own. Raises UsageError."""
        start_import(self._store, self._store.watched.get(watch_id).id, ProcessIdentity.current())


def next_run(schedule: Schedule) -> datetime | None:
    """Return when a schedule runs next, in its own time zone; None if it is paused or waits for images."""
    if schedule.paused or schedule.next_at is None:
        return None
    return schedule.next_at.astimezone(time_zone(schedule.timezone))


@cache
def time_zones() -> list[str]:
    """Return the names of all time zones."""
    return sorted(available_timezones())
