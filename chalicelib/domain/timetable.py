"""When a task fires: its schedule, period and single instants, within its bounds, with its delay; and its blackouts.

All instants are epoch milliseconds. Tasks are taken to be valid; catalog/timing.py sees to that.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

from chalicelib.domain.cron import check_schedule, cron_fires, cron_of
from chalicelib.domain.durations import text_of
from chalicelib.domain.model import Task
from chalicelib.domain.windows import window_around, window_text
from chalicelib.domain.zones import check_zone, parse_instant, zone_of

__all__ = ["Fire", "blackout_at", "check_schedule", "check_zone", "describe", "fires_between", "has_schedule", "next_fire"]

SHOWN_INSTANTS = 3


@dataclass(frozen=True, slots=True)
class Fire:
    """An instant at which a task is to run. `blackout`: why it is not to; such a fire is skipped, but it is one."""

    at: int
    blackout: str | None = None


def has_schedule(task: Task) -> bool:
    """Whether anything but people and other tasks ever starts it."""
    return bool(task.schedule or task.every or task.at)


def next_fire(task: Task, default_zone: str, after_ms: int) -> Fire | None:
    """The first fire later than an instant; None if there is none any more (within 50 years)."""
    return next(_fires(task, default_zone, after_ms), None)


def fires_between(task: Task, default_zone: str, from_ms: int, to_ms: int, most: int = 10_000) -> Iterator[Fire]:
    """The fires from one instant (inclusive) to another (exclusive), ascending, at most so many."""
    for fire in islice(_fires(task, default_zone, from_ms - 1), most):
        if fire.at >= to_ms:
            return
        yield fire


def blackout_at(task: Task, default_zone: str, at_ms: int) -> str | None:
    """Why a task is not to run at an instant: the window's reason, else the window in words. None: it may run."""
    if not task.blackouts:
        return None
    window = window_around(task.blackouts, zone_of(task.time_zone or default_zone), at_ms)
    return None if window is None else window.reason or window_text(window)


def delay_of(task: Task) -> int:
    """Milliseconds by which `spread` delays each fire of the task: whole minutes from none up to the spread itself.

    Always the same for a task, whichever fire: its fires keep their distance, and somebody who reads the timetable finds it.
    """
    if not task.spread:
        return 0
    number = int.from_bytes(hashlib.sha256(task.id.encode()).digest()[:8], "big")
    return number % (int(task.spread // 60) + 1) * 60_000


def bounds(task: Task, default_zone: str) -> tuple[int | None, int | None]:
    """First and last millisecond at which a task may fire."""
    zone = zone_of(task.time_zone or default_zone)
    first = None if task.start is None else parse_instant(task.start, zone)
    last = None if task.end is None else parse_instant(task.end, zone, day_end=True)
    return first, last


def instants(task: Task, default_zone: str) -> list[int]:
    """The single instants of a task, ascending."""
    zone = zone_of(task.time_zone or default_zone)
    return sorted({parse_instant(text, zone) for text in task.at})


def describe(task: Task, default_zone: str) -> str | None:
    """When a task fires, in words: `At 02:00, Europe/Berlin, except Saturday and Sunday`. None without any schedule."""
    name = task.time_zone or default_zone
    parts = []
    if task.schedule:
        parts.append(f"{_cron_text(task.schedule)}, {name}")
    if task.every:
        parts.append(f"every {text_of(task.every)}")
    if task.at:
        shown = " and ".join([text.replace("T", " ") for text in task.at[:SHOWN_INSTANTS]])
        more = f" and {len(task.at) - SHOWN_INSTANTS} more" if len(task.at) > SHOWN_INSTANTS else ""
        parts.append(f"once at {shown}{more}" + ("" if task.schedule else f", {name}"))
    if not parts:
        return None
    words = ", and ".join(parts)
    if task.start:
        words += f", from {task.start}"
    if task.end:
        words += f", until {task.end}"
    if task.blackouts:
        words += f", except {' and '.join(window_text(window) for window in task.blackouts)}"
    if task.spread:
        words += f", spread over {text_of(task.spread)}"
    return words[:1].upper() + words[1:]


@lru_cache(maxsize=2048)
def _cron_text(schedule: str) -> str:
    from cron_descriptor import Options, get_description  # type: ignore[import-untyped]

    options = Options()
    options.use_24hour_time_format = True
    return str(get_description(cron_of(schedule), options))


def _fires(task: Task, default_zone: str, after: int) -> Iterator[Fire]:
    first, last = bounds(task, default_zone)
    if first is not None:
        after = max(after, first - 1)
    for at in _instants_after(task, default_zone, after, first):
        if last is not None and at > last:
            return
        if at > after:
            after = at
            yield Fire(at, blackout_at(task, default_zone, at))


def _instants_after(task: Task, default_zone: str, after: int, first: int | None) -> Iterator[int]:
    """Later than one, ascending, possibly twice. `at` is exact: no delay."""
    delay = delay_of(task)
    sources: list[Iterator[int]] = []
    if task.schedule:
        zone = zone_of(task.time_zone or default_zone)
        sources.append(at + delay for at in cron_fires(task.schedule, zone, after - delay))
    if task.every:
        sources.append(at + delay for at in _period(round(task.every * 1000), first, after - delay))
    if task.at:
        sources.append(at for at in instants(task, default_zone) if at > after)
    return sources[0] if len(sources) == 1 else heapq.merge(*sources)


def _period(period: int, first: int | None, after: int) -> Iterator[int]:
    """Every so many milliseconds: from `first` on, or counted from 1970."""
    origin = first or 0
    number = (after - origin) // period + 1
    if first is not None:
        number = max(0, number)
    while True:
        yield origin + number * period
        number += 1
