"""Runs and tasks as the API shows them."""

from __future__ import annotations

from collections import Counter
from typing import Any

from chalicelib.api.artifacts import artifact_views
from chalicelib.api.auth import ticket_for
from chalicelib.domain.arguments import masked
from chalicelib.domain.clock import iso
from chalicelib.domain.durations import text_of
from chalicelib.domain.model import CatalogTask, Parameter
from chalicelib.domain.price import MEMORY, Usage, price, usage_of_runs
from chalicelib.domain.run import RunRecord
from chalicelib.engine.services import Services
from chalicelib.store.listing import Active
from chalicelib.store.tasks import TaskState

MOST_FIRES = 5_000  # that are remembered


def run_view(services: Services, run: RunRecord, *, whole: bool = True) -> dict[str, Any]:
    """A run as JSON; in lists without result, steps and stack (`whole=False`)."""
    seconds = run.duration
    ticket = ticket_for(services, run.id) if services.settings.websocket_enabled else None
    view: dict[str, Any] = {
        "id": run.id,
        "run_id": run.id,
        "task_id": run.task_id,
        "status": run.status,
        "trigger": run.trigger,
        "args": masked(_parameters(services, run.task_id), run.args),
        "attempt": run.attempt,
        "created_at": iso(run.created_at),
        "started_at": _iso(run.started_at),
        "finished_at": _iso(run.finished_at),
        "duration": None if seconds is None else text_of(seconds),
        "duration_seconds": seconds,
        "progress": run.progress,
        "waiting_for": None,
        "stop_requested": run.stop_requested,
        "partial": run.partial,
        "result": run.result,
        "error": run.error,
        "retry_of": run.retry_of,
        "started_by": run.started_by,
        "stopped_by": run.stopped_by,
        "caused_by": run.caused_by,
        "fire_at": _iso(run.fire_at),
        "seq": run.seq,
        "url": f"{services.settings.api_url}/run/{run.id}",
        "websocket_url": websocket_url(services, run.id, ticket),
    }
    if not whole:
        del view["result"]
        if run.error:
            view["error"] = {k: run.error.get(k) for k in ("type", "message", "step")}
        return view
    return view | {
        "summary": summary_of(run),
        "leg": run.leg,
        "steps": run.steps,
        "warnings": run.warnings,
        "artifacts": artifact_views(services, run),
        "attempts": [a | {"started_at": _iso(a["started_at"]), "finished_at": _iso(a["finished_at"])} for a in run.attempts],
        "history": [h | {"at": iso(h["at"])} for h in run.history],
        "usage": usage_view(services, run),
    }


def usage_view(services: Services, run: RunRecord) -> dict[str, Any] | None:
    """What it used of its machine, and what an ended one cost: dollars by list prices, without storage, logs and data out."""
    if not run.terminal or not run.attempts:
        return run.usage
    task = services.registry.known(run.task_id)
    known = [a for a in run.attempts if a.get("started_at") and a.get("finished_at")]
    seconds = sum(a["finished_at"] - a["started_at"] for a in known) / 1000
    more = Usage(invocations=sum(a.get("legs", 1) for a in known) - 1)
    return (run.usage or {}) | {"dollars": round(price(usage_of_runs(1, seconds, task.memory if task else MEMORY) + more), 9)}


def summary_of(run: RunRecord) -> str:
    """How it went, in a line: `completed in part after 1m30s; steps: 3 completed, 1 failed; warnings: 1; artifacts: 2`."""
    counts = Counter(str(step.get("status")) for step in run.steps if not step.get("depth"))
    steps = ", ".join(f"{count} {status}" for status, count in counts.items())
    about = [f"steps: {steps}"] if steps else []
    about += [f"{name}: {len(found)}" for name, found in (("warnings", run.warnings), ("artifacts", run.artifacts)) if found]
    says = run.status + (" in part" if run.partial else "")
    says += f" after {text_of(run.duration)}" if run.duration is not None else ""
    says += f", attempt {run.attempt}" if run.attempt > 1 else ""
    return "; ".join([says, *about])


def started_view(services: Services, run: RunRecord) -> dict[str, Any]:
    """The answer to a start."""
    view = run_view(services, run)
    return {k: view[k] for k in ("run_id", "task_id", "status", "url", "websocket_url")}


def websocket_url(services: Services, run_id: str, ticket: str | None) -> str | None:
    """Where a client follows a run; None where streaming is off. API Gateway allows no path, the laptop does."""
    base = services.settings.websocket_url
    if not base or ticket is None:
        return None
    if base.endswith("/ws/task"):
        return f"{base}/{run_id}?ticket={ticket}"
    return f"{base}?run={run_id}&ticket={ticket}"


