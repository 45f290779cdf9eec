"""Cadence rules: the EventBridge cron expressions, in UTC, that ring in the minute of each fire of some tasks.

They are alarm clocks only: one may ring for nothing, but each fire has one in its minute, or for an instant within a minute in the
next. A zone that changes its clocks rings at both offsets all year, and at the end of a gap that swallows a wall-clock time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import gcd

from chalicelib.domain.boxes import ALL_DAYS, ALL_MONTHS, ALL_WEEKDAYS, Box, cover
from chalicelib.domain.clock import now_ms
from chalicelib.domain.cron import Cron, has_day, parse
from chalicelib.domain.model import Task
from chalicelib.domain.timetable import bounds, delay_of, has_schedule, instants
from chalicelib.domain.zones import changes, offset_at, zone_of

BUDGET = 100
"""Rules of all tasks together; an event bus allows 300."""

PER_TASK = 2
YEARS_AHEAD = 3
"""For which a zone's clocks are looked up. Deploying anew, at least every other year, keeps the rules right."""

DAY = 24 * 60


def rules_for(tasks: Iterable[Task], default_zone: str, *, now: int | None = None, budget: int = BUDGET) -> dict[str, str]:
    """Expressions that ring for every fire of the tasks from now on, by a name that is the same for the same expression.

    One for each distinct cadence, of which a task has at most two. Where that would be more than `budget`, similar ones become
    one that rings for all of them.
    """
    boxes: list[Box] = []
    known: dict[tuple[object, ...], list[Box]] = {}
    now = now_ms() if now is None else now
    for task in tasks:
        key = (task.schedule, task.every, tuple(task.at), task.time_zone, task.start, task.end, delay_of(task), task.enabled)
        if key not in known:
            known[key] = boxes_of(task, default_zone, now)
            boxes += known[key]
    boxes = list(set(boxes))
    expressions = sorted(box.expression() for box in (boxes if len(boxes) <= budget else cover(boxes, budget)))
    return {hashlib.sha256(expression.encode()).hexdigest()[:12]: expression for expression in expressions}


