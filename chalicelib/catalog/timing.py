"""When and how often a task may run, against its rules: what the model's types do not see."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice, pairwise
from typing import Any
from zoneinfo import ZoneInfo

from chalicelib.catalog.faults import Fault
from chalicelib.domain.cron import cron_fires
from chalicelib.domain.durations import text_of
from chalicelib.domain.model import Task
from chalicelib.domain.ratelimit import parse_rate
from chalicelib.domain.timetable import check_schedule, check_zone, fires_between
from chalicelib.domain.windows import check_window
from chalicelib.domain.zones import is_date, parse_instant, zone_of

EXAMPLES = {
    "schedule": "0 2 * * *",
    "every": "90m",
    "at": "2026-12-24T18:00",
    "time_zone": "Europe/Berlin",
    "start": "2026-01-31",
    "end": "2026-12-31",
    "except": "[{from: '22:00', to: '06:00', days: MON-FRI}, {from: 2026-12-24, to: 2026-12-27}]",
    "spread": "10m",
    "catch_up": "latest",
    "catch_up_limit": "10",
    "overlap": "skip",
    "max_concurrent": "1",
    "pool": "db",
    "slots": "1",
    "priority": "10",
    "rate_limit": "10/minute",
    "depends_on": "[other_task]",
    "paused": "true",
}
"""Of the right value of each key about time."""

PERIODS_LOOKED_AT = 60


def timing_faults(raw: Mapping[str, Any], task: Task | None, default_zone: str) -> list[Fault]:
    """What is wrong about the keys about time, of a definition as it is written. `task`: it as a model, if its types are right."""
    faults = [*_fault(raw, "schedule", check_schedule), *_fault(raw, "time_zone", check_zone)]
    if task is None:
        return faults
    if task.schedule and task.every:
        faults.append(Fault(("every",), "stands beside schedule, and a task has one of them", "leave one out, like schedule: null"))
    if not any(fault.path == ("time_zone",) for fault in faults):
        zone_name = task.time_zone or default_zone
        faults += _bounds_faults(task, zone_of(zone_name))
        if not faults:
            faults += [*_spread_faults(task), *_never_faults(task, zone_name)]
    faults += _fault(raw, "rate_limit", parse_rate)
    if task.id in task.depends_on:
        faults.append(Fault(("depends_on",), f"'{task.id}' cannot depend on itself", "name other tasks, like [other_task]"))
    elif len(set(task.depends_on)) < len(task.depends_on):
        faults.append(Fault(("depends_on",), "names a task twice", "name each once, like [other_task]"))
    return faults


def with_example(fault: Fault) -> Fault:
    """A fault that has no hint yet with an example of a right value, where there is one for its key."""
    if fault.hint or not fault.path or len(fault.path) > 2 or fault.path[0] not in EXAMPLES:
        return fault
    return Fault(fault.path, fault.message, f"for example {EXAMPLES[str(fault.path[0])]}")


def _fault(raw: Mapping[str, Any], key: str, check: Callable[[str], object]) -> Iterator[Fault]:
    """The fault of a text that has a grammar of its own; that it is no text at all is the model's to say."""
    if isinstance(raw.get(key), str):
        try:
            check(raw[key])
        except ValueError as error:
            yield Fault((key,), str(error))


def _bounds_faults(task: Task, zone: ZoneInfo) -> Iterator[Fault]:
    """Of `start`, `end`, `at` and the blackouts."""
    read: dict[str, int] = {}
    broken = False
    for key, text in (("start", task.start), ("end", task.end)):
        try:
            if text is not None:
                read[key] = parse_instant(text, zone, day_end=key == "end")
        except ValueError as error:
            yield Fault((key,), str(error))
            broken = True
    first, last = read.get("start"), read.get("end")
    if first is not None and last is not None and last < first:
        broken = True
        yield Fault(("end",), f"'{task.end}' is before start, '{task.start}'", "for example start: 2026-01-31, end: 2026-12-31")
    for index, text in enumerate(task.at):
        try:
            at = parse_instant(text, zone)
        except ValueError as error:
            yield Fault(("at", index), str(error))
            continue
        if not broken and not ((first is None or at >= first) and (last is None or at <= last)):
            yield Fault(("at", index), f"'{text}' is not between start and end", "move one of them, or leave it out")
    for index, window in enumerate(task.blackouts):
        try:
            check_window(window, zone)
        except ValueError as error:
            yield Fault(("except", index), str(error))


def _spread_faults(task: Task) -> Iterator[Fault]:
    """A delay that is as long as the time to the next fire would make two fires of one."""
    period = task.every or 0.0
    if task.schedule:
        fires = islice(cron_fires(task.schedule, zone_of("UTC"), 0), PERIODS_LOOKED_AT)
        period = min(after - before for before, after in pairwise(fires)) / 1000
    if task.spread and period and task.spread >= period:
        yield Fault(
            ("spread",),
            f"is {text_of(task.spread)}, and the task fires every {text_of(period)} already",
            f"take less than that, like {text_of(period - 60)}" if period > 60 else "leave it out",
        )


def _never_faults(task: Task, zone_name: str) -> Iterator[Fault]:
    """A schedule that has both bounds and no fire within them."""
    if not (task.schedule or task.every) or task.start is None or task.end is None:
        return
    zone = zone_of(zone_name)
    first, last = parse_instant(task.start, zone), parse_instant(task.end, zone, day_end=is_date(task.end))
    recurring = task.model_copy(update={"at": []})
    if next(fires_between(recurring, zone_name, first, last + 1), None) is None:
        yield Fault(("end",), f"never fires: no fire lies between '{task.start}' and '{task.end}'", "move one of them")
