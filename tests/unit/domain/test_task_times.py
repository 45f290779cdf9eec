"""Periods, single instants, bounds, delays and blackouts, alone and together."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from chalicelib.domain.cron import parse
from chalicelib.domain.timetable import blackout_at, delay_of, describe, fires_between, has_schedule, next_fire

from .makers import first, make_task, ms, utc

FAR = ms("2100-01-01 00:00")


def fires(after: str, count: int, zone: str = "UTC", **fields: Any) -> list[str]:
    """The first fires at or after an instant."""
    return first(fires_between(make_task(**fields), zone, ms(after), FAR), count)


def test_period_is_counted_from_1970() -> None:
    assert fires("2026-06-01 00:10", 3, every="90m") == ["2026-06-01 01:30", "2026-06-01 03:00", "2026-06-01 04:30"]
    assert fires("2026-06-01 00:00", 2, every="1d") == ["2026-06-01 00:00", "2026-06-02 00:00"]


def test_period_is_counted_from_the_start_where_there_is_one() -> None:
    assert fires("2020-01-01 00:00", 2, every="7h", start="2026-06-01T10:05Z") == ["2026-06-01 10:05", "2026-06-01 17:05"]
    assert fires("2026-06-01 17:06", 1, every="7h", start="2026-06-01T10:05Z") == ["2026-06-02 00:05"]
    assert fires("2020-01-01 00:00", 1, "Europe/Berlin", every="1d", start="2026-06-01") == ["2026-05-31 22:00"]


def test_period_is_real_time_whatever_the_clocks_do() -> None:
    found = fires("2026-03-28 20:00", 4, "Europe/Berlin", every="12h", start="2026-03-28")
    assert found == ["2026-03-28 23:00", "2026-03-29 11:00", "2026-03-29 23:00", "2026-03-30 11:00"]


def test_single_instants_stand_in_the_tasks_zone_unless_they_bring_an_offset() -> None:
    at = ["2026-12-24T18:00", "2026-12-24T18:00Z", "2026-12-24T18:00-05:00", "2026-12-23"]
    assert fires("2026-01-01 00:00", 9, at=at, time_zone="Europe/Berlin") == [
        "2026-12-22 23:00", "2026-12-24 17:00", "2026-12-24 18:00", "2026-12-24 23:00"
    ]  # fmt: skip
    assert next_fire(make_task(at=at), "UTC", ms("2026-12-25 00:00")) is None


def test_single_instant_that_the_clocks_skip_or_repeat() -> None:
    assert fires("2026-01-01 00:00", 1, "Europe/Berlin", at="2026-03-29T02:30") == ["2026-03-29 01:00"]
    assert fires("2026-01-01 00:00", 1, "Europe/Berlin", at="2026-10-25T02:30") == ["2026-10-25 00:30"]


def test_instant_beside_a_schedule_that_has_it_fires_once() -> None:
    found = fires("2026-06-01 00:00", 3, schedule="0 2 * * *", at=["2026-06-01T02:00", "2026-06-01T05:00"])
    assert found == ["2026-06-01 02:00", "2026-06-01 05:00", "2026-06-02 02:00"]


def test_nothing_fires_before_start_or_after_end() -> None:
    bounded = {"schedule": "0 0,12 * * *", "start": "2026-06-02", "end": "2026-06-03", "time_zone": "Europe/Berlin"}
    assert fires("2026-01-01 00:00", 9, **bounded) == [
        "2026-06-01 22:00", "2026-06-02 10:00", "2026-06-02 22:00", "2026-06-03 10:00"
    ]  # fmt: skip
    exact = {"schedule": "0 * * * *", "start": "2026-06-02T10:00Z", "end": "2026-06-02T12:00Z"}
    assert fires("2026-01-01 00:00", 9, **exact) == ["2026-06-02 10:00", "2026-06-02 11:00", "2026-06-02 12:00"]


def test_delay_is_the_same_for_every_fire_and_lies_within_the_spread() -> None:
    delays = set()
    for number in range(300):
        task = make_task(id=f"t{number}", schedule="0 2 * * *", spread="10m")
        found = list(fires_between(task, "UTC", ms("2026-06-01 00:00"), ms("2026-06-04 00:00")))
        assert len(found) == 3
        assert {after.at - before.at for before, after in pairwise(found)} == {86_400_000}
        delays.add(found[0].at - ms("2026-06-01 02:00"))
    assert delays == {minute * 60_000 for minute in range(11)}, "whole minutes from none to ten, all of them taken"


def test_delay_counts_towards_the_bounds_and_not_for_single_instants() -> None:
    late = next(f"t{n}" for n in range(100) if delay_of(make_task(id=f"t{n}", spread="30m")) == 20 * 60_000)
    delayed = {"id": late, "spread": "30m"}
    assert fires("2026-01-01 00:00", 2, schedule="0 * * * *", start="2026-06-01T10:10Z", **delayed)[0] == "2026-06-01 10:20"
    assert fires("2026-06-01 00:00", 9, schedule="0 9 * * *", end="2026-06-01T09:10Z", **delayed) == []
    assert fires("2026-06-01 00:00", 1, at="2026-06-01T09:00Z", **delayed) == ["2026-06-01 09:00"]
    assert fires("2026-06-01 00:00", 1, every="1d", start="2026-06-01", **delayed) == ["2026-06-01 00:20"]


def test_fires_between_is_half_open_and_bounded() -> None:
    task = make_task(schedule="0 * * * *")
    window = fires_between(task, "UTC", ms("2026-06-01 00:00"), ms("2026-06-01 03:00"))
    assert [utc(fire.at) for fire in window] == ["2026-06-01 00:00", "2026-06-01 01:00", "2026-06-01 02:00"]
    assert len(list(fires_between(task, "UTC", ms("2026-06-01 00:00"), FAR, most=7))) == 7


def test_task_without_a_schedule_has_no_fires() -> None:
    task = make_task(spread="10m", start="2026-01-01")
    assert not has_schedule(task)
    assert next_fire(task, "UTC", 0) is None
    assert describe(task, "UTC") is None


# windows, instant in Berlin's summer (UTC + 2), the reason
BLACKOUTS = [
    ([{"from": "22:00", "to": "06:00"}], "2026-06-03 20:00", "22:00-06:00"),
    ([{"from": "22:00", "to": "06:00"}], "2026-06-03 19:59", None),
    ([{"from": "22:00", "to": "06:00"}], "2026-06-03 03:59", "22:00-06:00"),
    ([{"from": "22:00", "to": "06:00"}], "2026-06-03 04:00", None),
    ([{"from": "9:00", "to": "17:30"}], "2026-06-03 07:00", "9:00-17:30"),
    ([{"from": "9:00", "to": "17:30"}], "2026-06-03 15:30", None),
    ([{"from": "18:00", "to": "24:00"}], "2026-06-03 21:59", "18:00-24:00"),
    ([{"from": "18:00", "to": "24:00"}], "2026-06-03 22:00", None),
    # 5 June 2026 is a Friday: the night that begins on it reaches into Saturday
    ([{"from": "22:00", "to": "06:00", "days": "FRI"}], "2026-06-05 22:30", "22:00-06:00 on Friday"),
    ([{"from": "22:00", "to": "06:00", "days": "FRI"}], "2026-06-05 03:00", None),
    ([{"from": "22:00", "to": "06:00", "days": "FRI"}], "2026-06-06 20:30", None),
    ([{"days": "SAT,SUN"}], "2026-06-05 22:00", "Saturday and Sunday"),
    ([{"days": "SAT,SUN"}], "2026-06-07 22:00", None),
    ([{"days": ["sat", 0]}], "2026-06-07 21:59", "Saturday and Sunday"),
    ([{"from": "2026-12-24", "to": "2026-12-27"}], "2026-12-23 23:00", "2026-12-24 to 2026-12-27"),
    ([{"from": "2026-12-24", "to": "2026-12-27"}], "2026-12-27 22:59", "2026-12-24 to 2026-12-27"),
    ([{"from": "2026-12-24", "to": "2026-12-27"}], "2026-12-27 23:00", None),
    ([{"from": "2026-12-24", "to": "2026-12-24"}], "2026-12-24 12:00", "2026-12-24 to 2026-12-24"),
    ([{"from": "2026-06-01", "to": "2026-06-30", "days": "MON-FRI"}], "2026-06-03 12:00", "2026-06-01 to 2026-06-30 on Monday to Friday"),
    ([{"from": "2026-06-01", "to": "2026-06-30", "days": "MON-FRI"}], "2026-06-06 12:00", None),
    ([{"from": "2026-06-03T10:00", "to": "2026-06-03T12:00"}], "2026-06-03 08:00", "2026-06-03T10:00 to 2026-06-03T12:00"),
    ([{"from": "2026-06-03T10:00", "to": "2026-06-03T12:00"}], "2026-06-03 10:00", None),
    ([{"from": "2026-06-03T10:00Z", "to": "2026-06-03T12:00Z"}], "2026-06-03 10:00", "2026-06-03T10:00Z to 2026-06-03T12:00Z"),
    ([{"days": "MON"}, {"days": "WED", "reason": "market day"}], "2026-06-03 12:00", "market day"),
]  # fmt: skip


@pytest.mark.parametrize(("windows", "at", "reason"), BLACKOUTS)
def test_blackout(windows: list[dict[str, Any]], at: str, reason: str | None) -> None:
    task = make_task(time_zone="Europe/Berlin", **{"except": windows})
    assert blackout_at(task, "UTC", ms(at)) == reason


def test_fires_in_a_blackout_are_fires_that_say_so() -> None:
    task = make_task(schedule="0 */6 * * *", **{"except": [{"from": "05:00", "to": "13:00"}]})
    found = [(utc(f.at)[11:], f.blackout) for f in fires_between(task, "UTC", ms("2026-06-01 00:00"), ms("2026-06-02 00:00"))]
    assert found == [("00:00", None), ("06:00", "05:00-13:00"), ("12:00", "05:00-13:00"), ("18:00", None)]


def test_blackout_is_of_the_instant_with_its_delay() -> None:
    late = next(f"t{n}" for n in range(100) if delay_of(make_task(id=f"t{n}", spread="30m")) == 20 * 60_000)
    task = make_task(id=late, schedule="0 6 * * *", spread="30m", **{"except": [{"from": "06:10", "to": "07:00"}]})
    fire = next_fire(task, "UTC", ms("2026-06-01 00:00"))
    assert fire is not None
    assert (utc(fire.at), fire.blackout) == ("2026-06-01 06:20", "06:10-07:00")


DESCRIPTIONS: list[tuple[dict[str, Any], str]] = [
    ({"every": "90m"}, "Every 1h30m"),
    ({"every": "1d", "start": "2026-01-01"}, "Every 1d, from 2026-01-01"),
    ({"at": "2026-12-24T18:00"}, "Once at 2026-12-24 18:00, Europe/Berlin"),
    ({"at": [f"2026-12-{day}" for day in (10, 11, 12, 13, 14)]}, "Once at 2026-12-10 and 2026-12-11 and 2026-12-12 and 2 more, Europe/Berlin"),
    ({"schedule": "0 2 * * *", "at": "2026-12-24T18:00Z"}, "At 02:00, Europe/Berlin, and once at 2026-12-24 18:00Z"),
    ({"schedule": "0 2 * * *", "time_zone": "UTC", "end": "2026-12-31", "spread": "10m"}, "At 02:00, UTC, until 2026-12-31, spread over 10m"),
    ({"schedule": "@hourly", "except": [{"from": "22:00", "to": "06:00", "days": "MON-FRI"}, {"days": "SAT,SUN"}]},
     "Every hour, Europe/Berlin, except 22:00-06:00 on Monday to Friday and Saturday and Sunday"),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "words"), DESCRIPTIONS)
def test_description_says_all_of_it(fields: dict[str, Any], words: str) -> None:
    assert describe(make_task(**fields), "Europe/Berlin") == words


def test_every_hour_is_recognised_however_it_is_written() -> None:
    assert all(parse(f"0 {hours} * * *").every_hour for hours in ("*", "*/1", "0-23", "0-11,12-23"))
    assert not parse("0 */2 * * *").every_hour


def test_windows_are_dumped_as_they_are_written() -> None:
    window = {"from": "22:00", "to": "06:00", "days": "FRI"}
    task = make_task(**{"except": [window]})
    assert task.model_dump(exclude_defaults=True)["except"] == [window]
    assert type(task).model_validate(task.model_dump()) == task
    assert type(task).model_validate_json(task.model_dump_json()) == task
    assert make_task(blackouts=[window]) == task
