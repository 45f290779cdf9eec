"""Blackouts: windows of time in which a task's fires are skipped."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from chalicelib.domain.cron import weekdays_of
from chalicelib.domain.model import Window
from chalicelib.domain.zones import is_date, parse_instant

EXAMPLES = "{from: '22:00', to: '06:00', days: MON-FRI}, {from: 2026-12-24, to: 2026-12-27} or {days: 'SAT,SUN'}"

_TIME = re.compile(r"(\d{1,2}):(\d{2})")
_DAY_NAMES = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")


def check_window(window: Window, zone: ZoneInfo) -> None:
    """Raise ValueError, with examples of right ones, unless there are instants in this window."""
    try:
        if window.days is not None:
            weekdays_of(window.days)
        if window.from_ is None and window.to is None:
            if window.days is None:
                raise ValueError("says neither from and to nor days")
            return
        if window.from_ is None or window.to is None:
            raise ValueError(f"has {'to' if window.from_ is None else 'from'} alone")
        kinds = {_kind(window.from_), _kind(window.to)}
        if len(kinds) > 1:
            raise ValueError(f"goes from a {_kind(window.from_)} to a {_kind(window.to)}")
        if kinds == {"time"}:
            if _minutes(window.from_) == _minutes(window.to):
                raise ValueError("ends when it begins")
            return
        if kinds == {"instant"} and window.days is not None:
            raise ValueError("narrows instants by days")
        first, last = _span(window, zone)
        if last < first:
            raise ValueError("ends before it begins")
    except ValueError as error:
        raise ValueError(f"{error}: write it like {EXAMPLES}") from None


def window_around(windows: list[Window], zone: ZoneInfo, at_ms: int) -> Window | None:
    """The first of some valid windows that an instant lies in."""
    if not windows:
        return None
    local = datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(zone)
    return next((window for window in windows if _holds(window, zone, local, at_ms)), None)


def window_text(window: Window) -> str:
    """`22:00-06:00 on Monday to Friday`, `2026-12-24 to 2026-12-27`, `Saturday and Sunday`."""
    days = days_text(weekdays_of(window.days)) if window.days is not None else ""
    if window.from_ is None:
        return days
    joint = "-" if _kind(window.from_) == "time" else " to "
    return f"{window.from_}{joint}{window.to}{' on ' if days else ''}{days}"


def days_text(days: frozenset[int]) -> str:
    """Days of the week in words; the week begins on Monday."""
    order = [day for day in (1, 2, 3, 4, 5, 6, 0) if day in days]
    names = [_DAY_NAMES[day] for day in order]
    row = [(day - 1) % 7 for day in order]
    if len(names) > 2 and row == list(range(row[0], row[0] + len(row))):
        return f"{names[0]} to {names[-1]}"
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _holds(window: Window, zone: ZoneInfo, local: datetime, at_ms: int) -> bool:
    day = local
    if window.from_ is not None:
        if _kind(window.from_) == "time":
            begin, end, now = _minutes(window.from_), _minutes(window.to), local.hour * 60 + local.minute
            if begin < end:
                inside = begin <= now < end
            else:
                inside = now >= begin or now < end
                day = local - timedelta(days=now < end)  # over midnight: the day on which it began counts
            if not inside:
                return False
        else:
            first, last = _span(window, zone)
            if not first <= at_ms <= last:
                return False
    return window.days is None or day.isoweekday() % 7 in weekdays_of(window.days)


def _span(window: Window, zone: ZoneInfo) -> tuple[int, int]:
    """First and last millisecond of a window of dates or instants."""
    assert window.from_ is not None
    assert window.to is not None
    first, last = parse_instant(window.from_, zone), parse_instant(window.to, zone, day_end=True)
    return first, last if is_date(window.to) else last - 1


def _kind(text: str) -> str:
    return "time" if _TIME.fullmatch(text) else "date" if is_date(text) else "instant"


def _minutes(text: str | None) -> int:
    """Minutes since midnight of `22:00`; 24:00 is the end of the day."""
    match = _TIME.fullmatch(text or "")
    if match is None or int(match[2]) > 59 or int(match[1]) * 60 + int(match[2]) > 1440:
        raise ValueError(f"'{text}' is no time of day")
    return int(match[1]) * 60 + int(match[2])
