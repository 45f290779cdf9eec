"""Cron as everybody knows it, and clocks that change."""

from __future__ import annotations

import re

import pytest

from chalicelib.domain.clock import iso, parse_iso
from chalicelib.domain.cron import cron_of
from chalicelib.domain.timetable import check_schedule, check_zone, describe, next_fire

from .makers import make_task

GOOD = [
    "* * * * *", "0 2 * * *", "*/5 * * * *", "0 0 * * 0", "0 0 * * 7", "0 9 * * MON-FRI", "0 9 * * fri-sun", "0 0 1 jan,JUL *",
    "0 0-6/2 * * *", "5/15 * * * *", "0,30 8-18 1,15 * 1-5", "0 0 29 2 *", "0 0 31 2 1", "59 23 31 12 *", "  0  2 * * * ",
    "0 0 L * *", "0 0 15,L * *", "0 0 lw * *", "0 0 * * MON#2", "0 0 * * 5#5", "0 0 * * fril", "0 0 * * 7L", "0 0 29 2 MON",
    "@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly", "@Hourly",
]  # fmt: skip

BAD = [
    ("", "like '0 2 * * *'"),
    ("* * * *", "4 fields instead of five"),
    ("0 0 2 * * *", "6 fields instead of five"),
    ("60 * * * *", "'60' is no minute: 0-59"),
    ("* 24 * * *", "'24' is no hour: 0-23"),
    ("* * 0 * *", "'0' is no day of month: 1-31"),
    ("* * * 13 *", "'13' is no month: 1-12 or JAN-DEC"),
    ("* * * * 8", "'8' is no day of week: 0-7 or SUN-SAT"),
    ("* * * foo *", "'FOO' is no month"),
    ("mon * * * *", "'MON' is no minute"),
    ("5-1 * * * *", "runs upwards"),
    ("*/0 * * * *", "steps of 0"),
    ("*/60 * * * *", "steps of 60"),
    ("1,,2 * * * *", "'' is no minute"),
    ("-1 * * * *", "'-1' is no minute"),
    ("1- * * * *", "'1-' is no minute"),
    ("0 0 * * L", "'L' is no day of week"),
    ("0 0 * * MON#6", "'MON#6' is no day of week: 0-7 or SUN-SAT"),
    ("0 0 * * 8L", "'8L' is no day of week"),
    ("0 0 L-3 * *", "'L' is no day of month"),
    ("0 0 WL * *", "'WL' is no day of month"),
    ("0 L * * *", "'L' is no hour"),
    ("0 0 15W * *", "'15W' is no day of month"),
    ("0 0 31 2 *", "never fires"),
    ("0 0 30 FEB *", "never fires"),
    ("0 0 31 4,6,9,11 *", "never fires"),
    ("@reboot", "'@reboot' is not a nickname: there are @yearly"),
    ("daily", "1 field instead of five"),
]


@pytest.mark.parametrize("schedule", GOOD)
def test_schedule_is_accepted_and_described(schedule: str) -> None:
    check_schedule(schedule)
    task = make_task(schedule=schedule)
    assert next_fire(task, "UTC", parse_iso("2026-01-01T00:00:00Z")) is not None
    assert (describe(task, "UTC") or "").endswith(", UTC")


@pytest.mark.parametrize(("schedule", "message"), BAD)
def test_schedule_is_refused_with_what_would_be_right(schedule: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        check_schedule(schedule)


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu"])
def test_zone_is_accepted(zone: str) -> None:
    check_zone(zone)


@pytest.mark.parametrize(
    "zone", ["", "Europe", "Europe/Berlln", "europe/berlin", "CEST", "+02:00", "/etc/passwd", "../UTC", "a\x00"]
)
def test_zone_is_refused(zone: str) -> None:
    with pytest.raises(ValueError, match="is not an IANA time zone"):
        check_zone(zone)


def test_refused_zone_names_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"did you mean Europe/Berlin\?"):
        check_zone("Europe/Berlln")


def fires(schedule: str, zone: str, after: str, count: int) -> list[str]:
    """The fires after an instant, as `MM-DDTHH:MM` in UTC."""
    found, instant = [], parse_iso(after)
    for _ in range(count):
        following = next_fire(make_task(schedule=schedule), zone, instant)
        assert following is not None
        assert following.at > instant
        found.append(iso(following.at)[5:16])
        instant = following.at
    return found


