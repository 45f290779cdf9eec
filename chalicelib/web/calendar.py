"""Fires as a calendar: days as columns, hours of the clock as rows, and what fires often as one line a day.

Nothing here grows with the number of fires: a cell shows a few tasks and how many more there are, hours without a fire are one row.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from chalicelib.domain.timetable import Fire
from chalicelib.domain.zones import instant_of

OFTEN = 12  # fires on a day, and a task is one line instead of entries
OFTEN_SHOWN = 12  # such tasks
WEEK_ENTRIES, DAY_ENTRIES = 4, 60  # tasks in one hour of a week's cell, and of a single day's


@dataclass
class Entry:
    """A task's fires within one hour. `state` of past ones: a run's status, skipped, missed or due; of several it is that of
    `told`, one that failed if there is any."""

    task_id: str
    at: list[int]
    told: int = 0
    skipped: str | None = None
    over: bool = False
    state: str = ""
    reason: str = ""
    run_id: str | None = None


@dataclass
class Cell:
    """One hour (or some empty ones) of one day. `now`: how much of it has passed, if it is the present one."""

    entries: list[Entry] = field(default_factory=list)
    more: int = 0
    now: float | None = None


@dataclass
class Row:
    """One hour, or a stretch of hours in which nothing fires on any day."""

    label: str
    cells: list[Cell]
    blank: bool = False


def day_begins(day: date, zone: ZoneInfo) -> int:
    """Epoch ms of a day's beginning in a zone."""
    return round(instant_of(datetime.combine(day, time()), zone).timestamp() * 1000)


def split(fires: Mapping[str, Sequence[Fire]], zone: ZoneInfo) -> tuple[dict[str, Sequence[Fire]], dict[str, Counter[date]]]:
    """Those that are entries, by task; and of the tasks that fire often how many times on each day."""
    rare: dict[str, Sequence[Fire]] = {}
    often: dict[str, Counter[date]] = {}
    for task_id, mine in fires.items():
        if len(mine) > OFTEN:
            by_day = Counter(_wall(fire.at, zone).date() for fire in mine)
            if max(by_day.values()) > OFTEN:
                often[task_id] = by_day
                continue
        if mine:
            rare[task_id] = mine
    return rare, often


def grid(
    days: Sequence[date],
    fires: Mapping[str, Sequence[Fire]],
    zone: ZoneInfo,
    now: int,
    *,
    failed: Collection[tuple[str, int]] = (),
    over: Callable[[str, int], bool] = lambda task_id, at: False,
    resolve: Callable[[list[Entry]], Collection[int]],
) -> list[Row]:
    """The rows. Tasks with a failed fire come first in a cell, then by time; `resolve` gives the shown entries their states, and
    the ids of those that never were (they go)."""
    cells = {(day, hour): Cell() for day in days for hour in range(24)}
    for task_id, mine in fires.items():
        for fire in mine:
            wall = _wall(fire.at, zone)
            cell = cells.get((wall.date(), wall.hour))
            if cell is None:
                continue
            last = cell.entries[-1] if cell.entries else None
            if last is None or last.task_id != task_id:
                cell.entries.append(last := Entry(task_id, []))
            last.at.append(fire.at)
            last.skipped = last.skipped or fire.blackout
            last.over = last.over or over(task_id, fire.at)
            if (task_id, fire.at) in failed:
                last.state, last.told = "failed", fire.at
            elif (fire.at <= now and last.state != "failed") or not last.told:
                last.told = fire.at
    most = WEEK_ENTRIES if len(days) > 1 else DAY_ENTRIES
    for cell in cells.values():
        cell.entries.sort(key=lambda e: (e.state != "failed", e.at[0], e.task_id))
        cell.more = max(0, len(cell.entries) - most)
        cell.entries = sorted(cell.entries[:most], key=lambda e: (e.at[0], e.task_id))
    gone = resolve([entry for cell in cells.values() for entry in cell.entries])
    for cell in cells.values():
        cell.entries = [entry for entry in cell.entries if id(entry) not in gone]
    return _folded(days, cells, _wall(now, zone))


def _folded(days: Sequence[date], cells: dict[tuple[date, int], Cell], now: datetime) -> list[Row]:
    rows: list[Row] = []
    hour = 0
    while hour < 24:
        end = hour
        while end < 24 and not any(cells[day, end].entries or cells[day, end].more for day in days):
            end += 1
        blank = end > hour
        end = max(end, hour + 1)
        row = Row(f"{hour:02}" if end == hour + 1 else f"{hour:02}–{end - 1:02}", [cells[day, hour] for day in days], blank)
        if now.date() in days and hour <= now.hour < end:
            row.cells[days.index(now.date())].now = round((now.hour + now.minute / 60 - hour) / (end - hour), 3)
        rows.append(row)
        hour = end
    return rows


def week_of(day: date) -> list[date]:
    """Monday to Sunday."""
    return [day - timedelta(days=day.weekday() - n) for n in range(7)]


def _wall(at: int, zone: ZoneInfo) -> datetime:
    return datetime.fromtimestamp(at / 1000, zone)


def entry_view(entry: Entry) -> dict[str, Any]:
    """An entry as JSON."""
    from chalicelib.domain.clock import iso

    return {
        "task_id": entry.task_id,
        "at": [iso(at) for at in entry.at],
        "state": entry.state or None,
        "run_id": entry.run_id,
        "skipped": entry.skipped,
        "reason": entry.reason,
        "over": entry.over,
    }
