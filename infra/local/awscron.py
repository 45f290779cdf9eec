"""AWS schedule expressions: cron(minutes hours day-of-month month day-of-week year) and rate(n unit), in UTC."""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

MONTHS = {"JANFEBMARAPRMAYJUNJULAUGSEPOCTNOVDEC"[3 * at : 3 * at + 3]: at + 1 for at in range(12)}
DAYS = {"SUNMONTUEWEDTHUFRISAT"[3 * at : 3 * at + 3]: at + 1 for at in range(7)}
UNITS = {"minute": 1, "hour": 60, "day": 1440}


def due(expression: str, minute: datetime) -> bool:
    """Whether the expression fires at this UTC minute. A rate counts from the epoch, so restarts do not shift it.

    Raises ValueError for an expression that is none.
    """
    kind, _, rest = expression.strip().partition("(")
    body = rest.rstrip(")").strip()
    if kind == "rate":
        return int(minute.timestamp() // 60) % rate_minutes(body) == 0
    if kind == "cron":
        return _parse(body).matches(minute)
    raise ValueError(f"not a schedule expression: {expression}")


def rate_minutes(text: str) -> int:
    """`5 minutes` -> 5."""
    count, _, unit = text.partition(" ")
    minutes = int(count) * UNITS.get(unit.strip().rstrip("s"), 0)
    if minutes <= 0:
        raise ValueError(f"not a rate: {text}")
    return minutes


@dataclass(frozen=True)
class Cron:
    minutes: frozenset[int]
    hours: frozenset[int]
    months: frozenset[int]
    years: frozenset[int]
    days: str
    weekdays: str

    def matches(self, at: datetime) -> bool:
        if at.minute not in self.minutes or at.hour not in self.hours:
            return False
        if at.month not in self.months or at.year not in self.years:
            return False
        if self.days not in ("?", "*"):
            return any(_is_day(part, at) for part in self.days.split(","))
        if self.weekdays not in ("?", "*"):
            return any(_is_weekday(part, at) for part in self.weekdays.split(","))
        return True


@lru_cache(maxsize=1000)
def _parse(text: str) -> Cron:
    fields = text.upper().split()
    if len(fields) != 6:
        raise ValueError(f"a cron expression has six fields: {text}")
    minutes, hours, days, months, weekdays, years = fields
    cron = Cron(
        _numbers(minutes, 0, 59),
        _numbers(hours, 0, 23),
        _numbers(months, 1, 12, MONTHS),
        _numbers(years, 1970, 2199),
        days,
        weekdays,
    )
    cron.matches(datetime(2024, 1, 1))  # a bad day field shows now, not on the day
    return cron


def _numbers(field: str, low: int, high: int, names: dict[str, int] | None = None) -> frozenset[int]:
    """The values of `*`, `*/5`, `1-5`, `1-10/2`, `MON,WED`; a range may wrap round."""
    found: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        if span in ("*", "?"):
            first, last = low, high
        elif "-" in span:
            left, _, right = span.partition("-")
            first, last = _number(left, names), _number(right, names)
        else:
            first = _number(span, names)
            last = high if step else first
        if not (low <= first <= high and low <= last <= high):
            raise ValueError(f"{part} is outside {low}-{high}")
        stride = int(step or 1)
        if first <= last:
            found.update(range(first, last + 1, stride))
        else:
            found.update(range(first, high + 1, stride), range(low, last + 1, stride))
    return frozenset(found)


def _number(text: str, names: dict[str, int] | None) -> int:
    return names[text] if names and text in names else int(text)


def _is_day(part: str, at: datetime) -> bool:
    last = calendar.monthrange(at.year, at.month)[1]
    if part == "L":
        return at.day == last
    if part == "LW":
        return at.day == _nearest_weekday(at, last, last)
    if part.startswith("L-"):
        return at.day == last - int(part[2:])
    if part.endswith("W"):
        return at.day == _nearest_weekday(at, int(part[:-1]), last)
    return at.day in _numbers(part, 1, 31)


def _nearest_weekday(at: datetime, day: int, last: int) -> int:
    weekday = calendar.weekday(at.year, at.month, min(day, last))
    if weekday == 5:
        return day - 1 if day > 1 else 3
    if weekday == 6:
        return day + 1 if day < last else last - 2
    return min(day, last)


def _is_weekday(part: str, at: datetime) -> bool:
    today = at.isoweekday() % 7 + 1  # Sunday is 1
    if part.endswith("L") and part != "L":
        last = calendar.monthrange(at.year, at.month)[1]
        return today == _number(part[:-1], DAYS) and at.day > last - 7
    if "#" in part:
        day, _, nth = part.partition("#")
        return today == _number(day, DAYS) and (at.day - 1) // 7 + 1 == int(nth)
    if part == "L":
        return today == 7
    return today in _numbers(part, 1, 7, DAYS)
