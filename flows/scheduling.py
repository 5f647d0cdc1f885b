"""Schedules: making them, when they fire next, and what they are called in words.

What a cron line means is Prefect's: its schedules are asked here, and fire later.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from workflows.errors import UsageError
from workflows.retraining.plan import RetrainSettings
from workflows.store.schedules import Firing, Missed, Overlap, Schedule
from workflows.store.store import Store
from workflows.store.tables import now

SHORTEST_SECONDS = 10
_LENGTHS = ((604_800, "week"), (86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))


def add_schedule(
    store: Store,
    model: str,
    *,
    cron: str | None = None,
    every_seconds: int | None = None,
    on_new_images: int | None = None,
    settings: RetrainSettings | None = None,
    overlap: Overlap = "skip",
    missed: Missed = "run-once",
    timezone: str | None = None,
) -> Schedule:
    """Record when a model is to be retrained; give exactly one of `cron`, `every_seconds` and `on_new_images`.

    It counts from the next start of the studio on, at once where that is up.

    Args:
        store: where everything is kept.
        model: the model's name.
        cron: five fields: minute, hour, day of the month, month, day of the week.
        every_seconds: at least 10.
        on_new_images: as soon as so many labelled images are new since a retraining looked last.
        settings: when it is worth it, how the challenger is made, what it must show.
        overlap: with a retraining of the model under way: `skip` this time, or `queue`.
        missed: what fell into a time when the studio was off: made up for once, or skipped.
        timezone: in which the cron line counts (IANA name); by default this machine's.

    Raises:
        UsageError: none or several of the three, one of them is wrong, or there is no such model.
    """
    given = [value for value in (cron, every_seconds, on_new_images) if value is not None]
    if len(given) != 1:
        raise UsageError("A schedule needs exactly one of a cron line, an interval, and a number of new images.")
    if every_seconds is not None and every_seconds < SHORTEST_SECONDS:
        raise UsageError(f"The shortest interval is {SHORTEST_SECONDS} s.")
    if on_new_images is not None and on_new_images < 1:
        raise UsageError("The number of new images must be at least 1.")
    zone = _checked_zone(timezone or local_timezone())
    if cron is not None:
        cron = " ".join(cron.split())
        _next_cron(cron, zone, now())  # raises
    fields = {"cron": cron, "every_seconds": every_seconds, "on_new_images": on_new_images}
    kept = (settings or RetrainSettings()).model_dump(mode="json", exclude_unset=True)
    schedule = store.schedules.add(model, settings=kept, overlap=overlap, missed=missed, timezone=zone, **fields)
    store.schedules.update(schedule.id, next_at=next_time(schedule))
    return store.schedules.get(schedule.id)


def run_now(store: Store, schedule: Schedule, who: str = "by hand") -> Firing:
    """Have a schedule fire as soon as the studio's slot is free, whatever its times say."""
    moment = now()
    decision_id = store.models.new_decision_id(schedule.model)
    firing = store.schedules.fire(schedule, f"hand:{decision_id}", who, decision_id, planned_at=moment)
    if firing is None:
        raise UsageError("This was asked for just now.", "Wait for it.")
    return firing


def pause(store: Store, schedule: Schedule) -> None:
    """Let a schedule fire no more until it is resumed."""
    store.schedules.update(schedule.id, paused=True, next_at=None)


def resume(store: Store, schedule: Schedule) -> None:
    """Let a paused schedule fire again; what fell into the pause is not made up for."""
    store.schedules.update(schedule.id, paused=False, next_at=next_time(schedule))


def next_time(schedule: Schedule, after: datetime | None = None) -> datetime | None:
    """Return when a schedule fires next after a moment (default now); None if that depends on images."""
    after = after or now()
    if schedule.every_seconds is not None:
        periods = (after - schedule.created_at) // timedelta(seconds=schedule.every_seconds) + 1
        return schedule.created_at + periods * timedelta(seconds=schedule.every_seconds)
    return _next_cron(schedule.cron, schedule.timezone, after) if schedule.cron is not None else None


def _next_cron(cron: str, zone: str, after: datetime) -> datetime:
    """Ask Prefect's schedule. Raises UsageError if the line is wrong."""
    from prefect.server.schemas.schedules import CronSchedule

    try:
        if len(cron.split()) != 5:
            raise ValueError("it needs five fields")
        schedule = CronSchedule(cron=cron, timezone=zone)
        # "on or after" is what Prefect answers
        dates = asyncio.run(schedule.get_dates(1, start=after.astimezone(ZoneInfo(zone)) + timedelta(seconds=1)))
    except (ValueError, KeyError) as error:  # pydantic's errors are ValueErrors
        raise UsageError(
            f"{cron!r} is no cron line.",
            'Minute, hour, day of the month, month, day of the week: "0 3 * * 1" is every Monday at 3.',
        ) from error
    if not dates:
        raise UsageError(f"The cron line {cron!r} never comes true.")
    return datetime.fromtimestamp(dates[0].timestamp(), UTC)


def local_timezone() -> str:
    """Return the IANA name of this machine's time zone; UTC where it can't be told."""
    named = os.environ.get("TZ", "").lstrip(":")
    if not named:
        path = Path("/etc/localtime").resolve()
        named = path.as_posix().partition("zoneinfo/")[2]
    try:
        return ZoneInfo(named).key if named else "UTC"
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return "UTC"


def _checked_zone(name: str) -> str:
    try:
        return ZoneInfo(name).key
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise UsageError(f"There is no time zone {name!r}.", "For example: Europe/Berlin, UTC") from error


def in_words(schedule: Schedule) -> str:
    """Say when a schedule fires."""
    if schedule.cron is not None:
        return f"{schedule.cron} ({schedule.timezone})"
    if schedule.every_seconds is not None:
        return f"every {length(schedule.every_seconds)}"
    return f"on {schedule.on_new_images} new images"


def length(seconds: int) -> str:
    """Say a length of time in its largest whole unit: `6 hours`."""
    size, unit = next((size, unit) for size, unit in _LENGTHS if seconds % size == 0)
    many = seconds // size
    return f"{many} {unit}s" if many > 1 else unit


def fingerprint(schedule: Schedule) -> str:
    """Return what changes when its deployment has to change."""
    facts: list[Any] = [schedule.model, schedule.cron, schedule.every_seconds, schedule.timezone, schedule.paused]
    text = repr([*facts, sorted(schedule.settings.items())])
    return hashlib.sha256(text.encode()).hexdigest()[:16]
