"""Time zones: the instant of a wall-clock time, and when a zone changes its clocks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

FIRST_YEAR, LAST_YEAR = 1970, 2199  # what EventBridge knows

_INSTANT = "2026-12-24T18:00 (in the task's zone) or 2026-12-24T17:00Z"


@dataclass(frozen=True)
class Change:
    """A zone's clocks are put forward or back at an instant; offsets from UTC in whole minutes."""

    at: datetime
    before: int
    after: int


def check_zone(name: str) -> None:
    """Raise ValueError unless this is an IANA time zone; it names the nearest one."""
    try:
        zone_of(name)
    except (KeyError, ValueError, OSError):
        from difflib import get_close_matches
        from zoneinfo import available_timezones

        by_lower = {zone.lower(): zone for zone in available_timezones()}
        near = get_close_matches(name.lower(), by_lower, 1, 0.7)
        advice = f"did you mean {by_lower[near[0]]}?" if near else "write it like Europe/Berlin or UTC"
        raise ValueError(f"'{name}' is not an IANA time zone: {advice}") from None


@lru_cache(maxsize=256)
def zone_of(name: str) -> ZoneInfo:
    """The zone of a name. Raises KeyError, ValueError or OSError for one that is none."""
    return ZoneInfo(name)


def instant_of(wall: datetime, zone: ZoneInfo) -> datetime:
    """The instant (UTC) of a naive wall-clock time: the first of two, and for one that is skipped the end of the gap."""
    instant = wall.replace(tzinfo=zone).astimezone(UTC)
    back = instant.astimezone(zone)
    if back.replace(tzinfo=None) == wall:
        return instant
    # Skipped. `instant` was made with the offset before the gap and lies after it, by less than the gap is long.
    return _change_between(instant - (back.replace(tzinfo=None) - wall), instant, zone)


@lru_cache(maxsize=4096)
def parse_instant(text: str, zone: ZoneInfo, *, day_end: bool = False) -> int:
    """Epoch milliseconds of a written date or instant, in the zone unless it brings an offset.

    A date is the beginning of its day, or with `day_end` the last millisecond. Raises ValueError with an example.
    """
    try:
        if is_date(text):
            day = date.fromisoformat(text)
            moment = datetime.combine(day + timedelta(days=day_end), time())
        else:
            moment, day_end = datetime.fromisoformat(text), False
    except (ValueError, OverflowError):
        raise ValueError(f"'{text}' is no instant: write it like {_INSTANT}") from None
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise ValueError(f"'{text}' is not between {FIRST_YEAR} and {LAST_YEAR}: write it like {_INSTANT}")
    instant = instant_of(moment, zone) if moment.tzinfo is None else moment
    return round(instant.timestamp() * 1000) - day_end


def is_date(text: str) -> bool:
    """Whether this is written as a date, without a time."""
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def changes(zone: ZoneInfo, after: datetime, until: datetime) -> Iterator[Change]:
    """The changes of a zone's clocks later than one instant and not later than another, in their order."""
    for year in range(after.astimezone(UTC).year, until.astimezone(UTC).year + 1):
        for change in _changes_in(zone, year):
            if after < change.at <= until:
                yield change


@lru_cache(maxsize=2048)
def _changes_in(zone: ZoneInfo, year: int) -> tuple[Change, ...]:
    """Those of a year in UTC; of several on one day the last."""
    found = []
    here = datetime(year, 1, 1, tzinfo=UTC) - timedelta(seconds=1)
    before = offset_at(zone, here)
    while here.year <= year:
        there = here + timedelta(days=1)
        after = offset_at(zone, there)
        if before != after:
            found.append(Change(_change_between(here, there, zone), before, after))
        here, before = there, after
    return tuple(change for change in found if change.at.year == year)


def offset_at(zone: ZoneInfo, instant: datetime) -> int:
    """Minutes that the zone is ahead of UTC."""
    offset = instant.astimezone(zone).utcoffset()
    assert offset is not None
    return round(offset.total_seconds() / 60)


def _change_between(low: datetime, high: datetime, zone: ZoneInfo) -> datetime:
    """The second at which the offset becomes what it is at `high`."""
    after = high.astimezone(zone).utcoffset()
    while high - low > timedelta(seconds=1):
        middle = low + (high - low) / 2
        if middle.astimezone(zone).utcoffset() == after:
            high = middle
        else:
            low = middle
    return high.replace(microsecond=0)
