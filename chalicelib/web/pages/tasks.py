"""The list of tasks: what runs, what failed, what comes next."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

from chalicelib.api import tasks as api
from chalicelib.store.listing import list_runs
from chalicelib.web.bars import STRIP, strip
from chalicelib.web.visit import View, Visit

SHOWN = 200  # tasks of one page; a search finds the others
RECENT = 300  # runs over all tasks that the strips are drawn from: one query and three batches, however many tasks
FILTERS = ("q", "category", "tag", "status", "trigger")
TRIGGERS = {"schedule": "Scheduled", "manual": "By hand only"}


def show(visit: Visit) -> View:
    """JSON: as GET /tasks, filtered by `trigger` too. A fragment is the list alone; `rows` leaves the strips out."""
    chosen = {k: v for k, v in visit.request.query.items() if k in FILTERS and v}
    everything: list[dict[str, Any]] = api.list_tasks(replace(visit.request, query={})).body["tasks"]
    found = [task for task in everything if _matches(task, chosen)]
    shown = found if visit.request.query.get("all") else found[:SHOWN]
    data = {"tasks": found, "next_cursor": None}
    if visit.wants_json:
        return View("tasks.html", data)
    counts = Counter(task["status"] for task in everything)
    extra = {
        "chosen": {name: chosen.get(name, "") for name in FILTERS},
        "groups": _grouped(shown),
        "shown": len(shown),
        "tasks_found": len(found),
        "total": len(everything),
        "counts": counts,
        "categories": sorted({t["category"] for t in everything if t["category"]}),
        "tags": sorted({tag for t in everything for tag in t["tags"]}),
        "statuses": api.STATUSES,
        "triggers": TRIGGERS,
        "strips": None if visit.fragment == "rows" else _strips(visit),
    }
    return View("_tasks.html" if visit.fragment else "tasks.html", data, extra)


def _matches(task: dict[str, Any], chosen: dict[str, str]) -> bool:
    text = " ".join([task["id"], task["title"], task["description"], task["category"], *task["tags"]]).lower()
    return (
        all(word in text for word in chosen.get("q", "").lower().split())
        and chosen.get("category", task["category"]) == task["category"]
        and ("tag" not in chosen or chosen["tag"] in task["tags"])
        and chosen.get("status", task["status"]) == task["status"]
        and ("trigger" not in chosen or (chosen["trigger"] == "schedule") == bool(task["schedule"]))
    )


def _grouped(tasks: list[dict[str, Any]]) -> list[tuple[str, list[dict[str, Any]]]]:
    groups: dict[str, list[dict[str, Any]]] = {}
    for task in tasks:
        groups.setdefault(task["category"], []).append(task)
    return sorted(groups.items(), key=lambda group: (group[0] == "", group[0]))


def _strips(visit: Visit) -> dict[str, dict[str, Any]]:
    """A strip per task, as far as the newest runs reach."""
    runs, _cursor = list_runs(visit.services.table, limit=RECENT)
    found: dict[str, list[dict[str, Any]]] = {}
    for run in runs:
        mine = found.setdefault(run.task_id, [])
        if len(mine) < STRIP:
            mine.append({"status": run.status, "duration_seconds": run.duration})
    return {task_id: strip(mine) for task_id, mine in found.items()}
