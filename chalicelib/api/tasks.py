"""Routes under /tasks and /task."""

from __future__ import annotations

import time
from typing import Any

from chalicelib.api.http import Reply, Request
from chalicelib.api.views import run_view, started_view, task_view
from chalicelib.domain.arguments import validate_arguments
from chalicelib.domain.errors import FieldError, InvalidArgumentsError, InvalidRequestError
from chalicelib.domain.run import RunRecord
from chalicelib.engine import starter
from chalicelib.engine.registry import CHANGEABLE
from chalicelib.store.listing import active_runs
from chalicelib.store.runs import get_run
from chalicelib.store.tasks import TaskState, get_task_state, list_task_states

WAIT_SECONDS = 25.0  # API Gateway waits 29
STATUSES = ("scheduled", "queued", "running", "completed", "failed", "stopped", "disabled")
MOST_KEY = 200


def list_tasks(request: Request) -> Reply:
    """Three queries, however many tasks there are."""
    services = request.services
    wanted = request.choice("status", STATUSES)
    states = list_task_states(services.table)
    active: dict[str, list[str]] = {}
    for _run, task_id, status in active_runs(services.table):
        active.setdefault(task_id, []).append(status)
    now = services.now()
    found = []
    for task in services.registry.tasks().values():
        if "category" in request.query and task.category != request.query["category"]:
            continue
        if "tag" in request.query and request.query["tag"] not in task.tags:
            continue
        text = " ".join([task.id, task.title, task.description, task.category, *task.tags]).lower()
        if not all(word in text for word in request.query.get("q", "").lower().split()):
            continue
        view = task_view(services, task, states.get(task.id, TaskState()), active.get(task.id, []), now)
        if wanted is None or view["status"] == wanted:
            found.append(view)
    return Reply({"tasks": found, "next_cursor": None})


def get_task(request: Request) -> Reply:
    """Definition and state."""
    return Reply(_view(request, request.params["task_id"]))


def put_task(request: Request) -> Reply:
    """A task made at run time, or a deleted one of the code brought back."""
    from chalicelib.catalog.checks import check_task

    services, task_id = request.services, request.params["task_id"]
    known = services.catalog.tasks.get(task_id)
    fields: set[str] = {"name", "title", "description", "category", "tags", "icon", "enabled", "schedule", "time_zone", "pipeline"}
    body = request.body(fields | {"timeout", "retry_count", "danger", "expensive", "parameters", "metadata", "args"})
    if known is not None:
        if not services.registry.changes_of(task_id).get("deleted") or body:
            says = "is a task of the code: change it there, or PATCH it; an empty PUT brings it back when it was deleted"
            raise InvalidArgumentsError(f"'{task_id}' {says}", [FieldError("id", says)])
        services.registry.change(task_id, None)
        return Reply(_view(request, task_id))
    task, faults = check_task(body | {"id": task_id}, services.catalog.pipelines)
    if task is None or faults:
        errors = [FieldError(".".join(str(p) for p in f.path) or "body", f.message) for f in faults]
        raise InvalidArgumentsError("the task is not right", errors)
    made = task_id not in services.registry.tasks()
    services.registry.change(task_id, {"task": task.model_dump(mode="json", exclude_defaults=True)})
    return Reply(_view(request, task_id), 201 if made else 200)


def patch_task(request: Request) -> Reply:
    """Change enabled, schedule and the like."""
    from chalicelib.catalog.checks import check_task

    services, task_id = request.services, request.params["task_id"]
    task = services.registry.task(task_id)
    body = request.body(set(CHANGEABLE))
    whole = task.model_dump(mode="json", exclude={"function", "modules", "source"}, exclude_defaults=True)
    checked, faults = check_task(whole | body, services.catalog.pipelines)
    if checked is None or faults:
        errors = [FieldError(".".join(str(p) for p in f.path) or "body", f.message) for f in faults]
        raise InvalidArgumentsError("the change is not right", errors)
    before = services.registry.changes_of(task_id)
    if "task" in before:
        services.registry.change(task_id, {"task": checked.model_dump(mode="json", exclude_defaults=True)})
    else:
        values = checked.model_dump(mode="json")
        services.registry.change(task_id, {"set": before.get("set", {}) | {k: values[k] for k in body}})
    return Reply(_view(request, task_id))


def delete_task(request: Request) -> Reply:
    """Gone from every list; its runs stay until their retention is over. Active runs go on."""
    services, task_id = request.services, request.params["task_id"]
    services.registry.task(task_id)
    services.registry.change(task_id, {"deleted": True} if task_id in services.catalog.tasks else None)
    return Reply("", 204)


def start_task(request: Request) -> Reply:
    """202 at once."""
    return Reply(started_view(request.services, _start(request)), 202)


def run_task(request: Request) -> Reply:
    """200 with the finished run, or 202 when it outlasts the wait."""
    started = time.monotonic()
    run, pause = _start(request), 0.05
    while not run.terminal and time.monotonic() - started < WAIT_SECONDS:
        time.sleep(pause)
        pause = min(pause * 1.5, 0.5)
        run = get_run(request.services.table, run.id)
    return Reply(run_view(request.services, run), 200 if run.terminal else 202)


def stop_task(request: Request) -> Reply:
    """202 with the runs that were active, 409 when there is none."""
    task = request.services.registry.task(request.params["task_id"])
    return Reply({"stopped": starter.stop_task(request.services, task.id)}, 202)


def _start(request: Request) -> RunRecord:
    services, task_id = request.services, request.params["task_id"]
    task = services.registry.task(task_id)
    body = request.body({"args"})
    args = body.get("args") or {}
    if not isinstance(args, dict):
        raise InvalidRequestError("args has to be an object", [FieldError("args", 'has to be an object, like {"name": "value"}')])
    key = request.headers.get("idempotency-key")
    if key is not None and not 0 < len(key) <= MOST_KEY:
        raise InvalidRequestError(f"Idempotency-Key has to be 1 to {MOST_KEY} characters long")
    checked: dict[str, Any] = validate_arguments(task.parameters, args)
    return starter.start(services, task_id, checked, trigger="api", idempotency_key=key)


def _view(request: Request, task_id: str) -> dict[str, Any]:
    services = request.services
    task = services.registry.task(task_id)
    active = [status for _run, _task, status in active_runs(services.table, task_id)]
    return task_view(services, task, get_task_state(services.table, task_id), active, services.now())