def boxes_of(task: Task, default_zone: str, now: int) -> list[Box]:
    """The minutes of one task's fires from now on, in at most two boxes; none for one that never fires any more."""
    first, last = bounds(task, default_zone)
    if not task.enabled or not has_schedule(task) or (last is not None and last < now):
        return []
    boxes: list[Box] = []
    delay = delay_of(task) // 60_000
    if task.schedule:
        boxes += _cron_boxes(task.schedule, task.time_zone or default_zone, delay, datetime.fromtimestamp(now / 1000, UTC).year)
    if task.every:
        boxes += _period_boxes(int(task.every // 60), _minute_of(first or 0) + delay)
    for at in instants(task, default_zone):
        if at >= now:
            boxes.append(_moment_box(datetime(1970, 1, 1) + timedelta(minutes=_minute_of(at)), yearly=False))
    return cover(boxes, PER_TASK)


def _minute_of(at: int) -> int:
    """The first whole minute at or after an instant, in minutes since 1970."""
    return -(-at // 60_000)


def _moment_box(moment: datetime, *, yearly: bool) -> Box:
    return Box(
        frozenset({moment.minute}),
        frozenset({moment.hour}),
        frozenset({moment.day}),
        frozenset({moment.month}),
        years=None if yearly else frozenset({moment.year}),
    )


def _period_boxes(period: int, first: int) -> Iterator[Box]:
    """Every so many minutes. One that does not divide the day rings at the times of day that it ever comes to."""
    step = gcd(period, DAY)
    if period % DAY == 0 and (period // DAY) % 7 == 0:
        begin = datetime(1970, 1, 1) + timedelta(minutes=first)
        weekday = frozenset({begin.isoweekday() % 7})
        yield Box(frozenset({begin.minute}), frozenset({begin.hour}), weekdays=weekday)
        return
    for minute in range(first % step, DAY, step):
        yield Box(frozenset({minute % 60}), frozenset({minute // 60}))


def _cron_boxes(schedule: str, zone_name: str, delay: int, year: int) -> Iterator[Box]:
    zone, cron = zone_of(zone_name), parse(schedule)
    since = datetime(year, 1, 1, tzinfo=UTC)
    turns = list(changes(zone, since, since.replace(year=year + YEARS_AHEAD)))
    for offset in {offset_at(zone, since), *(turn.after for turn in turns)}:
        for box in _local_boxes(cron):
            yield from _shifted(box, delay - offset)
    if cron.every_hour:
        return
    for turn in turns:
        gap = turn.at.replace(tzinfo=None) + timedelta(minutes=turn.before)
        skipped = (gap + timedelta(minutes=minute) for minute in range(turn.after - turn.before))
        if any(wall.minute in cron.minutes and wall.hour in cron.hours and has_day(schedule, wall.date()) for wall in skipped):
            yield _moment_box(turn.at + timedelta(minutes=delay), yearly=True)


def _local_boxes(cron: Cron) -> list[Box]:
    """The minutes of a schedule on its own clock. Of `the second Friday` and `the last working day` a superset."""
    box = Box(cron.minutes, cron.hours, months=cron.months)
    weekdays = replace(box, weekdays=frozenset({*cron.weekdays.all, *(day for day, _number in cron.weekdays.some)}))
    dates = [replace(box, days=cron.days)] if cron.days else []
    for length, months in _MONTHS_BY_LENGTH.items():
        days = ({length} if cron.last_days else set()) | ({length - 2, length - 1, length} if cron.last_workday else set())
        if days and cron.months & months:
            dates.append(replace(box, days=frozenset(days), months=cron.months & months))
    if not cron.both:
        return [*dates, weekdays]
    return dates if sum(part.wakes for part in dates) < weekdays.wakes else [weekdays]


def _shifted(box: Box, by: int) -> Iterator[Box]:
    """A box some minutes later; over midnight its days move, too."""
    groups: dict[tuple[int, int], tuple[set[int], set[int]]] = {}
    for minute in box.minutes:
        carry, there = divmod(minute + by, 60)
        for hour in box.hours:
            day, there_hour = divmod(hour + carry, 24)
            minutes, hours = groups.setdefault((carry, day), (set(), set()))
            minutes.add(there)
            hours.add(there_hour)
    for (_carry, day), (minutes, hours) in groups.items():
        moved = [replace(box, minutes=frozenset(minutes), hours=frozenset(hours))]
        for _day in range(abs(day)):
            moved = [after for before in moved for after in _on_next_day(before, 1 if day > 0 else -1)]
        yield from moved


def _on_next_day(box: Box, step: int) -> Iterator[Box]:
    """A box one day later (1) or earlier (-1). What leaves its month lands on the first of the next, or on the last before."""
    if box.weekdays != ALL_WEEKDAYS:
        months = box.months | {_month(month, step) for month in box.months}
        yield replace(box, weekdays=frozenset((day + step) % 7 for day in box.weekdays), months=frozenset(months))
        return
    if box.days == ALL_DAYS and box.months == ALL_MONTHS:
        yield box
        return
    longest = max(length for length, months in _MONTHS_BY_LENGTH.items() if months & box.months)
    stayed = frozenset(day + step for day in box.days if 1 <= day + step <= longest)
    if stayed:
        yield replace(box, days=stayed)
    for length, months in _MONTHS_BY_LENGTH.items():
        if step > 0 and length in box.days and (left := box.months & months):
            yield replace(box, days=frozenset({1}), months=frozenset(_month(month, 1) for month in left))
        if step < 0 and 1 in box.days and (entered := months & {_month(month, -1) for month in box.months}):
            yield replace(box, days=frozenset({length}), months=entered)


def _month(month: int, step: int) -> int:
    return (month - 1 + step) % 12 + 1


# February has two lengths, so it is there twice.
_MONTHS_BY_LENGTH = {
    31: frozenset({1, 3, 5, 7, 8, 10, 12}),
    30: frozenset({4, 6, 9, 11}),
    29: frozenset({2}),
    28: frozenset({2}),
}
