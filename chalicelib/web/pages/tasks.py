"""The list of tasks: what runs, what failed, what comes next."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from chalicelib.api.tasks import STATUSES, is_meant
from chalicelib.api.views import task_status, task_view
from chalicelib.domain.model import CatalogTask
from chalicelib.domain.timetable import has_schedule
from chalicelib.engine.services import Services
from chalicelib.store.listing import Active, active_by_task
from chalicelib.store.tasks import TaskState, list_task_states
from chalicelib.web.bars import strip
from chalicelib.web.pause import pause_shown
from chalicelib.web.visit import View, Visit

SHOWN = 200  # tasks of one page; a search finds the others
MOST_SHOWN = 300  # of all tasks on one page: a longer one is slow to make, and nobody reads it
FILTERS = ("q", "category", "tag", "status", "trigger")
TRIGGERS = {"schedule": "Scheduled", "dependency": "After others", "manual": "By hand only"}


@dataclass(frozen=True)
class Row:
    """A task with what is known of it; its JSON is made only where it is shown."""

    task: CatalogTask
    state: TaskState
    active: Active
    status: str


def show(visit: Visit) -> View:
    """JSON: as GET /tasks, filtered by `trigger` too. The fragment `list` is the list alone."""
    services = visit.services
    chosen = {k: v for k, v in visit.request.query.items() if k in FILTERS and v}
    rows = _rows(services)
    found = [row for row in rows if _matches(row, chosen)]
    page = _page(visit.request.query.get("all", ""))
    first, last = ((page - 1) * MOST_SHOWN, page * MOST_SHOWN) if page else (0, SHOWN)
    now = services.now()
    found_rows = found if visit.wants_json else found[first:last]
    shown = [task_view(services, r.task, r.state, r.active, now) for r in found_rows]
    data = {"tasks": shown, "next_cursor": None}
    if visit.wants_json:
        return View("tasks.html", data)
    extra = {
        "all_paused": pause_shown(services),
        "chosen": {name: chosen.get(name, "") for name in FILTERS},
        "groups": _grouped(shown),
        "shown": len(shown),
        "found": len(found),
        "more": _more(page, len(found) - last, len(found)),
        "total": len(rows),
        "counts": Counter(row.status for row in rows),
        "categories": sorted({row.task.category for row in rows if row.task.category}),
        "tags": sorted({tag for row in rows for tag in row.task.tags}),
        "statuses": STATUSES,
        "triggers": TRIGGERS,
        "strips": {r.task.id: strip(r.state.recent) for r in found_rows if r.state.recent},
    }
    return View("_tasks.html" if visit.fragment else "tasks.html", data, extra)


def _page(text: str) -> int:
    """Which part of all tasks: from 1 on. 0: only the first few."""
    return max(1, int(text)) if text.isdecimal() and len(text) < 6 else int(bool(text))


def _more(page: int, left: int, found: int) -> dict[str, Any] | None:
    """The link below a list that is not all: the part it leads to, and its words."""
    if left <= 0:
        return None
    if page:
        return {"page": page + 1, "text": f"Show the next {min(left, MOST_SHOWN)}"}
    return {"page": 1, "text": f"Show all {found}" if found <= MOST_SHOWN else f"Show {MOST_SHOWN} at a time"}


def _rows(services: Services) -> list[Row]:
    states = list_task_states(services.table)
    active = active_by_task(services.table)
    found = []
    for task in services.registry.tasks().values():
        state, mine = states.get(task.id, TaskState()), active.get(task.id, Active())
        found.append(Row(task, state, mine, task_status(task, state, mine.statuses)))
    return found


def _matches(row: Row, chosen: dict[str, str]) -> bool:
    return (
        is_meant(row.task, chosen)
        and chosen.get("status", row.status) == row.status
        and ("trigger" not in chosen or chosen["trigger"] in _triggers(row.task))
    )


def _triggers(task: CatalogTask) -> list[str]:
    found = [name for name, does in (("schedule", has_schedule(task)), ("dependency", bool(task.depends_on))) if does]
    return found or ["manual"]


def _grouped(tasks: list[dict[str, Any]]) -> list[tuple[str, list[dict[str, Any]]]]:
    groups: dict[str, list[dict[str, Any]]] = {}
    for task in tasks:
        groups.setdefault(task["category"], []).append(task)
    return sorted(groups.items(), key=lambda group: (group[0] == "", group[0]))
