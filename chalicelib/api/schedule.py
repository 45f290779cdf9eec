"""Routes /schedule, /task/{id}/fires, /_pause and /_resume."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from chalicelib.api.http import Reply, Request
from chalicelib.domain.clock import iso, parse_iso
from chalicelib.domain.conflicts import Conflict, Slice, conflicts_of
from chalicelib.domain.durations import text_of
from chalicelib.domain.errors import FieldError, InvalidCursorError, InvalidRequestError
from chalicelib.domain.model import CatalogTask
from chalicelib.domain.timetable import Fire, fires_between
from chalicelib.engine.registry import EVERYTHING
from chalicelib.engine.services import Services
from chalicelib.store.tasks import TaskState, list_task_states
from chalicelib.store.timetable import list_fires as read_fires

DAY_MS = 86_400_000
MOST_FIRES = 5_000  # of all tasks in one answer; the rest is only counted
MOST_OF_A_TASK = 2_000
UNKNOWN_SECONDS = 60.0  # what a run of a task that never ran is taken to last


def get_schedule(request: Request) -> Reply:
    """Fires within some days from now, in order, and the stretches of time in which they overlap."""
    services = request.services
    days = request.number("days", 7, 31)
    now = services.now()
    until = now + days * DAY_MS
    states = list_task_states(services.table)
    tasks = [t for t in services.registry.tasks().values() if t.enabled]
    fires: list[tuple[int, dict[str, Any]]] = []
    coming = {task.id: fires_of(services, task, now, until) for task in tasks}
    truncated = [task_id for task_id, found in coming.items() if len(found) > MOST_OF_A_TASK]
    for task in tasks:
        if request.query.get("task") not in (None, task.id):
            continue
        duration = text_of(usual_seconds(states.get(task.id, TaskState())))
        for fire in coming[task.id][:MOST_OF_A_TASK]:
            about = {"task_id": task.id, "at": iso(fire.at), "duration": duration, "slots": task.slots}
            fires.append((fire.at, about | {"skipped": fire.blackout}))
    fires.sort(key=lambda pair: pair[0])
    return Reply(
        {
            "from": iso(now),
            "to": iso(until),
            "fires": [about for _at, about in fires[:MOST_FIRES]],
            "conflicts": [conflict_view(c) for c in conflicts_among(services, tasks, coming, states)],
            "truncated": sorted(truncated) if len(fires) <= MOST_FIRES else ["*"],
            "next_cursor": None,
        }
    )


def fires_of(services: Services, task: CatalogTask, begin: int, end: int, most: int = MOST_OF_A_TASK + 1) -> list[Fire]:
    """A task's fires between two instants, at most so many; while it is paused all have a `blackout`."""
    fires = fires_between(task, services.settings.time_zone, begin, end, most)
    if services.registry.paused(task):
        return [Fire(fire.at, "paused") for fire in fires]
    return list(fires)


def conflicts_among(
    services: Services, tasks: Iterable[CatalogTask], coming: Mapping[str, Sequence[Fire]], states: Mapping[str, TaskState]
) -> list[Conflict]:
    """Where these fires overlap, by each semaphore that tasks share."""
    slices: dict[str, list[Slice]] = {}
    for task in tasks:
        lasts = round(usual_seconds(states.get(task.id, TaskState())) * 1000)
        pieces = [Slice(task.id, f.at, f.at + lasts, task.slots) for f in coming[task.id][:MOST_OF_A_TASK] if not f.blackout]
        for name in services.path_of(task) if pieces else ():
            if not name.startswith("task:"):
                slices.setdefault(name, []).extend(pieces)
    return [c for name, pieces in sorted(slices.items()) for c in conflicts_of(name, services.limit_of(name), pieces)]


def conflict_view(conflict: Conflict) -> dict[str, Any]:
    """A conflict as JSON."""
    return {
        "semaphore": conflict.semaphore,
        "from": iso(conflict.begins),
        "to": iso(conflict.ends),
        "tasks": sorted(conflict.tasks),
        "slots_needed": conflict.needed,
        "slots": conflict.limit,
        "over": conflict.over,
    }


def list_fires(request: Request) -> Reply:
    """The ledger of one task."""
    task = request.services.registry.task(request.params["task_id"])
    cursor = request.query.get("cursor")
    if cursor is not None and not (cursor.isdigit() and len(cursor) == 15):
        raise InvalidCursorError(f"cursor '{cursor}' is not one that this list gave out")
    since = None
    if "since" in request.query:
        since = instant_of_query(request.query["since"])
    fires, more = read_fires(request.services.table, task.id, since=since, limit=request.number("limit", 50, 500), cursor=cursor)
    return Reply({"fires": fires, "next_cursor": more})


def pause_all(request: Request) -> Reply:
    """Fires are skipped from now on, and say so in the ledger; runs at work go on."""
    noted = {"paused": True, "by": request.who or None, "at": request.services.now()}
    request.services.registry.change(EVERYTHING, noted)
    return Reply({"paused": True})


def resume_all(request: Request) -> Reply:
    """Fires become runs again."""
    request.services.registry.change(EVERYTHING, None)
    return Reply({"paused": False})


def usual_seconds(state: TaskState) -> float:
    """How long a run of a task usually takes."""
    return state.total_seconds / state.runs if state.runs else UNKNOWN_SECONDS


def instant_of_query(text: str) -> int:
    """Epoch ms of `?since=`. Raises InvalidRequestError."""
    try:
        return parse_iso(text)
    except ValueError as error:
        says = f"has to be an instant like 2026-01-31T02:00:00Z: {error}"
        raise InvalidRequestError(f"since {says}", [FieldError("since", says)]) from None
