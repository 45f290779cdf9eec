"""When tasks fire: cron expressions, zones, and the next fire of the two.

Cron is the classic one of five fields; day-of-month OR day-of-week when both are given. A schedule names wall-clock times of its
zone: one that the zone skips (clocks go forward) fires just after the gap, one that comes twice fires the first time only. `*` as
the hour means every hour that passes, on whichever clock.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

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
    ("day of month", 1, 31, {}, "1-31, like 1, */2 or 1,15"),
    ("month", 1, 12, _MONTHS, "1-12 or JAN-DEC, like 6, */3 or JAN,JUL"),
    ("day of week", 0, 7, _DAYS, "0-7 or SUN-SAT (0 and 7 are Sunday), like 1, MON-FRI or 0,3"),
)
_TERM = re.compile(r"(?:(\*)|([0-9A-Z]+)(?:-([0-9A-Z]+))?)(?:/([0-9]+))?")


def check_schedule(text: str) -> None:
    """Raise ValueError, with an example of a right one, unless this is a schedule that fires some day."""
    expression = cron_of(text)
    from cronsim import CronSim, CronSimError

    try:
        next(CronSim(expression, datetime(2024, 1, 1)))
    except (CronSimError, StopIteration):
        raise ValueError(f"'{text}' never fires: no month of it has such a day; days up to 28 are in each") from None


def check_zone(name: str) -> None:
    """Raise ValueError unless this is an IANA time zone; it names the nearest one."""
    try:
        _zone(name)
    except (KeyError, ValueError, OSError):
        from difflib import get_close_matches
        from zoneinfo import available_timezones

        by_lower = {zone.lower(): zone for zone in available_timezones()}
        near = get_close_matches(name.lower(), by_lower, 1, 0.7)
        advice = f"did you mean {by_lower[near[0]]}?" if near else "write it like Europe/Berlin or UTC"
        raise ValueError(f"'{name}' is not an IANA time zone: {advice}") from None


def next_fire(schedule: str, zone: str, after_ms: int) -> int | None:
    """The first fire later than an instant, both in epoch milliseconds; None if there is none within 50 years."""
    from cronsim import CronSim

    expression, place = cron_of(schedule), _zone(zone)
    after = datetime.fromtimestamp(after_ms / 1000, UTC)
    local = after.astimezone(place)
    every_hour = expression.split()[1] == "*"
    # Every hour: count real time, also across a change of the clocks. Else look for the wall-clock time first,
    # then for its instant.
    for fire in CronSim(expression, local if every_hour else local.replace(tzinfo=None)):
        instant = fire.astimezone(UTC) if every_hour else _instant(fire, place)
        if instant > after:
            return round(instant.timestamp() * 1000)
    return None


def describe(schedule: str, zone: str) -> str:
    """The schedule in words: `At 02:00, Europe/Berlin`."""
    from cron_descriptor import Options, get_description  # type: ignore[import-untyped]

    options = Options()
    options.use_24hour_time_format = True
    return f"{get_description(cron_of(schedule), options)}, {zone}"


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
    return " ".join(
        ",".join(_term(term, *bounds) for term in field.split(",")) for field, bounds in zip(fields, _FIELDS, strict=True)
    )


def _term(term: str, field: str, low: int, high: int, names: dict[str, int], sample: str) -> str:
    """One entry of a list: `*`, `5`, `MON-FRI`, `*/10`, `0-30/5`."""
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


@lru_cache(maxsize=256)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def _instant(wall: datetime, zone: ZoneInfo) -> datetime:
    """The instant of a wall-clock time: the first of two, and for one that is skipped the end of the gap."""
    here = wall.replace(tzinfo=zone)
    instant = here.astimezone(UTC)
    back = instant.astimezone(zone)
    if back.replace(tzinfo=None) == wall:
        return instant
    # Skipped. Before the gap the offset was `here`'s, after it `back`'s: the gap ends where wall - gap becomes real again.
    low, high = instant - (back.replace(tzinfo=None) - wall), instant
    while (high - low).total_seconds() > 1:
        middle = low + (high - low) / 2
        if middle.astimezone(zone).utcoffset() == back.utcoffset():
            high = middle
        else:
            low = middle
    return high.replace(microsecond=0)