# schedule, zone, after, the fires in UTC
TABLE = [
    ("*/15 * * * *", "UTC", "2026-01-01T00:00:00Z", ["01-01T00:15", "01-01T00:30", "01-01T00:45", "01-01T01:00"]),
    ("0 2 * * *", "UTC", "2026-01-01T02:00:00Z", ["01-02T02:00", "01-03T02:00"]),
    ("0 2 * * *", "UTC", "2026-01-01T01:59:59.999Z", ["01-01T02:00"]),
    ("0 0 * * 0", "UTC", "2026-01-01T00:00:00Z", ["01-04T00:00", "01-11T00:00"]),
    ("0 0 * * 7", "UTC", "2026-01-01T00:00:00Z", ["01-04T00:00", "01-11T00:00"]),
    ("0 0 * * FRI-SUN", "UTC", "2026-01-01T00:00:00Z", ["01-02T00:00", "01-03T00:00", "01-04T00:00", "01-09T00:00"]),
    ("0 0 13 * FRI", "UTC", "2026-01-01T00:00:00Z", ["01-02T00:00", "01-09T00:00", "01-13T00:00", "01-16T00:00"]),  # or, not and
    ("0 0 29 2 *", "UTC", "2026-01-01T00:00:00Z", ["02-29T00:00", "02-29T00:00"]),
    ("@monthly", "Asia/Kathmandu", "2026-01-01T00:00:00Z", ["01-31T18:15", "02-28T18:15"]),
    # Berlin goes forward on 29 March 2026 at 2:00 (01:00 UTC): what is skipped comes once, just after the gap.
    ("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", ["03-29T01:00", "03-30T00:30"]),
    ("*/15 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", ["03-29T01:00", "03-30T00:00"]),
    ("30 2,3 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", ["03-29T01:00", "03-29T01:30", "03-30T00:30"]),
    ("0 */2 * * *", "Europe/Berlin", "2026-03-28T22:30:00Z", ["03-28T23:00", "03-29T01:00", "03-29T02:00"]),
    ("30 * * * *", "Europe/Berlin", "2026-03-29T00:00:00Z", ["03-29T00:30", "03-29T01:30", "03-29T02:30"]),
    # and back on 25 October 2026 at 3:00 (01:00 UTC): what is repeated comes the first time only; hourly goes on hourly.
    ("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", ["10-25T00:30", "10-26T01:30"]),
    ("30 2 * * *", "Europe/Berlin", "2026-10-25T00:40:00Z", ["10-26T01:30"]),
    ("30 2 * * *", "Europe/Berlin", "2026-10-25T01:10:00Z", ["10-26T01:30"]),
    ("*/30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", ["10-25T00:00", "10-25T00:30", "10-26T01:00"]),
    ("30 * * * *", "Europe/Berlin", "2026-10-25T00:00:00Z", ["10-25T00:30", "10-25T01:30", "10-25T02:30"]),
    # half an hour, and a gap at midnight
    ("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T00:00:00Z", ["10-03T15:30", "10-04T15:15"]),
    ("0 0 * * *", "America/Santiago", "2026-09-05T12:00:00Z", ["09-06T04:00", "09-07T03:00"]),
    # a whole day skipped
    ("0 5 30 12 *", "Pacific/Apia", "2011-12-01T00:00:00Z", ["12-30T10:00", "12-29T15:00"]),
]  # fmt: skip


@pytest.mark.parametrize(("schedule", "zone", "after", "expected"), TABLE)
def test_fires(schedule: str, zone: str, after: str, expected: list[str]) -> None:
    assert fires(schedule, zone, after, len(expected)) == expected


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Australia/Lord_Howe", "America/Santiago", "UTC"])
def test_daily_schedule_fires_once_on_every_day_of_the_year(zone: str) -> None:
    for schedule in ("0 0 * * *", "15 2 * * *", "59 23 * * *"):
        days = fires(schedule, zone, "2025-12-31T12:00:00Z", 365)
        assert len(set(days)) == 365


def test_description_is_in_words() -> None:
    assert describe(make_task(schedule="0 2 * * *"), "Europe/Berlin") == "At 02:00, Europe/Berlin"
    assert describe(make_task(schedule="*/5 * * * *"), "UTC") == "Every 5 minutes, UTC"
    assert describe(make_task(schedule="@weekly"), "UTC") == "At 00:00, only on Sunday, UTC"
    assert describe(make_task(schedule="0 0 13 * 5"), "UTC") == "At 00:00, on day 13 of the month, or on Friday, UTC"
    assert describe(make_task(schedule="0 0 L * *"), "UTC") == "At 00:00, on the last day of the month, UTC"


def test_names_become_numbers() -> None:
    assert cron_of("0 9 * jan-MAR mon,SUN") == "0 9 * 1-3 1,0"
