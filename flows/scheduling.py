"""Schedules: creating, pausing and running them, and describing them."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from workflows.errors import UsageError
from workflows.requests import RetrainSettings, ScheduleRequest, validated
from workflows.retraining.times import next_cron, next_time, time_zone
from workflows.retraining.weekly import weekly_of
from workflows.store.schedules import Schedule, ScheduledRun
from workflows.store.store import Store
from workflows.store.tables import now

TIMES = ("cron", "every_seconds", "on_new_images")
"""The fields of `ScheduleRequest` of which a schedule has exactly one."""
_LENGTHS = ((604_800, "week"), (86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))


def add_schedule(store: Store, model: str, *, settings: RetrainSettings | None = None, **when: Any) -> Schedule:
    """Record when a model is to be retrained.

    It takes effect when the studio starts, or at once while it is up.

    Args:
        store: holds the records.
        model: the model's name.
        settings: minimum changes, the challenger's training, the rules for promotion.
        when: fields of `ScheduleRequest`: exactly one of `cron`, `every_seconds` and `on_new_images`.

    Raises:
        UsageError: none or several of the three, a field is invalid, or there is no such model.
    """
    request = validated(ScheduleRequest, when)
    chosen = _stored_settings(settings or RetrainSettings(), request.on_new_images)
    columns = _times(request) | {"overlap": request.overlap, "missed": request.missed}
    schedule = store.schedules.add(model, settings=chosen, **columns)
    store.schedules.update(schedule.id, next_at=next_time(schedule))
    return store.schedules.get(schedule.id)


def edit_schedule(
    store: Store, schedule: Schedule, *, settings: RetrainSettings | None = None, **changes: Any
) -> Schedule:
    """Change a schedule; what is not given stays as it is. Its log stays, and so does a pause.

    A time that was missed under the old times is not made up for.

    Args:
        store: holds the records.
        schedule: the schedule.
        settings: instead of all its settings.
        changes: fields of `ScheduleRequest`; one of the times replaces the one that the schedule has.

    Raises:
        UsageError: a value is invalid, or several times are given.
    """
    before = {name: getattr(schedule, name) for name in ScheduleRequest.model_fields}
    if any(changes.get(name) is not None for name in TIMES):
        before.update(dict.fromkeys(TIMES))
    request = validated(ScheduleRequest, before | changes)
    columns = _times(request) | {"overlap": request.overlap, "missed": request.missed}
    kept = settings or RetrainSettings.model_validate(schedule.settings)
    columns["settings"] = _stored_settings(kept, request.on_new_images)
    store.schedules.update(schedule.id, **columns)
    changed = store.schedules.get(schedule.id)
    store.schedules.update(schedule.id, next_at=None if changed.paused else next_time(changed))
    return store.schedules.get(schedule.id)


def _stored_settings(settings: RetrainSettings, on_new_images: int | None) -> dict[str, Any]:
    """Return the settings that are stored: those that were set. The images that start a retraining are enough for it."""
    chosen = settings.model_dump(mode="json", exclude_unset=True)
    if on_new_images is not None and on_new_images < settings.min_changes:
        chosen["min_changes"] = on_new_images
    return chosen


def _times(request: ScheduleRequest) -> dict[str, Any]:
    """Return the columns of a schedule's times. Raises UsageError if they are invalid."""
    if sum(getattr(request, name) is not None for name in TIMES) != 1:
        raise UsageError("A schedule needs exactly one of a cron line, an interval, and a number of new images.")
    columns = {name: getattr(request, name) for name in TIMES}
    zone = time_zone(request.timezone or local_timezone()).key
    if request.cron is not None:
        columns["cron"] = " ".join(request.cron.split())
        next_cron(columns["cron"], zone, now())  # raises
    return {**columns, "timezone": zone}


def run_now(store: Store, schedule: Schedule, who: str = "by hand") -> ScheduledRun:
    """Run a schedule as soon as no other retraining runs, whatever its times."""
    moment = now()
    decision_id = store.models.new_decision_id(schedule.model)
    scheduled = store.schedules.record_run(schedule, f"hand:{decision_id}", who, decision_id, planned_at=moment)
    if scheduled is None:
        raise UsageError("This was requested just now.", "Wait for it.")
    return scheduled


def pause(store: Store, schedule: Schedule) -> None:
    """Pause a schedule until it is resumed."""
    store.schedules.update(schedule.id, paused=True, next_at=None)


def resume(store: Store, schedule: Schedule) -> None:
    """Resume a paused schedule; missed runs are not repeated."""
    store.schedules.update(schedule.id, paused=False, next_at=next_time(schedule))


def local_timezone() -> str:
    """Return the IANA name of this machine's time zone; UTC where it is unknown."""
    named = os.environ.get("TZ", "").lstrip(":")
    if not named:
        path = Path("/etc/localtime").resolve()
        named = path.as_posix().partition("zoneinfo/")[2]
    try:
        return ZoneInfo(named).key if named else "UTC"
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return "UTC"


def in_words(schedule: Schedule) -> str:
    """Describe when a schedule runs."""
    if schedule.cron is not None:
        weekly = weekly_of(schedule.cron)
        return f"{weekly.words if weekly else schedule.cron} ({schedule.timezone})"
    if schedule.every_seconds is not None:
        return f"every {length(schedule.every_seconds)}"
    return f"on {schedule.on_new_images} new images"


def length(seconds: int) -> str:
    """Format a duration in its largest whole unit: `6 hours`."""
    size, unit = next((size, unit) for size, unit in _LENGTHS if seconds % size == 0)
    many = seconds // size
    return f"{many} {unit}s" if many > 1 else unit


def fingerprint(schedule: Schedule) -> str:
    """Return a text that changes when its deployment must change."""
    facts: list[Any] = ["no times", schedule.model, in_words(schedule), schedule.paused]
    text = repr([*facts, sorted(schedule.settings.items())])
    return hashlib.sha256(text.encode()).hexdigest()[:16]
