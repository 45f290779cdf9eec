"""The week's layout: entries by hour, what fires often as a line, nothing that grows with the number of fires."""

from __future__ import annotations

from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from chalicelib.domain.clock import parse_iso
from chalicelib.domain.timetable import Fire
from chalicelib.web.calendar import WEEK_ENTRIES, Row, day_begins, grid, split, week_of

BERLIN, UTC = ZoneInfo("Europe/Berlin"), ZoneInfo("UTC")
WEEK = week_of(date(2026, 1, 8))
NOW = parse_iso("2026-01-08T12:30:00Z")


def at(text: str) -> Fire:
    return Fire(parse_iso(f"2026-01-{text}:00Z"))


def drawn(fires: dict[str, list[Fire]], zone: ZoneInfo = UTC, days: Any = WEEK, **more: Any) -> list[Row]:
    return grid(days, fires, zone, NOW, resolve=lambda entries: (), **more)


def entries(rows: list[Row]) -> dict[tuple[str, int], list[str]]:
    """(row, day of the week) -> task ids."""
    return {(r.label, n): [e.task_id for e in c.entries] for r in rows for n, c in enumerate(r.cells) if c.entries}


def test_a_week_begins_on_monday() -> None:
    assert [d.day for d in week_of(date(2026, 1, 11))] == [5, 6, 7, 8, 9, 10, 11]


def test_a_day_begins_when_the_zone_says_so_also_when_clocks_change() -> None:
    assert day_begins(date(2026, 1, 5), BERLIN) == parse_iso("2026-01-04T23:00:00Z")
    assert day_begins(date(2026, 3, 30), BERLIN) - day_begins(date(2026, 3, 29), BERLIN) == 23 * 3_600_000


def test_fires_stand_in_their_hour_on_the_zones_clock() -> None:
    rows = drawn({"a": [at("05T23:30")], "b": [at("06T23:10"), at("06T23:20")]}, BERLIN)
    assert entries(rows) == {("00", 1): ["a"], ("00", 2): ["b"]}
    assert rows[0].cells[2].entries[0].at == [at("06T23:10").at, at("06T23:20").at]


def test_hours_without_a_fire_are_one_row_and_now_is_marked_in_it() -> None:
    rows = drawn({"a": [at("05T02:00"), at("06T20:00")]})
    assert [row.label for row in rows] == ["00–01", "02", "03–19", "20", "21–23"]
    assert [row.blank for row in rows] == [True, False, True, False, True]
    assert rows[2].cells[3].now == round(9.5 / 17, 3)
    assert sum(cell.now is not None for row in rows for cell in row.cells) == 1


def test_a_full_hour_shows_a_few_and_failures_among_them() -> None:
    fires = {f"t{n:02}": [at("06T02:00")] for n in range(30)}
    (row,) = [r for r in drawn(fires, failed={("t29", at("06T02:00").at)}) if not r.blank]
    cell = row.cells[1]
    assert [e.task_id for e in cell.entries] == ["t00", "t01", "t02", "t29"]
    assert (len(cell.entries), cell.more) == (WEEK_ENTRIES, 26)
    (whole,) = [r for r in drawn(fires, days=[date(2026, 1, 6)]) if not r.blank]
    assert (len(whole.cells[0].entries), whole.cells[0].more) == (30, 0)


def test_what_fires_often_is_counted_by_day() -> None:
    every5 = [Fire(parse_iso("2026-01-05T00:00:00Z") + n * 300_000) for n in range(2016)]
    rare, often = split({"often": every5, "rare": [at("06T02:00")], "never": []}, UTC)
    assert list(rare) == ["rare"]
    assert often["often"] == dict.fromkeys(WEEK, 288)


def test_a_fire_that_never_was_goes() -> None:
    rows = grid(WEEK, {"a": [at("06T02:00")], "b": [at("06T02:10")]}, UTC, NOW, resolve=lambda all: {id(all[0])})
    assert entries(rows) == {("02", 1): ["b"]}


def test_of_several_fires_in_an_hour_a_failure_is_told_else_the_latest_that_was() -> None:
    fires = {"a": [at("06T02:00"), at("06T02:20"), at("06T02:40")], "b": [at("08T12:00"), at("08T12:20"), at("08T12:40")]}
    rows = drawn(fires, failed={("a", at("06T02:20").at)})
    told = {e.task_id: (e.told, e.state) for row in rows for cell in row.cells for e in cell.entries}
    assert told == {"a": (at("06T02:20").at, "failed"), "b": (at("08T12:20").at, "")}
