"""Times of the week, as people set them: some weekdays and a time of day; and the cron expressions of the same times."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, time

from workflows.errors import UsageError
from workflows.retraining.times import cron_fields, next_cron

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
EVERY_DAY = frozenset(range(len(WEEKDAYS)))


@dataclass(frozen=True)
class Weekly:
    """One time of day on some days of the week.

    Attributes:
        days: from 0 (Monday) to 6 (Sunday), at least one.
        hour, minute: on the clock of the schedule's time zone.
    """

    days: frozenset[int]
    hour: int
    minute: int

    @classmethod
    def at(cls, days: Iterable[int], clock: time) -> Weekly:
        """Return a time of the week. Raises UsageError without a day."""
        chosen = frozenset(days)
        if not chosen:
            raise UsageError("No day of the week is chosen.", "Choose at least one day.")
        return cls(chosen, clock.hour, clock.minute)

    @property
    def clock(self) -> time:
        """The time of day."""
        return time(self.hour, self.minute)

    @property
    def cron(self) -> str:
        """The cron expression of the same times, where the week starts with Sunday, 0."""
        days = (
            "*" if self.days == EVERY_DAY else ",".join(str(day) for day in sorted((one + 1) % 7 for one in self.days))
        )
        return f"{self.minute} {self.hour} * * {days}"

    @property
    def words(self) -> str:
        """The times as text: `Mondays at 03:00`, `Mon, Thu at 03:00`, `every day at 03:00`."""
        named = [WEEKDAYS[day] for day in sorted(self.days)]
        if self.days == EVERY_DAY:
            days = "every day"
        else:
            days = f"{named[0]}s" if len(named) == 1 else ", ".join(name[:3] for name in named)
        return f"{days} at {self.hour:02d}:{self.minute:02d}"


def weekly_of(line: str) -> Weekly | None:
    """Return the times of a cron expression as days and a time of day; None if it has others, or is invalid."""
    try:
        (minutes, hours, month_days, months, week_days), nth = cron_fields(line)
    except UsageError:
        return None
    single = all(len(field) == 1 and field != ["*"] for field in (minutes, hours))
    if not single or month_days != ["*"] or months != ["*"] or nth:
        return None
    days = EVERY_DAY if week_days == ["*"] else frozenset((int(day) - 1) % 7 for day in week_days)
    return Weekly(days, int(hours[0]), int(minutes[0]))


def next_times(line: str, zone: str, after: datetime, count: int) -> list[datetime]:
    """Return the next times of a cron expression after a moment, in UTC. Raises UsageError as `next_cron` does."""
    found: list[datetime] = []
    for _ in range(count):
        found.append(next_cron(line, zone, found[-1] if found else after))
    return found
