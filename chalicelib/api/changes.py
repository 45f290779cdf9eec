"""Changing tasks at run time: PUT, PATCH and DELETE of /task/{id}. In effect at once here, and everywhere within a minute."""

from __future__ import annotations

from typing import Any

from chalicelib.api.http import Reply, Request
from chalicelib.api.tasks import task_reply
from chalicelib.domain.errors import ConflictError, FieldError, InvalidArgumentsError
from chalicelib.domain.model import FUNCTION_KEYS, Task
from chalicelib.domain.retry import changed
from chalicelib.engine.registry import CHANGEABLE
from chalicelib.engine.timetable import plan_task
from chalicelib.store.sync import want_sync

WRITABLE = {field.alias or name for name, field in Task.model_fields.items()} - {"id"} - FUNCTION_KEYS
RETRY = frozenset({"retry", "retry_count"})  # the count of the one is the other


def put_task(request: Request) -> Reply:
    """A task made at run time, or a deleted one of the code brought back (an empty body)."""
    services, task_id = request.services, request.params["task_id"]
    body = request.body(WRITABLE)
    services.registry.refresh()
    if task_id in services.catalog.tasks:
        if body or not services.registry.changes_of(task_id).get("deleted"):
            says = "is a task of the code: change it there, or PATCH it; an empty PUT brings it back when it was deleted"
            raise InvalidArgumentsError(f"'{task_id}' {says}", [FieldError("id", says)])
        _change(request, None)
        return task_reply(request, task_id)
    made = task_id not in services.registry.tasks()
    _change(request, {"task": _as_json(_checked(request, body | {"id": task_id}), exclude_defaults=True)})
    return task_reply(request, task_id, 201 if made else 200)


def patch_task(request: Request) -> Reply:
    """Change some fields; null puts a field back to its default."""
    services, task_id = request.services, request.params["task_id"]
    services.registry.refresh()
    task = services.registry.task(task_id)
    body = request.body(set(CHANGEABLE))
    whole = _as_json(task, exclude_defaults=True, exclude={"function", "modules", "source"})
    wanted = {k: v for k, v in changed(whole, body).items() if v is not None}
    checked = _checked(request, wanted)
    before = services.registry.changes_of(task_id)
    if "task" in before:
        _change(request, {"task": _as_json(checked, exclude_defaults=True)})
    else:
        values = _as_json(checked)
        names = {*body, *(RETRY if not RETRY.isdisjoint(body) else ())}
        _change(request, {"set": before.get("set", {}) | {k: values[k] for k in sorted(names)}})
    return task_reply(request, task_id)


def delete_task(request: Request) -> Reply:
    """Gone from every list; its runs stay until their retention is over, and active ones go on. 409 while others depend on it."""
    services, task_id = request.services, request.params["task_id"]
    services.registry.refresh()
    services.registry.task(task_id)
    dependents = sorted(t.id for t in services.registry.tasks().values() if task_id in t.depends_on)
    if dependents:
        raise ConflictError(f"task '{task_id}' cannot be deleted: {', '.join(dependents)} depends on it")
    _change(request, {"deleted": True} if task_id in services.catalog.tasks else None)
    return Reply("", 204)


def _change(request: Request, change: dict[str, Any] | None) -> None:
    services, task_id = request.services, request.params["task_id"]
    noted = {**change, "by": request.who or None, "at": services.now()} if change else None
    services.registry.change(task_id, noted, request.headers.get("if-match"))
    plan_task(services, task_id)
    want_sync(services.table)  # the cadence rules follow with the next sweep, which meanwhile wakes the dispatcher itself


def _checked(request: Request, raw: dict[str, Any]) -> Task:
    from chalicelib.catalog.checks import check_task
    from chalicelib.catalog.references import unknown_arguments
    from chalicelib.catalog.relations import check_relations

    services = request.services
    task, faults = check_task(raw, services.catalog.pipelines, services.settings.time_zone)
    if task is not None and not faults:
        settings = services.settings
        faults = check_relations(task, services.registry.tasks(), settings.pools, settings.max_concurrent_tasks)
        faults += unknown_arguments(services.catalog.pipelines[task.pipeline], task)
    if task is None or faults:
        errors = [FieldError(".".join(str(p) for p in f.path) or "body", _says(f.message, f.hint)) for f in faults]
        raise InvalidArgumentsError("the task is not right: " + "; ".join(f"{e.field} {e.message}" for e in errors), errors)
    return task


def _says(message: str, hint: str) -> str:
    return f"{message}; {hint}" if hint else message


def _as_json(task: Task, **options: Any) -> dict[str, Any]:
    return task.model_dump(mode="json", by_alias=True, **options)
