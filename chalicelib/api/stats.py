"""Route /stats."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chalicelib.api.http import Reply, Request
from chalicelib.domain.clock import iso
from chalicelib.domain.durations import text_of
from chalicelib.domain.price import MEMORY, price, usage_of_runs
from chalicelib.domain.stats import Tally, add, slots_over_time
from chalicelib.engine.services import GLOBAL, Services
from chalicelib.store.listing import newest_spans
from chalicelib.store.semaphores import read_semaphores
from chalicelib.store.statistics import days_until, read_days, read_task_days

MOST_DAYS = 90
RANKED = 10  # tasks in each of the short lists
SPANS = 200  # newest runs that the slots over time are drawn from
SPAN_MS = 86_400_000
POINTS = 96
ESTIMATES = {
    "p50_seconds, p95_seconds": "from a histogram: exact to the bucket, interpolated within it",
    "dollars": "list prices of us-east-1 without the free tier; storage, logs and data out are not counted",
}


def get_stats(request: Request) -> Reply:
    """Days are of UTC, and a run belongs to the day on which it ended. Days without a run are there too."""
    services = request.services
    count = request.number("days", 7, MOST_DAYS)
    now = services.now()
    days = days_until(iso(now)[:10], count)
    chosen = request.query.get("task")
    if chosen is not None:
        services.registry.task(chosen)
        by_day = {day: {chosen: tally} for day, tally in read_task_days(services.table, days, chosen).items()}
    else:
        by_day = read_days(services.table, days, now)
    by_task = _by_task(by_day)
    rows = [{"task_id": task, "title": _title(services, task)} | _shown(services, {task: t}) for task, t in by_task.items()]
    rows.sort(key=lambda row: (-row["runs"], row["task_id"]))
    return Reply(
        {
            "from": days[0],
            "to": days[-1],
            "days": count,
            "task_id": chosen,
            "total": _shown(services, by_task),
            "by_day": [{"date": day} | _shown(services, by_day.get(day, {})) for day in days],
            "by_task": rows,
            "slowest": _ranked(rows, "p95_seconds"),
            "most_failing": _ranked(rows, "failed"),
            "busiest": _ranked(rows, "total_seconds"),
            "slots": None if chosen else _slots(services, now),
            "estimates": ESTIMATES,
        }
    )


def _by_task(by_day: Mapping[str, Mapping[str, Tally]]) -> dict[str, Tally]:
    found: dict[str, list[Tally]] = {}
    for tallies in by_day.values():
        for task, tally in tallies.items():
            found.setdefault(task, []).append(tally)
    return {task: add(tallies) for task, tallies in found.items()}


def _shown(services: Services, tallies: Mapping[str, Tally]) -> dict[str, Any]:
    """Some tasks' tallies together, as JSON."""
    whole = add(tallies.values())
    p50, p95 = whole.percentile(0.5), whole.percentile(0.95)
    return {
        "runs": whole.runs,
        "completed": whole.completed,
        "failed": whole.failed,
        "stopped": whole.stopped,
        "success_rate": _rounded(whole.success_rate, 4),
        "p50_seconds": _rounded(p50),
        "p95_seconds": _rounded(p95),
        "p50": None if p50 is None else text_of(p50),
        "p95": None if p95 is None else text_of(p95),
        "total_seconds": round(whole.seconds, 3),
        "total": text_of(whole.seconds),
        "dollars": round(sum(_dollars(services, task, tally) for task, tally in tallies.items()), 6),
    }


def _dollars(services: Services, task_id: str, tally: Tally) -> float:
    task = services.registry.known(task_id)
    return price(usage_of_runs(tally.runs, tally.seconds, task.memory if task else MEMORY))


def _title(services: Services, task_id: str) -> str:
    task = services.registry.known(task_id)
    return task.title if task else task_id


def _ranked(rows: list[dict[str, Any]], by: str) -> list[str]:
    found = sorted((row for row in rows if row[by]), key=lambda row: (-row[by], row["task_id"]))
    return [row["task_id"] for row in found[:RANKED]]


def _slots(services: Services, now: int) -> dict[str, Any]:
    """Who holds how many now; and how many were in use, as far as the newest runs tell."""
    held = {s.name: s for s in read_semaphores(services.table)}
    shared = [GLOBAL, *(f"pool:{name}" for name in services.settings.pools)]
    names = [*shared, *sorted(name for name, s in held.items() if name not in shared and s.active)]
    spans, oldest = newest_spans(services.table, SPANS)
    begin = max(now - SPAN_MS, oldest or 0)
    known = [(s.started_at, s.finished_at or now + 1, s.slots) for s in spans]
    series = slots_over_time(known, begin, now, POINTS)
    return {
        "now": [
            {"semaphore": name, "active": held[name].active if name in held else 0, "limit": services.limit_of(name)}
            for name in names
        ],
        "since": iso(begin),
        "over_time": [{"at": iso(at), "slots": slots} for at, slots in series],
    }


def _rounded(value: float | None, digits: int = 3) -> float | None:
    return None if value is None else round(value, digits)
