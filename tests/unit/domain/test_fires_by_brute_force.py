"""Fires against a reader that shares no code with ours: it walks through every minute and looks at the clock."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import assume, example, given, settings

from chalicelib.domain.cron import cron_of
from chalicelib.domain.timetable import check_schedule, fires_between

from .makers import make_task, ms, utc
from .schedules import expressions, zones

MINUTE = timedelta(minutes=1)


def walk(schedule: str, zone: ZoneInfo, begin: datetime, end: datetime) -> Iterator[datetime]:
    """The minutes of [begin, end) in which a schedule fires."""
    # CronSim serves as a parser only: which minutes, hours, days and months.
    spec = CronSim(cron_of(schedule), datetime(2024, 1, 1))

    def named(wall: datetime) -> bool:
        times = wall.minute in spec.minutes and wall.hour in spec.hours and wall.month in spec.months
        return times and spec.match_day(wall.date())

    here, seen = begin - timedelta(days=2), None
    while here < end:
        wall = here.astimezone(zone).replace(tzinfo=None)
        if len(spec.hours) == 24:
            fires = named(wall)
        elif seen is None or wall > seen:  # a minute of the clock that comes for the first time, and those skipped before it
            fires = False
            while seen is not None and seen + MINUTE < wall:
                seen += MINUTE
                fires = fires or named(seen)
            fires, seen = fires or named(wall), wall
        else:
            fires = False
        if fires and here >= begin:
            yield here
        here += MINUTE


def agree(schedule: str, zone: str, begin: str, days: int) -> None:
    since = datetime.fromisoformat(begin).replace(tzinfo=UTC)
    until = since + timedelta(days=days)
    task = make_task(schedule=schedule, time_zone=zone)
    ours = [utc(fire.at) for fire in fires_between(task, "UTC", ms(begin), round(until.timestamp() * 1000), most=1_000_000)]
    assert ours == [f"{at:%Y-%m-%d %H:%M}" for at in walk(schedule, ZoneInfo(zone), since, until)]


# Around the changes of the clocks that most of the hard zones know.
SEASONS = ["2026-03-06", "2026-03-27", "2026-04-03", "2026-09-26", "2026-10-02", "2026-10-23", "2026-10-30"]


@pytest.mark.parametrize("begin", SEASONS)
@given(schedule=expressions, zone=zones)
@example(schedule="45 * * * *", zone="Australia/Lord_Howe")
@example(schedule="*/15 2 * * *", zone="Europe/Berlin")
@settings(max_examples=25)
def test_fires_are_those_that_somebody_watching_the_clock_sees(begin: str, schedule: str, zone: str) -> None:
    try:
        check_schedule(schedule)
    except ValueError:
        assume(False)
    agree(schedule, zone, begin, 4)


@pytest.mark.proof
@given(schedule=expressions, zone=zones)
@settings(max_examples=60)
def test_fires_of_a_whole_year(schedule: str, zone: str) -> None:
    try:
        check_schedule(schedule)
    except ValueError:
        assume(False)
    agree(schedule, zone, "2026-01-01", 366)
