"""Routes under /tasks and /task."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from chalicelib.api.http import Reply, Request
from chalicelib.api.views import run_view, started_view, task_view
from chalicelib.domain.arguments import validate_arguments
from chalicelib.domain.clock import parse_iso
from chalicelib.domain.errors import FieldError, InvalidArgumentsError, InvalidRequestError
from chalicelib.domain.model import CatalogTask
from chalicelib.domain.run import COMMAND_AGENT, RunRecord, Trigger
from chalicelib.engine import starter
from chalicelib.store.listing import Active, active_by_task
from chalicelib.store.runs import get_run
from chalicelib.store.tasks import TaskState, get_task_state, list_task_states

WAIT_SECONDS = 25.0  # API Gateway waits 29
STATUSES = ("scheduled", "queued", "running", "completed", "failed", "stopped", "disabled")
MOST_KEY = 200


def list_tasks(request: Request) -> Reply:
    """In order of their ids; three queries, however many tasks there are."""
    services = request.services
    services.registry.refresh()
    wanted = request.choice("status", STATUSES)
    states = list_task_states(services.table)
    active = active_by_task(services.table)
    now = services.now()

    def views() -> Iterator[dict[str, Any]]:
        for _id, task in sorted(services.registry.tasks().items()):
            if is_meant(task, request.query):
                view = task_view(services, task, states.get(task.id, TaskState()), active.get(task.id, Active()), now)
                if wanted is None or view["status"] == wanted:
                    yield view

    tasks, cursor = request.page(views(), "id")
    return Reply({"tasks": tasks, "next_cursor": cursor})


def is_meant(task: CatalogTask, query: dict[str, str]) -> bool:
    """Whether a task is one of those that `q`, `category` and `tag` ask for."""
    if task.category != query.get("category", task.category) or ("tag" in query and query["tag"] not in task.tags):
        return False
    text = " ".join([task.id, task.title, task.description, task.category, *task.tags]).lower()
    return all(word in text for word in query.get("q", "").lower().split())


def get_task(request: Request) -> Reply:
    """Definition and state; the ETag is what If-Match of a change wants."""
    return task_reply(request, request.params["task_id"])


def start_task(request: Request) -> Reply:
    """202 at once."""
    return Reply(started_view(request.services, _start(request)), 202)


def run_task(request: Request) -> Reply:
    """200 with the finished run, or 202 when it outlasts the wait."""
    started = time.monotonic()
    run, pause = _start(request), 0.05
    # One that was asked for at a later instant is not waited for.
    while run.status != "scheduled" and not run.terminal and time.monotonic() - started < WAIT_SECONDS:
        time.sleep(pause)
        pause = min(pause * 1.5, 0.5)
        run = get_run(request.services.table, run.id)
    return Reply(run_view(request.services, run), 200 if run.terminal else 202)


def stop_task(request: Request) -> Reply:
    """202 with the runs that were active, 409 when there is none."""
    task = request.services.registry.task(request.params["task_id"])
    return Reply({"stopped": starter.stop_task(request.services, task.id, request.who)}, 202)


def _start(request: Request) -> RunRecord:
    services, task_id = request.services, request.params["task_id"]
    task = services.registry.task(task_id)
    body = request.body({"args", "at"})
    args = {} if body.get("args") is None else body["args"]
    if not isinstance(args, dict):
        raise InvalidRequestError("args has to be an object", [FieldError("args", 'has to be an object, like {"name": "value"}')])
    key = request.headers.get("idempotency-key")
    if key is not None and not 0 < len(key) <= MOST_KEY:
        raise InvalidRequestError(f"Idempotency-Key has to be 1 to {MOST_KEY} characters long")
    checked: dict[str, Any] = validate_arguments(task.parameters, args)
    trigger: Trigger = "manual" if request.headers.get("user-agent") == COMMAND_AGENT else "api"
    at = _instant(body.get("at"))
    return starter.start(services, task_id, checked, trigger=trigger, idempotency_key=key, at=at, by=request.who)


def _instant(text: Any) -> int | None:
    """When the run is to start. Raises InvalidArgumentsError."""
    if text is None:
        return None
    try:
        return parse_iso(text)
    except (TypeError, ValueError) as error:
        says = f"has to be an instant like 2026-01-31T02:00:00Z: {error}"
        raise InvalidArgumentsError(f"at {says}", [FieldError("at", says)]) from None


def task_reply(request: Request, task_id: str, status: int = 200) -> Reply:
    """A task with its ETag."""
    services = request.services
    services.registry.refresh()
    task = services.registry.task(task_id)
    active = active_by_task(services.table, task_id).get(task_id, Active())
    view = task_view(services, task, get_task_state(services.table, task_id), active, services.now())
    return Reply(view, status, {"ETag": services.registry.etag(task_id)})
