"""Statistics by day: the counters that closing.py adds to, and the days that are over, each folded into one item.

A day's counters are one item a task. Reading them is one query a day; whoever first reads a day that is over folds it into an
item `STATS`/day, so that from then on any range of days is one batch, however many tasks there are.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

from chalicelib.domain.clock import parse_iso
from chalicelib.domain.stats import NAMES, Tally
from chalicelib.store.codec import to_json
from chalicelib.store.table import Table

PARTITION = "STATS"
KEPT_DAYS = 400
SETTLED_MS = 3_600_000  # after a day's end: no run that ended in it is still being closed
MOST_BYTES = 350_000  # of a folded day; DynamoDB takes 400 KB, and a day with more stays as it is

Day = dict[str, Tally]
"""Tallies by task id."""


def day_key(day: str, task_id: str) -> tuple[str, str]:
    """Where a task's counters of a day lie."""
    return f"{PARTITION}#{day}", task_id


def days_until(last: str, count: int) -> list[str]:
    """So many days in order, ending with one (`2026-01-31`)."""
    end = date.fromisoformat(last)
    return [(end - timedelta(days=back)).isoformat() for back in reversed(range(count))]


def read_task_days(table: Table, days: Sequence[str], task_id: str) -> dict[str, Tally]:
    """One task's tallies by day, at most 100 days: one request. Days without a run are missing."""
    return {day: tally for (day, _task), tally in read_tasks_days(table, days, [task_id]).items()}


def read_tasks_days(table: Table, days: Sequence[str], task_ids: Sequence[str]) -> dict[tuple[str, str], Tally]:
    """Some tasks' tallies by (day, task id): one request for a hundred of them. Those without a run are missing."""
    found = table.get_many([day_key(day, task_id) for day in days for task_id in task_ids])
    return {(key[0].partition("#")[2], key[1]): _tally(item) for key, item in found.items()}


def read_days(table: Table, days: Sequence[str], now: int) -> dict[str, Day]:
    """Every task's tallies by day, at most 100 days: one batch, and a query for each day that is not folded yet."""
    folded = {key[1]: _unfold(item["folded"]) for key, item in table.get_many([(PARTITION, day) for day in days]).items()}
    found = {}
    for day in days:
        if day in folded:
            found[day] = folded[day]
            continue
        found[day] = {item["sk"]: _tally(item) for item in table.query("pk = :pk", pk=f"{PARTITION}#{day}")}
        if _is_over(day, now):
            _fold(table, day, found[day])
    return found


def _is_over(day: str, now: int) -> bool:
    return now > _begin(day) + 86_400_000 + SETTLED_MS


def _begin(day: str) -> int:
    return parse_iso(f"{day}T00:00:00Z")


def _fold(table: Table, day: str, tallies: Day) -> None:
    folded = zlib.compress(to_json({task: _sparse(tally) for task, tally in tallies.items()}).encode(), 6)
    if len(folded) > MOST_BYTES:
        return
    expires = _begin(day) // 1000 + KEPT_DAYS * 86_400
    table.put({"pk": PARTITION, "sk": day, "folded": folded, "expires_at": expires})


def _unfold(folded: bytes) -> Day:
    return {task: _dense(values) for task, values in json.loads(zlib.decompress(folded)).items()}


def _sparse(tally: Tally) -> list[Any]:
    """Few buckets of a task are in use: place and count of those."""
    counts = [number for place, count in enumerate(tally.buckets) if count for number in (place, count)]
    return [tally.completed, tally.failed, tally.stopped, round(tally.seconds, 3), *counts]


def _dense(values: list[Any]) -> Tally:
    completed, failed, stopped, seconds, *counts = values
    buckets = [0] * len(NAMES)
    for place, count in zip(counts[::2], counts[1::2], strict=True):
        buckets[place] = count
    return Tally(completed, failed, stopped, seconds, tuple(buckets))


def _tally(item: dict[str, Any]) -> Tally:
    buckets = tuple(item.get(name, 0) for name in NAMES)
    return Tally(item.get("completed", 0), item.get("failed", 0), item.get("stopped", 0), item.get("total_seconds", 0.0), buckets)
