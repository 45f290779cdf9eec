"""Cron expressions: their grammar, and the instants that one names in a time zone.

Cron is the classic one of five fields; day-of-month OR day-of-week when both are given. A schedule names wall-clock times of its
zone: one that the zone skips (clocks go forward) fires just after the gap, one that comes twice fires the first time only. `*` as
the hour means every hour that passes, on whichever clock.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from chalicelib.domain.zones import changes, instant_of, offset_at

NICKNAMES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}

_MONTHS = {
    name: n for n, name in enumerate(["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"], 1)
}
_DAYS = {name: n for n, name in enumerate(["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"])}
_FIELDS: tuple[tuple[str, int, int, dict[str, int], str], ...] = (
    ("minute", 0, 59, {}, "0-59, like 30, */5 or 0,30"),
    ("hour", 0, 23, {}, "0-23, like 2, */6 or 8-18"),
    ("day of month", 1, 31, {}, "1-31, like 1, */2 or 1,15, or L for the last day and LW for the last working day"),
    ("month", 1, 12, _MONTHS, "1-12 or JAN-DEC, like 6, */3 or JAN,JUL"),
    ("day of week", 0, 7, _DAYS, "0-7 or SUN-SAT (0 and 7 are Sunday), like 1, MON-FRI, FRI#2 (the second) or FRIL (the last)"),
)
_TERM = re.compile(r"(?:(\*)|([0-9A-Z]+)(?:-([0-9A-Z]+))?)(?:/([0-9]+))?")
_NTH_DAY = re.compile(r"([0-7]|SUN|MON|TUE|WED|THU|FRI|SAT)(L|#[1-5])")


@dataclass(frozen=True)
class Days:
    """A day-of-week field: which days (0 is Sunday), and among them those of which only some count."""

    all: frozenset[int]
    some: frozenset[tuple[int, int]]  # (day, its number within the month; below 0: the last)


@dataclass(frozen=True)
class Cron:
    """What an expression allows, field by field. `last_days`: the month's last day or last working day, as L and LW say."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    last_days: bool
    last_workday: bool
    months: frozenset[int]
    weekdays: Days
    both: bool  # a day has to fit day-of-month and day-of-week; False: one of them

    @property
    def every_hour(self) -> bool:
        """Whether it counts real time instead of the clock's."""
        return len(self.hours) == 24


def check_schedule(text: str) -> None:
    """Raise ValueError, with an example of a right one, unless this is a schedule that fires some day."""
    from cronsim import CronSim, CronSimError

    try:
        next(CronSim(cron_of(text), datetime(2024, 1, 1)))
    except (CronSimError, StopIteration):
        raise ValueError(
            f"'{text}' never fires: no month of it has such a day; days up to 28 are in each, L is the last, like '0 2 L * *'"
        ) from None


@lru_cache(maxsize=1024)
def cron_of(text: str) -> str:
    """The five fields of a schedule, with names as numbers. Raises ValueError, with an example of a right one."""
    if not isinstance(text, str) or not text.strip():
        raise ValueError("a schedule is a cron expression like '0 2 * * *' (daily at 2:00)")
    stripped = text.strip()
    if stripped.startswith("@"):
        if stripped.lower() not in NICKNAMES:
            raise ValueError(f"'{stripped}' is not a nickname: there are {', '.join(NICKNAMES)}")
        return NICKNAMES[stripped.lower()]
    fields = stripped.upper().split()
    if len(fields) != 5:
        raise ValueError(
            f"'{stripped}' has {len(fields)} field{'s' * (len(fields) != 1)} instead of five: "
            "minute, hour, day of month, month, day of week, like '0 2 * * *' (daily at 2:00)"
        )
    return " ".join(_field(field, *bounds) for field, bounds in zip(fields, _FIELDS, strict=True))


@lru_cache(maxsize=1024)
def parse(text: str) -> Cron:
    """What a schedule allows. Raises ValueError like `cron_of`."""
    from cronsim import CronSim

    read = CronSim(cron_of(text), datetime(2024, 1, 1))
    plain = frozenset(day % 7 for day in read.weekdays if isinstance(day, int))
    some = frozenset((day[0] % 7, day[1]) for day in read.weekdays if isinstance(day, tuple))
    return Cron(
        frozenset(read.minutes),
        frozenset(read.hours),
        frozenset(day for day in read.days if day > 0),
        CronSim.LAST in read.days,
        CronSim.LAST_WEEKDAY in read.days,
        frozenset(read.months),
        Days(plain, some),
        read.day_and,
    )