def task_view(services: Services, task: CatalogTask, state: TaskState, active: Active, now: int) -> dict[str, Any]:
    """A task as JSON."""
    change = services.registry.changes_of(task.id)
    return {
        "id": task.id,
        "name": task.name,
        "title": task.title,
        "description": task.description,
        "category": task.category,
        "tags": task.tags,
        "icon": task.icon,
        "status": task_status(task, state, active.statuses),
        "enabled": task.enabled,
        "schedule": task.schedule,
        "schedule_text": _schedule_text(services, task),
        "time_zone": task.time_zone or services.settings.time_zone,
        "pipeline": task.pipeline,
        "timeout": text_of(task.timeout or services.settings.timeout),
        "timeout_seconds": task.timeout or services.settings.timeout,
        "retry_count": task.retry_count,
        "retry": task.retry_policy.model_dump(),
        "artifacts": task.artifacts,
        "last_run": _iso(state.last_started_at),
        "last_run_id": state.last_run_id,
        "last_status": state.last_status,
        "next_run": _next_run(services, task, active, now),
        "duration": None if state.last_seconds is None else text_of(state.last_seconds),
        "duration_seconds": state.last_seconds,
        "usual_seconds": round(state.total_seconds / state.runs, 3) if state.runs else None,
        "paused": services.registry.paused(task),
        "every": text_of(task.every) if task.every else None,
        "at": task.at,
        "overlap": task.overlap,
        "max_concurrent": task.max_concurrent,
        "pool": task.pool,
        "slots": task.slots,
        "priority": task.priority,
        "rate_limit": task.rate_limit,
        "catch_up": task.catch_up,
        "depends_on": task.depends_on,
        "danger": task.danger,
        "expensive": task.expensive,
        "parameters": [parameter_view(p) for p in task.parameters],
        "active_runs": len(active.statuses),
        "runs": {"total": state.runs, "completed": state.completed, "failed": state.failed, "stopped": state.stopped},
        "changed_by": change.get("by"),
        "changed_at": _iso(change.get("at")),
        "metadata": task.metadata,
        "source": task.source,
    }


def parameter_view(parameter: Parameter) -> dict[str, Any]:
    """A parameter as JSON: what is set, and always name, type, title, required and default."""
    view = parameter.model_dump(exclude_defaults=True)
    always = {"name": parameter.name, "type": parameter.type, "required": parameter.required, "default": parameter.default}
    return view | always | {"title": parameter.title or parameter.name.replace("_", " ").capitalize()}


def task_status(task: CatalogTask, state: TaskState, active: list[str]) -> str:
    """What a task is doing: its active runs first, then whether it is enabled, then how its last run ended."""
    for status in ("running", "queued"):
        if status in active:
            return status
    if not task.enabled:
        return "disabled"
    return state.last_status or "scheduled"


def _schedule_text(services: Services, task: CatalogTask) -> str | None:
    from chalicelib.domain.timetable import describe

    return describe(task, services.settings.time_zone)


def _next_run(services: Services, task: CatalogTask, active: Active, now: int) -> str | None:
    """Its next fire, or a run that somebody asked for at an earlier instant."""
    from chalicelib.domain.timetable import has_schedule

    known = [] if active.asked_for is None else [active.asked_for]
    if task.enabled and has_schedule(task) and (at := _next_fire(services, task, now)) is not None:
        known.append(at)
    return iso(min(known)) if known else None


_fires: dict[tuple[str, str], tuple[int, int]] = {}  # (task's ETag, zone) -> from when on (epoch ms) which fire is the next


def _next_fire(services: Services, task: CatalogTask, now: int) -> int | None:
    """Worked out once for a definition, and again when that fire has passed: until then it is the next of any instant."""
    from chalicelib.domain.timetable import next_fire

    place = f"{task.id} {services.registry.etag(task.id)}", services.settings.time_zone
    since, at = _fires.get(place, (0, 0))
    if since <= now < at:
        return at
    fire = next_fire(task, services.settings.time_zone, now)
    if fire is None:
        return None
    if len(_fires) > MOST_FIRES:
        _fires.clear()
    _fires[place] = (now, fire.at)
    return fire.at


def _parameters(services: Services, task_id: str) -> list[Parameter]:
    task = services.registry.known(task_id)
    return task.parameters if task else []


def _iso(ms: int | None) -> str | None:
    return None if ms is None else iso(ms)
