"""Statistics: how it went, how long it took, what it cost, and how full it is now."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from chalicelib.api import stats as api
from chalicelib.web.charts import durations, outcomes, steps
from chalicelib.web.visit import View, Visit

PERIODS = {"1": "Today", "7": "7 days", "30": "30 days", "90": "90 days"}
RANKINGS = (
    ("busiest", "Most time", "total"),
    ("slowest", "Slowest", "p95"),
    ("most_failing", "Most failures", "failed"),
)


def show(visit: Visit) -> View:
    """JSON: as GET /stats."""
    query = {k: v for k, v in visit.request.query.items() if k in ("days", "task") and v}
    data = api.get_stats(replace(visit.request, query=query)).body
    tasks = visit.services.registry.tasks()
    rows = {row["task_id"]: row for row in data["by_task"]}
    slots = data["slots"]
    overall = next((s for s in slots["now"] if s["semaphore"] == "global"), None) if slots else None
    extra: dict[str, Any] = {
        "chosen": {"days": query.get("days", "7"), "task": query.get("task", "")},
        "periods": PERIODS | ({query["days"]: f"{data['days']} days"} if query.get("days", "7") not in PERIODS else {}),
        "titles": {task_id: task.title for task_id, task in sorted(tasks.items(), key=lambda t: t[1].title.lower())},
        "rankings": [(words, column, [rows[task_id] for task_id in data[name]]) for name, words, column in RANKINGS],
        "outcomes": outcomes(data["by_day"]),
        "durations": durations(data["by_day"]),
        "stairs": steps(slots["over_time"], overall["limit"]) if slots and overall else None,
        "peak": max((point["slots"] for point in slots["over_time"]), default=0) if slots else 0,
        "overall": overall,
    }
    return View("stats.html", data, extra)
