"""Weekdays and a time of day as cron expressions and back; when they are due is computed by dateutil, date by date."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

import pytest
from cronsim import CronSim
from dateutil import tz
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.retraining.test_times import ZONES, changes
from workflows.errors import UsageError
from workflows.retraining.times import next_cron
from workflows.retraining.weekly import EVERY_DAY, Weekly, next_times, weekly_of

weeklies = st.builds(
    Weekly.at, st.sets(st.integers(0, 6), min_size=1), st.builds(time, st.integers(0, 23), st.integers(0, 59))
)


@given(weeklies)
def test_a_time_of_the_week_comes_back_from_its_cron_line_as_it_went_in(weekly: Weekly) -> None:
    assert weekly_of(weekly.cron) == weekly
    assert Weekly.at(weekly.days, weekly.clock) == weekly


@given(weeklies, st.dates(date(2026, 1, 1), date(2026, 12, 31)))
def test_the_cron_line_means_these_days_to_another_library(weekly: Weekly, day: date) -> None:
    moment = next(CronSim(weekly.cron, datetime.combine(day, time()) - timedelta(minutes=1)))
    assert (moment.weekday() in weekly.days, moment.time()) == (True, weekly.clock)
    assert (moment - datetime.combine(day, time())).days < 7


@settings(deadline=None)
@given(weeklies, st.sampled_from(ZONES), st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 20)), st.booleans())
@example(Weekly(frozenset({6}), 2, 30), "Europe/Berlin", datetime(2026, 3, 28), False)
@example(Weekly(frozenset({6}), 2, 30), "Europe/Berlin", datetime(2026, 10, 25, 0, 45), False)
def test_it_is_due_on_the_first_such_day_by_the_clock_of_its_zone_also_when_clocks_change(
    weekly: Weekly, zone: str, moment: datetime, at_change: bool
) -> None:
    after = moment.replace(tzinfo=UTC)
    if at_change and (found := changes(zone)):
        after = found[moment.day % len(found)] + timedelta(minutes=moment.minute - 30)
    place, begin = tz.gettz(zone), after.date() - timedelta(days=2)
    days = [begin + timedelta(days=number) for number in range(12)]
    walls = [datetime.combine(day, weekly.clock, tzinfo=place) for day in days if day.weekday() in weekly.days]
    times = sorted(tz.resolve_imaginary(wall).astimezone(UTC) for wall in walls)
    assert next_cron(weekly.cron, zone, after) == next(one for one in times if one > after)


def test_lines_as_people_write_them_are_recognised() -> None:
    assert weekly_of("0 3 * * *") == weekly_of("0 3 * * 1-7") == Weekly(EVERY_DAY, 3, 0)
    assert weekly_of("30 16 * * mon-FRI") == Weekly(frozenset(range(5)), 16, 30)
    assert weekly_of("5 0 * * 7") == weekly_of("5 0 * * 0") == Weekly(frozenset({6}), 0, 5)


@pytest.mark.parametrize(
    "line",
    [
        "0 3,15 * * 1",
        "*/5 3 * * 1",
        "0 * * * 1",
        "0 3 1 * *",
        "0 3 * 2 1",
        "0 3 * * 1#2",
        "0 3 * * L5",
        "0 99 * * 1",
        "",
    ],
)
def test_other_lines_are_no_times_of_the_week(line: str) -> None:
    assert weekly_of(line) is None


def test_without_a_day_there_is_no_time() -> None:
    with pytest.raises(UsageError):
        Weekly.at([], time(3))


def test_words_name_the_days_in_order() -> None:
    assert Weekly(frozenset({0}), 3, 0).words == "Mondays at 03:00"
    assert Weekly(frozenset({6, 0}), 23, 5).words == "Mon, Sun at 23:05"
    assert Weekly(EVERY_DAY, 0, 0).words == "every day at 00:00"


def test_the_next_times_follow_each_other() -> None:
    after = datetime(2026, 3, 27, 12, tzinfo=UTC)
    found = next_times("30 2 * * 6,0", "Europe/Berlin", after, 3)
    assert [f"{one:%m-%d %H:%M}" for one in found] == ["03-28 01:30", "03-29 01:30", "04-04 00:30"]
