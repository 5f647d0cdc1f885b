"""When schedules are due: intervals by elapsed time, cron expressions by the clock of their time zone.

On the nights when clocks change, a cron expression with specific hours is due exactly once for each of its times: a time that the
clock skips is shifted by the change (02:30 becomes 03:30), one that the clock
shows twice is due the first time. An expression whose hour is `*` has no specific hours: it is due whenever the clock shows
one of its minutes.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from croniter import CroniterBadDateError, croniter

from workflows.errors import UsageError
from workflows.store.schedules import Schedule
from workflows.store.tables import now

_AROUND = timedelta(days=1)
_BY_CHANCE = re.compile(r"(?<![a-z])[hr](?![a-z])", re.IGNORECASE)
"""With `H` and `R`, croniter chooses a random value, another one each time that it is called."""


def next_time(schedule: Schedule, after: datetime | None = None) -> datetime | None:
    """Return the first time after `after` (default now) at which a schedule is due, in UTC.

    Returns:
        A time strictly after `after`; None if that depends on images.

    Raises:
        UsageError: the cron expression is invalid or never matches, or the time zone is unknown.
    """
    after = after or now()
    if schedule.every_seconds is not None:
        period = timedelta(seconds=schedule.every_seconds)
        periods = max(1, (after - schedule.created_at) // period + 1)
        return schedule.created_at + periods * period
    return next_cron(schedule.cron, schedule.timezone, after) if schedule.cron is not None else None


def next_cron(line: str, zone: str, after: datetime) -> datetime:
    """Return the first time after `after` that matches a cron expression, in UTC.

    Args:
        line: minute, hour, day of the month, month, day of the week.
        zone: IANA name of the time zone that it applies to.
        after: an aware datetime; the result is strictly after it.

    Raises:
        UsageError: the expression is invalid or never matches, or the time zone is unknown.
    """
    place = time_zone(zone)
    names_hours = cron_fields(line)[0][1] != ["*"]
    moment = after.astimezone(UTC)
    # The clock of a day ago and of a day ahead, too, so that no time is missed that a clock change moves past `after`.
    start = (_naive(moment) + min(_offsets(moment, place))).replace(second=0, microsecond=0)
    walls = croniter(line, start)
    first: datetime | None = None
    while True:
        try:
            wall = walls.get_next(datetime)
        except CroniterBadDateError as error:
            if first is not None:
                return first
            raise UsageError(
                f"The cron expression {line!r} never matches.", "None of its months has that day."
            ) from error
        if first is not None and wall - max(_offsets(first, place)) >= _naive(first):
            return first  # all further ones are later
        found = [one for one in _moments(wall, place, names_hours) if one > moment]
        first = min([*found, *([first] if first is not None else [])], default=None)


def cron_fields(line: str) -> tuple[list[list[int | str]], dict[int, set[int | str]]]:
    """Return the values of a cron expression's five fields (`*` where all match), and its n-th weekdays of a month.

    Raises:
        UsageError: it is invalid.
    """
    try:
        if len(line.split()) != 5:
            raise ValueError("it needs five fields")
        if _BY_CHANCE.search(line):
            raise ValueError("its times would be random")
        fields, nth = croniter.expand(line)
    except (
        ValueError,
        KeyError,
        TypeError,
        IndexError,
        AttributeError,
    ) as error:  # croniter's own errors are ValueErrors
        raise UsageError(
            f"{line!r} is not a cron expression.",
            'Minute, hour, day of the month, month, day of the week: "0 3 * * 1" is every Monday at 3.',
        ) from error
    return fields, nth


def _moments(wall: datetime, place: ZoneInfo, names_hours: bool) -> list[datetime]:
    """Return the times, in UTC, of a local time."""
    once, again = (wall.replace(tzinfo=place, fold=fold).astimezone(UTC) for fold in (0, 1))
    if names_hours:
        return [once]  # for a skipped time, the offset before the change applies: it moves forward
    return [one for one in (once, again) if one.astimezone(place).replace(tzinfo=None) == wall]


def _offsets(moment: datetime, place: ZoneInfo) -> list[timedelta]:
    """Return the offsets of local time from UTC around a time."""
    around = (moment - _AROUND, moment, moment + _AROUND)
    return [one.astimezone(place).utcoffset() or timedelta() for one in around]


def _naive(moment: datetime) -> datetime:
    return moment.replace(tzinfo=None)


def time_zone(name: str) -> ZoneInfo:
    """Return a time zone by its IANA name. Raises UsageError if it is unknown."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise UsageError(f"Unknown time zone {name!r}.", "For example: Europe/Berlin, UTC") from error


def on_the_clock(moment: datetime, zone: str, seconds: bool = False) -> str:
    """Return a time as local time of a time zone: `2026-03-30 03:00 CEST`."""
    return f"{moment.astimezone(time_zone(zone)):%Y-%m-%d %H:%M{':%S' if seconds else ''} %Z}"