@lru_cache(maxsize=256)
def weekdays_of(text: str) -> frozenset[int]:
    """The days of `MON-FRI` or `SAT,SUN`, 0 is Sunday. Raises ValueError, with an example of a right one."""
    if nth := _NTH_DAY.search(text.upper()):
        raise ValueError(f"'{nth[0]}' is no day of each week: 0-7 or SUN-SAT, like MON-FRI or SAT,SUN")
    field = _field(text.upper().replace(" ", ""), *_FIELDS[4])
    return parse(f"0 0 * * {field}").weekdays.all


def cron_fires(schedule: str, zone: ZoneInfo, after_ms: int) -> Iterator[int]:
    """The instants of a schedule later than one, in epoch milliseconds, ascending; ends after 50 years without any."""
    after = datetime.fromtimestamp(after_ms / 1000, UTC)
    find = _real_fires if parse(schedule).every_hour else _wall_fires
    for instant in find(cron_of(schedule), zone, after):
        if instant > after:
            after = instant
            yield round(instant.timestamp() * 1000)


def _wall_fires(expression: str, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    """Each wall-clock time in turn, then its instant: skipped ones come several at once."""
    from cronsim import CronSim

    for wall in CronSim(expression, after.astimezone(zone).replace(tzinfo=None)):
        yield instant_of(wall, zone)


def _real_fires(expression: str, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    """Real time, whose hours carry on across a change of the clocks: from change to change with one offset."""
    from cronsim import CronSim

    begin = after
    while True:
        offset = timedelta(minutes=offset_at(zone, after))
        for wall in CronSim(expression, (begin + offset).replace(tzinfo=None)):
            instant = wall.replace(tzinfo=UTC) - offset
            change = next(changes(zone, after, instant), None)
            if change is not None:
                after, begin = change.at, change.at - timedelta(seconds=1)  # a fire at the very change is one
                break
            after = instant
            yield instant
        else:
            return


def has_day(schedule: str, day: date) -> bool:
    """Whether a schedule fires on a date."""
    from cronsim import CronSim

    read = CronSim(cron_of(schedule), datetime(2024, 1, 1))
    return day.month in read.months and bool(read.match_day(day))


def _field(field: str, name: str, low: int, high: int, names: dict[str, int], sample: str) -> str:
    return ",".join(_term(term, name, low, high, names, sample) for term in field.split(","))


def _term(term: str, field: str, low: int, high: int, names: dict[str, int], sample: str) -> str:
    """One entry of a list: `*`, `5`, `MON-FRI`, `*/10`, `0-30/5`, `L`, `FRI#2`."""
    if field == "day of month" and term in ("L", "LW"):
        return term
    if names is _DAYS and (nth := _NTH_DAY.fullmatch(term)):
        return f"{names.get(nth[1], nth[1])}{nth[2]}"
    match = _TERM.fullmatch(term)
    if match is None:
        raise ValueError(f"'{term}' is no {field}: {sample}")
    star, first, last, step = match.groups()
    if step is not None and (len(step) > 4 or not 1 <= int(step) <= high):
        raise ValueError(f"'{term}': the {field} cannot go in steps of {step}: {sample}")
    suffix = f"/{int(step)}" if step else ""
    if star:
        return f"*{suffix}"
    begin = _number(first, field, low, high, names, sample)
    if last is None:
        return f"{begin}{suffix}"
    end = _number(last, field, low, high, names, sample)
    if names is _DAYS and end == 0:  # FRI-SUN: here Sunday ends the week
        end = 7
    if end < begin:
        raise ValueError(f"'{term}': a range of the {field} runs upwards: {sample}")
    return f"{begin}-{end}{suffix}"


def _number(text: str, field: str, low: int, high: int, names: dict[str, int], sample: str) -> int:
    if text in names:
        return names[text]
    if not text.isdigit() or len(text) > 4 or not low <= int(text) <= high:
        raise ValueError(f"'{text}' is no {field}: {sample}")
    return int(text)
