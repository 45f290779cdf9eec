"""The cadence rules ring for every fire, as an independent reader of AWS expressions understands them, and rarely for nothing."""

from __future__ import annotations

import random
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import islice
from typing import Any

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from pyawscron import AWSCron

from chalicelib.domain.cadence import rules_for
from chalicelib.domain.model import Task
from chalicelib.domain.timetable import check_schedule, fires_between, next_fire

from .makers import make_task, ms, utc
from .schedules import expressions, zones

NOW = ms("2026-01-15 12:34:56")
LATER = ms("2028-01-15 12:34:56")
MINUTE = 60_000
LONGEST_EXPRESSION = 256


@lru_cache(maxsize=4096)
def reader(expression: str) -> AWSCron:
    assert expression.startswith("cron(")
    assert len(expression) <= LONGEST_EXPRESSION
    return AWSCron(expression.removeprefix("cron(").removesuffix(")"))


def rings(expression: str, at: int) -> bool:
    """Whether a rule rings in the minute at or after an instant: whether its last time before the next minute is this one."""
    minute = datetime.fromtimestamp(-(-at // MINUTE) * 60, UTC)
    try:
        return bool(reader(expression).occurrence(minute + timedelta(minutes=1)).prev() == minute)
    except Exception:  # on its way to an earlier time the reader stumbles over 30 February, or gives up: not this minute
        return False


def expect_cover(task: Task, rules: Iterable[str], fires: Iterable[int]) -> None:
    rules = list(rules)
    for at in fires:
        assert any(rings(rule, at) for rule in rules), f"{utc(at)} of {task.schedule} in {task.time_zone}: {rules}"


def some_fires(task: Task, each: int) -> list[int]:
    """The first fires from now on, those around the changes of the clocks and the ends of months, and some of the rest."""
    dates = [
        f"{year}-{day}" for year in (2026, 2027) for day in ("02-27", "03-07", "03-28", "04-04", "09-30", "10-24", "10-31", "12-30")
    ]
    places = [NOW, *(ms(f"{date} 00:00") for date in dates)]
    places += [NOW + (LATER - NOW) * n // 11 for n in range(1, 11)]
    found: list[int] = []
    for place in places:
        found += [fire.at for fire in islice(fires_between(task, "UTC", max(place, NOW), LATER), each)]
    return found


@st.composite
def tasks(draw: st.DrawFn) -> Task:
    fields: dict[str, Any] = {"id": f"t{draw(st.integers(0, 50))}", "time_zone": draw(zones)}
    fields["schedule"] = draw(expressions)
    fields["spread"] = draw(st.sampled_from([None, None, "7m", "50m", "20h"]))
    fields["start"] = draw(st.sampled_from([None, None, "2026-06-01T10:10:30"]))
    return make_task(**fields)


def two_years_of_fires_are_covered(task: Task, each: int) -> None:
    try:
        check_schedule(task.schedule or "")
    except ValueError:
        assume(False)
    rules = rules_for([task], "UTC", now=NOW).values()
    assert len(rules) <= 2
    expect_cover(task, rules, some_fires(task, each))


@given(task=tasks())
@example(task=make_task(schedule="30 2 * * *", time_zone="Europe/Berlin"))
@example(task=make_task(schedule="30 2 29 3 *", time_zone="Europe/Berlin"))
@example(task=make_task(schedule="15 2 13 * SUN", time_zone="Australia/Lord_Howe", spread="20h"))
@example(task=make_task(schedule="0 0 1 1,3,12 *", time_zone="Pacific/Kiritimati"))
@example(task=make_task(schedule="0 23 L 2 *", time_zone="America/New_York"))
@settings(max_examples=100)
def test_rules_ring_for_every_fire_of_two_years(task: Task) -> None:
    two_years_of_fires_are_covered(task, each=4)


@pytest.mark.proof
@given(task=tasks())
@settings(max_examples=2_000)
def test_rules_ring_for_every_fire_of_two_years_at_length(task: Task) -> None:
    two_years_of_fires_are_covered(task, each=60)


@given(
    minutes=st.integers(1, 40_000),
    start=st.sampled_from([None, "2026-03-01", "2026-03-01T10:10:30Z", "2025-01-01T00:07Z"]),
    spread=st.booleans(),
)
@settings(max_examples=60)
def test_rules_ring_for_every_period(minutes: int, start: str | None, spread: bool) -> None:
    task = make_task(every=minutes * 60, start=start, spread=(minutes - 1) * 60 if spread and minutes > 1 else None)
    rules = rules_for([task], "UTC", now=NOW).values()
    assert len(rules) <= 2
    expect_cover(task, rules, some_fires(task, 3))


@given(at=st.lists(st.datetimes(datetime(2026, 1, 16), datetime(2035, 1, 1)), min_size=1, max_size=40), zone=zones)
@settings(max_examples=40)
def test_rules_ring_for_every_single_instant(at: list[datetime], zone: str) -> None:
    task = make_task(at=[moment.isoformat(timespec="seconds") for moment in at], time_zone=zone)
    rules = rules_for([task], "UTC", now=NOW).values()
    assert len(rules) <= 2
    expect_cover(task, rules, (fire.at for fire in fires_between(task, "UTC", NOW, ms("2036-01-01 00:00"))))


# Definition -> the rules, none of which could be spared
EXACT: list[tuple[dict[str, Any], set[str]]] = [
    ({"schedule": "0 2 * * *"}, {"cron(0 2 * * ? *)"}),
    ({"schedule": "*/5 * * * *"}, {"cron(*/5 * * * ? *)"}),
    ({"schedule": "0 9 * * MON-FRI"}, {"cron(0 9 ? * 2-6 *)"}),
    ({"schedule": "0 0 1 JAN *"}, {"cron(0 0 1 1 ? *)"}),
    ({"schedule": "0 0 13 * 5"}, {"cron(0 0 13 * ? *)", "cron(0 0 ? * 6 *)"}),
    ({"schedule": "0 2 L * *"}, {"cron(0 2 31 1,3,5,7,8,10,12 ? *)", "cron(0 2 28-30 2,4,6,9,11 ? *)"}),
    ({"schedule": "0 2 * * FRI#2"}, {"cron(0 2 ? * 6 *)"}),
    # both offsets of a zone
    ({"schedule": "0 4 * * *", "time_zone": "Europe/Berlin"}, {"cron(0 2,3 * * ? *)"}),
    ({"schedule": "*/15 * * * *", "time_zone": "Europe/Berlin"}, {"cron(*/15 * * * ? *)"}),
    ({"schedule": "0 * * * *", "time_zone": "Asia/Kathmandu"}, {"cron(15 * * * ? *)"}),
    ({"schedule": "0 * * * *", "time_zone": "Australia/Lord_Howe"}, {"cron(0,30 * * * ? *)"}),
    # and the end of the gap, for what the clocks skip
    ({"schedule": "30 2 * * *", "time_zone": "Europe/Berlin"}, {"cron(30 0,1 * * ? *)", "cron(0 1 26,28,29 3 ? *)"}),
    # over midnight the days move, too
    ({"schedule": "0 20-23 * * FRI", "time_zone": "America/Bogota"}, {"cron(0 1-4 ? * 7 *)"}),
    ({"schedule": "0 18-20 * * FRI", "time_zone": "America/Bogota"}, {"cron(0 23 ? * 6 *)", "cron(0 0,1 ? * 7 *)"}),
    ({"schedule": "0 3 * * MON", "time_zone": "Asia/Tokyo"}, {"cron(0 18 ? * 1 *)"}),
    ({"schedule": "0 3 1 1 *", "time_zone": "Asia/Tokyo"}, {"cron(0 18 31 12 ? *)"}),
    ({"schedule": "0 3 * * *", "time_zone": "Asia/Tokyo"}, {"cron(0 18 * * ? *)"}),
    ({"schedule": "0 23 31 12 *", "time_zone": "America/Bogota"}, {"cron(0 4 1 1 ? *)"}),
    # periods and instants
    ({"every": "5m"}, {"cron(*/5 * * * ? *)"}),
    ({"every": "90m"}, {"cron(0 */3 * * ? *)", "cron(30 1/3 * * ? *)"}),
    ({"every": "1d", "start": "2026-01-01T10:00:30Z"}, {"cron(1 10 * * ? *)"}),
    ({"every": "14d", "start": "2026-01-05T10:00Z"}, {"cron(0 10 ? * 2 *)"}),
    ({"at": "2026-12-24T18:00"}, {"cron(0 18 24 12 ? 2026)"}),
    ({"at": ["2026-12-24T18:00", "2026-12-31T18:00"]}, {"cron(0 18 24,31 12 ? 2026)"}),
    # nothing to come
    ({"at": "2026-01-15T12:00"}, set()),
    ({"schedule": "0 2 * * *", "end": "2026-01-14"}, set()),
    ({"schedule": "0 2 * * *", "enabled": False}, set()),
    ({}, set()),
]


@pytest.mark.parametrize(("fields", "expected"), EXACT, ids=[str(fields) for fields, _ in EXACT])
def test_rules_ring_as_rarely_as_can_be(fields: dict[str, Any], expected: set[str]) -> None:
    assert set(rules_for([make_task(**fields)], "UTC", now=NOW).values()) == expected


def test_tasks_of_one_cadence_share_its_rule() -> None:
    same = [make_task(id=f"t{n}", schedule="0 2 * * *", time_zone=zone) for n in range(5) for zone in ("UTC", "Africa/Abidjan")]
    assert list(rules_for(same, "UTC", now=NOW).values()) == ["cron(0 2 * * ? *)"]


def test_default_zone_is_of_tasks_that_name_none() -> None:
    assert list(rules_for([make_task(schedule="0 2 * * *")], "Asia/Tokyo", now=NOW).values()) == ["cron(0 17 * * ? *)"]


def test_name_stands_for_the_expression() -> None:
    one, other = make_task(schedule="0 2 * * *"), make_task(schedule="0 3 * * *")
    alone, both = rules_for([one], "UTC", now=NOW), rules_for([other, one], "UTC", now=NOW + 86_400_000)
    assert alone.items() < both.items()
    assert all(name.isalnum() and len(name) == 12 for name in both)


def many_tasks(count: int) -> list[Task]:
    chance = random.Random(7)
    days = ["* * *", "* * MON-FRI", "* * 1", "1 * *", "L * *", "* 6-8 *", "15 * 5"]
    names = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"]
    return [
        make_task(
            id=f"t{n}",
            schedule=f"{chance.randrange(60)} {chance.randrange(24)} {chance.choice(days)}",
            time_zone=chance.choice(names),
        )
        for n in range(count)
    ]


@pytest.mark.parametrize(("count", "budget"), [(80, 20), (150, 100), (1_000, 100), (1_000, 1)])
def test_too_many_cadences_become_coarser_ones_within_the_budget(count: int, budget: int) -> None:
    tasks = many_tasks(count)
    rules = rules_for(tasks, "UTC", now=NOW, budget=budget)
    assert 0 < len(rules) <= budget
    for task in tasks[::7]:
        fire = next_fire(task, "UTC", NOW)
        assert fire is not None
        expect_cover(task, rules.values(), [fire.at])
