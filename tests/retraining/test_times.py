"""Times of schedules against two independent libraries: cronsim says what a line means, dateutil what clocks do."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import takewhile

import pandas as pd
import pytest
from cronsim import CronSim
from dateutil import tz
from hypothesis import given, settings
from hypothesis import strategies as st

from workflows.errors import UsageError
from workflows.retraining.times import next_cron, next_time, on_the_clock, time_zone
from workflows.store.schedules import Schedule

BEGIN, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
HOURS = [BEGIN + timedelta(hours=hour) for hour in range(365 * 24)]
ZONES = ("Europe/Berlin", "Asia/Kolkata", "America/Santiago", "Australia/Lord_Howe")
"""With summer time, without, in the southern hemisphere (at midnight), and by half an hour."""


def expected(line: str, zone: str, begin: datetime = BEGIN, end: datetime = END) -> list[datetime]:
    """All times of a line from `begin` until some days after `end`, in UTC and in order."""
    place = tz.gettz(zone)
    assert place is not None
    begin, end = begin - timedelta(days=3), end + timedelta(days=20)
    if line.split()[1] == "*":  # cronsim goes through such a line by elapsed time
        simulated: Iterator[datetime] = CronSim(line, begin.astimezone(time_zone(zone)))
        return [one.astimezone(UTC) for one in takewhile(lambda one: one < end, simulated)]
    walls = CronSim(line, begin.replace(tzinfo=None))  # without a zone: a clock that nobody changes
    found = set()
    for wall in takewhile(lambda one: one < end.replace(tzinfo=None), walls):
        found.add(tz.resolve_imaginary(wall.replace(tzinfo=place)).astimezone(UTC))
    return sorted(found)


def walked(line: str, zone: str) -> list[datetime]:
    """The times of a year, each of them the next after the one before."""
    times, moment = [], BEGIN
    while (moment := next_cron(line, zone, moment)) <= END:
        times.append(moment)
    return times


@pytest.mark.parametrize("every", [29, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("line", ["30 2 * * *", "*/20 * * * *"])
def test_every_hour_of_a_year_the_next_time_is_the_first_of_those_that_lie_after_it(
    line: str, zone: str, every: int
) -> None:
    """With `every` 29 only every 29th hour is looked at, and all hours of the days when clocks change."""
    times, days = expected(line, zone), {change.date() for change in changes(zone)}
    for hour in (hour for number, hour in enumerate(HOURS) if number % every == 0 or hour.date() in days):
        found = next_cron(line, zone, hour)
        assert found > hour
        assert found == times[bisect_right(times, hour)], (line, zone, hour)


@pytest.mark.parametrize("zone", ZONES)
def test_through_a_year_no_time_is_passed_over_and_none_comes_twice(zone: str) -> None:
    for line in ("30 2 * * *", "0,45 0-3 * * 0,6", "10 2 29 * 1", "15 * 1-15 * *"):
        assert walked(line, zone) == [one for one in expected(line, zone) if BEGIN < one <= END], line


@settings(deadline=None)
@given(
    minutes=st.sets(st.integers(0, 59), min_size=1, max_size=3),
    hours=st.one_of(st.none(), st.sets(st.integers(0, 4), min_size=1, max_size=3)),
    zone=st.sampled_from(ZONES),
    moment=st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 31)),
    change=st.one_of(st.none(), st.integers(-4 * 3600, 4 * 3600)),
)
def test_any_line_at_any_moment_also_in_the_hours_around_a_change(
    minutes: set[int], hours: set[int] | None, zone: str, moment: datetime, change: int | None
) -> None:
    after = moment.replace(tzinfo=UTC)
    if change is not None and (found := changes(zone)):
        after = found[moment.day % len(found)] + timedelta(seconds=change)
    line = f"{','.join(map(str, sorted(minutes)))} {'*' if hours is None else ','.join(map(str, sorted(hours)))} * * *"
    times = expected(line, zone, after, after)
    assert next_cron(line, zone, after) == times[bisect_right(times, after)]


@cache
def changes(zone: str) -> list[datetime]:
    """The hours after which the clock of a zone is another one."""
    place = tz.gettz(zone)
    offsets = [hour.astimezone(place).utcoffset() for hour in HOURS]
    return [HOURS[i] for i in range(1, len(HOURS)) if offsets[i] != offsets[i - 1]]


def test_the_nights_when_clocks_change_have_one_run_each() -> None:
    times = [on_the_clock(one, "Europe/Berlin") for one in walked("30 2 * * *", "Europe/Berlin")]
    assert [one for one in times if one.startswith("2026-03-29")] == ["2026-03-29 03:30 CEST"]
    assert [one for one in times if one.startswith("2026-10-25")] == ["2026-10-25 02:30 CEST"]
    assert len(times) == 365


@pytest.mark.parametrize("seconds", [10, 3600, 5 * 3600 + 7, 7 * 86_400])
def test_intervals_go_by_elapsed_time_through_every_hour_of_a_year(seconds: int) -> None:
    created = datetime(2026, 1, 1, 0, 0, 3, 250_000, tzinfo=UTC)
    schedule = scheduled(created, every_seconds=seconds)
    beats = pd.date_range(created, END + timedelta(days=14), freq=f"{seconds}s", inclusive="right")
    for hour in HOURS:
        found = next_time(schedule, hour)
        assert found is not None and found > hour
        assert found == beats[beats.searchsorted(pd.Timestamp(hour), side="right")]


def scheduled(created: datetime, **times: object) -> Schedule:
    """A schedule that is in no store."""
    when = {"cron": None, "every_seconds": None, "on_new_images": None, "timezone": "Europe/Berlin", **times}
    rest = {"last_fired_at": None, "last_outcome": None, "overlap": "skip", "missed": "run-once", "next_at": None}
    named = {"id": "s-1", "model": "m", "settings": {}, "paused": False, "deployment_id": None, "created_at": created}
    return Schedule(**named, **when, **rest)  # type: ignore[arg-type]


def test_images_have_no_time() -> None:
    assert next_time(scheduled(BEGIN, on_new_images=5), BEGIN) is None


@pytest.mark.parametrize("line", ["0 0 30 2 *", "0 0 31 4,6 *", "15 3 31 2,4,6,9,11 *"])
def test_a_line_that_never_comes_true_is_refused_as_that(line: str) -> None:
    with pytest.raises(UsageError, match="never"):
        next_cron(line, "UTC", BEGIN)


@pytest.mark.parametrize("line, first", [("0 0 29 2 *", "2028-02-29"), ("0 0 31 2 1", "2026-02-02")])
def test_a_line_that_comes_true_seldom_or_by_its_weekday_alone_is_none_of_those(line: str, first: str) -> None:
    assert on_the_clock(next_cron(line, "UTC", BEGIN), "UTC").startswith(first)


@pytest.mark.parametrize("line", ["", "daily", "@daily", "0 3 * *", "0 0 3 * * *", "60 3 * * *", "*/0 * * * *"])
def test_what_is_no_line_is_refused_as_that(line: str) -> None:
    with pytest.raises(UsageError, match="not a cron expression"):
        next_cron(line, "UTC", BEGIN)


@pytest.mark.parametrize("line", ["R 3 * * *", "0 h * * *", "R(1-30) 3 * * *"])
def test_a_line_that_leaves_its_times_to_chance_is_refused(line: str) -> None:
    with pytest.raises(UsageError, match="not a cron expression"):
        next_cron(line, "UTC", BEGIN)


@settings(deadline=None)
@given(fields=st.lists(st.text("0123456789*/,-#?LWRHmonja@ ()", max_size=6), min_size=4, max_size=6))
def test_any_text_has_a_next_time_or_is_refused(fields: list[str]) -> None:
    with suppress(UsageError):
        assert next_cron(" ".join(fields), "Europe/Berlin", BEGIN) > BEGIN


@pytest.mark.parametrize("zone", ["Europe/Nowhere", "", "../etc/passwd"])
def test_a_zone_that_is_none_is_refused(zone: str) -> None:
    with pytest.raises(UsageError, match="time zone"):
        next_cron("0 3 * * *", zone, BEGIN)
