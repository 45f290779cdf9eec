"""Routes /schedule, /task/{id}/fires, /_pause and /_resume."""

from __future__ import annotations

from typing import Any

from chalicelib.api.http import Reply, Request
from chalicelib.domain.clock import iso, parse_iso
from chalicelib.domain.conflicts import Slice, conflicts_of
from chalicelib.domain.durations import text_of
from chalicelib.domain.errors import FieldError, InvalidCursorError, InvalidRequestError
from chalicelib.domain.timetable import fires_between
from chalicelib.engine.registry import EVERYTHING
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
    states = list_task_states(services.table)
    tasks = [t for t in services.registry.tasks().values() if t.enabled]
    fires: list[tuple[int, dict[str, Any]]] = []
    slices: dict[str, list[Slice]] = {}
    truncated = []
    for task in tasks:
        seconds = usual_seconds(states.get(task.id, TaskState()))
        coming = list(fires_between(task, services.settings.time_zone, now, now + days * DAY_MS, MOST_OF_A_TASK + 1))
        if len(coming) > MOST_OF_A_TASK:
            truncated.append(task.id)
        for fire in coming[:MOST_OF_A_TASK]:
            skipped = "paused" if services.registry.paused(task) else fire.blackout
            if request.query.get("task") in (None, task.id):
                about = {"task_id": task.id, "at": iso(fire.at), "duration": text_of(seconds), "slots": task.slots}
                fires.append((fire.at, about | {"skipped": skipped or None}))
            if not skipped:
                for name in services.path_of(task):
                    if not name.startswith("task:"):
                        piece = Slice(task.id, fire.at, fire.at + round(seconds * 1000), task.slots)
                        slices.setdefault(name, []).append(piece)
    fires.sort(key=lambda pair: pair[0])
    conflicts = [
        {
            "semaphore": c.semaphore,
            "from": iso(c.begins),
            "to": iso(c.ends),
            "tasks": sorted(c.tasks),
            "slots_needed": c.needed,
            "slots": c.limit,
            "over": c.over,
        }
        for name, pieces in sorted(slices.items())
        for c in conflicts_of(name, services.limit_of(name), pieces)
    ]
    return Reply(
        {
            "from": iso(now),
            "to": iso(now + days * DAY_MS),
            "fires": [about for _at, about in fires[:MOST_FIRES]],
            "conflicts": conflicts,
            "truncated": sorted(truncated) if len(fires) <= MOST_FIRES else ["*"],
            "next_cursor": None,
        }
    )


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
    request.services.registry.change(EVERYTHING, {"paused": True})
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
