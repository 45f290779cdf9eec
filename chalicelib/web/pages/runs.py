"""All runs, newest first, filtered, page by page."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from chalicelib.api import runs as api
from chalicelib.domain.clock import iso
from chalicelib.domain.run import ACTIVE, TERMINAL
from chalicelib.web.visit import View, Visit

FILTERS = ("status", "task", "since", "cursor", "limit")
PERIODS = {"hour": (3_600, "Last hour"), "day": (86_400, "Last 24 hours"), "week": (7 * 86_400, "Last 7 days")}


def show(visit: Visit) -> View:
    """JSON: as GET /runs; `task` narrows it to one, `since` may be hour, day or week."""
    chosen = {k: v for k, v in visit.request.query.items() if k in FILTERS and v}
    data = list_runs(visit, chosen)
    tasks = visit.services.registry.tasks()
    extra = {
        "chosen": {name: chosen.get(name, "") for name in FILTERS},
        "titles": {task_id: task.title for task_id, task in tasks.items()},
        "icons": {task_id: task.icon for task_id, task in tasks.items()},
        "statuses": (*ACTIVE, *TERMINAL),
        "periods": period_words(),
        "older": {k: v for k, v in chosen.items() if k != "cursor"} | {"cursor": data["next_cursor"]},
    }
    return View("_runs.html" if visit.fragment else "runs.html", data, extra)


def list_runs(visit: Visit, chosen: dict[str, str]) -> dict[str, Any]:
    """A page of runs by these filters, as the API gives it."""
    query = {k: v for k, v in chosen.items() if k != "task"}
    if query.get("since") in PERIODS:
        query["since"] = iso(visit.services.now() - PERIODS[query["since"]][0] * 1000)
    asked = replace(visit.request, query=query)
    if "task" not in chosen:
        return dict(api.list_all_runs(asked).body)
    return dict(api.list_task_runs(replace(asked, params={"task_id": chosen["task"]})).body)


def period_words() -> dict[str, str]:
    """The choices of `since`."""
    return {name: words for name, (_seconds, words) in PERIODS.items()}
