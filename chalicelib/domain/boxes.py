"""Sets of minutes in UTC that an EventBridge cron expression can name, and how few expressions cover many of them."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

ALL_HOURS = frozenset(range(24))
ALL_MONTHS = frozenset(range(1, 13))
ALL_DAYS = frozenset(range(1, 32))
ALL_WEEKDAYS = frozenset(range(7))

_FIELDS = ("days", "weekdays", "months", "hours", "minutes", "years")

MOST_TO_PAIR = 300
"""More boxes than this are not compared pair by pair; they lose their day fields first."""


@dataclass(frozen=True)
class Box:
    """Every minute whose fields lie in these sets. `days` or `weekdays` (0 is Sunday) is all of them: AWS allows but one of the
    two to be given. `years` None: all.
    """

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int] = ALL_DAYS
    months: frozenset[int] = ALL_MONTHS
    weekdays: frozenset[int] = ALL_WEEKDAYS
    years: frozenset[int] | None = None

    def __post_init__(self) -> None:
        assert self.days == ALL_DAYS or self.weekdays == ALL_WEEKDAYS

    @property
    def wakes(self) -> float:
        """About how often it rings in a year."""
        days = len(self.days) / 31 * len(self.weekdays) / 7 * len(self.months) / 12 * 365
        return len(self.minutes) * len(self.hours) * days * (1 if self.years is None else len(self.years) / 100)

    def __le__(self, other: Box) -> bool:
        """Whether all of it lies in the other."""
        fits = self.minutes <= other.minutes and self.hours <= other.hours and self.months <= other.months
        if not fits or not self.days <= other.days or not self.weekdays <= other.weekdays:
            return False
        return other.years is None or (self.years is not None and self.years <= other.years)

    def __or__(self, other: Box) -> Box:
        """The smallest box around both; of one of dates and one of weekdays that is every day."""
        return Box(
            self.minutes | other.minutes,
            self.hours | other.hours,
            self.days | other.days,
            self.months | other.months,
            self.weekdays | other.weekdays,
            None if self.years is None or other.years is None else self.years | other.years,
        )

    def expression(self) -> str:
        """`cron(0 1,2 * * ? *)`."""
        minutes, hours = _field(self.minutes, 0, 59), _field(self.hours, 0, 23)
        days, months = _field(self.days, 1, 31), _field(self.months, 1, 12)
        weekdays = _field(frozenset(day + 1 for day in self.weekdays), 1, 7, steps=False)
        if weekdays == "*":
            weekdays = "?"
        else:
            days = "?"
        years = "*" if self.years is None else ",".join(str(year) for year in sorted(self.years))
        return f"cron({minutes} {hours} {days} {months} {weekdays} {years})"


def cover(boxes: Iterable[Box], most: int) -> list[Box]:
    """At most so many boxes in which all minutes of the given ones lie, adding as few others as is found with little effort."""
    found = _exact(boxes)
    if len(found) > max(most, MOST_TO_PAIR):
        found = _exact(replace(box, days=ALL_DAYS, months=ALL_MONTHS, weekdays=ALL_WEEKDAYS, years=None) for box in found)
    if len(found) > max(most, MOST_TO_PAIR):
        found = _exact(_minute_by_minute(found))
    return _cheapest(found, most)


def _exact(boxes: Iterable[Box]) -> list[Box]:
    """Fewer boxes for the very same minutes: those that differ in one field become one, until there are none."""
    found = set(boxes)
    while True:
        before = len(found)
        for field in _FIELDS:
            groups: dict[tuple[Any, ...], list[Box]] = {}
            for box in found:
                groups.setdefault(tuple(getattr(box, other) for other in _FIELDS if other != field), []).append(box)
            found = {_joined(group, field) for group in groups.values()}
        found = _without_inner(found)
        if len(found) == before:
            return sorted(found, key=Box.expression)


def _joined(group: list[Box], field: str) -> Box:
    """Boxes that differ in one field as one."""
    values = [getattr(box, field) for box in group]
    if len(group) == 1 or None in values:  # None: all years
        return group[values.index(None)] if None in values else group[0]
    changed: dict[str, Any] = {field: frozenset().union(*values)}
    return replace(group[0], **changed)


def _without_inner(boxes: set[Box]) -> set[Box]:
    """Without those that lie in another."""
    if len(boxes) > MOST_TO_PAIR:
        return boxes
    return {box for box in boxes if not any(box != other and box <= other for other in boxes)}


def _minute_by_minute(boxes: Iterable[Box]) -> Iterator[Box]:
    for box in boxes:
        for minute in box.minutes:
            yield replace(box, minutes=frozenset({minute}))


def _cheapest(boxes: list[Box], most: int) -> list[Box]:
    """Join the two whose box adds least, until there are few enough."""
    alive = dict(enumerate(boxes))
    heap = [_pair(a, alive[a], b, alive[b]) for a in alive for b in alive if a < b] if len(boxes) > most else []
    heapq.heapify(heap)
    number = len(boxes)
    while len(alive) > most:
        _added, _text, a, b, box = heapq.heappop(heap)
        if a not in alive or b not in alive:
            continue
        del alive[a], alive[b]
        for inner in [n for n, other in alive.items() if other <= box]:
            del alive[inner]
        for n, other in alive.items():
            heapq.heappush(heap, _pair(n, other, number, box))
        alive[number] = box
        number += 1
    return sorted(alive.values(), key=Box.expression)


def _pair(a: int, one: Box, b: int, other: Box) -> tuple[float, int, int, int, Box]:
    box = one | other
    return box.wakes - one.wakes - other.wakes, -b, a, b, box


def _field(values: frozenset[int], low: int, high: int, *, steps: bool = True) -> str:
    """`*`, `*/15`, `5/15`, `1-5,7`. AWS knows no steps of weekdays."""
    row = sorted(values)
    if len(row) == high - low + 1:
        return "*"
    step = row[1] - row[0] if steps and len(row) > 2 else 0
    if step > 1 and row == list(range(row[0], high + 1, step)):
        return f"{'*' if row[0] == low else row[0]}/{step}"
    parts: list[str] = []
    while row:
        end = 1
        while end < len(row) and row[end] == row[0] + end:
            end += 1
        parts += [f"{row[0]}-{row[end - 1]}"] if end > 2 else [str(value) for value in row[:end]]
        row = row[end:]
    return ",".join(parts)
