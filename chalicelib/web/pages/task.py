"""One task: what it does, its form, its history; and pausing, stopping, changing it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import islice
from typing import Any

from chalicelib.api import tasks as api
from chalicelib.api.http import Reply
from chalicelib.api.stats import get_stats
from chalicelib.domain.arguments import MASK
from chalicelib.domain.clock import iso
from chalicelib.domain.errors import NightshiftError, http_status
from chalicelib.domain.ids import new_run_id
from chalicelib.domain.model import CatalogTask, Step
from chalicelib.domain.run import ACTIVE, TERMINAL
from chalicelib.engine.services import Services
from chalicelib.store.runs import get_run
from chalicelib.store.tasks import get_task_states
from chalicelib.web.bars import chart
from chalicelib.web.charts import durations, outcomes
from chalicelib.web.forms import Form, fields_of, read_form
from chalicelib.web.graph import graph
from chalicelib.web.pages.runs import list_runs, period_words
from chalicelib.web.snippets import snippets
from chalicelib.web.visit import View, Visit, redirect

CHARTED = 50
LISTED = 15
MONTH = 30  # days of the charts
NEXT_FIRES = 5
FAR_MS = 400 * 86_400_000  # how far ahead they are looked for
EDITABLE = ("schedule", "time_zone", "timeout", "retry_count")


def show(visit: Visit) -> View:
    """JSON: the task, its pipeline, its next fires and its newest runs. `?from=RUN` fills the form with that run's arguments."""
    given = None
    before = visit.request.query.get("from")
    task = _task(visit)
    if before and not visit.wants_json:
        run = get_run(visit.services.table, before)
        given = {k: v for k, v in run.args.items() if v != MASK and not _inline_file(v)}
    return task_page(visit, task, given)


def task_page(
    visit: Visit,
    task: CatalogTask,
    given: Mapping[str, Any] | None = None,
    errors: Mapping[str, str] | None = None,
    trouble: NightshiftError | None = None,
    edited: Mapping[str, str] | None = None,
) -> View:
    """The page, also with a form that was refused: `errors` by field, `trouble` says the rest and gives the status."""
    errors, services = dict(errors or {}), visit.services
    request = replace(visit.request, params={"task_id": task.id}, query={})
    chosen = {k: v for k, v in visit.request.query.items() if k in ("status", "since") and v}
    history = list_runs(visit, chosen | {"task": task.id, "limit": str(CHARTED)})
    if visit.fragment == "history":
        return View("_history.html", {"runs": history["runs"]}, _history(task, history, chosen))
    view = api.get_task(request).body
    month = get_stats(replace(request, query={"days": str(MONTH), "task": task.id})).body
    tasks = services.registry.tasks()
    drawn = graph(task.id, {t.id: t.depends_on for t in tasks.values()}, {t.id: t.title for t in tasks.values()})
    data = {
        "task": view,
        "pipeline": _pipeline(visit, task),
        "next_runs": _next_runs(visit, task),
        "runs": history["runs"],
        "next_cursor": history["next_cursor"],
        "upstream": drawn["upstream"] if drawn else [],
        "downstream": drawn["downstream"] if drawn else [],
        "stats": {name: month[name] for name in ("from", "to", "total", "by_day")},
    }
    names = {p.name for p in task.parameters}
    extra = {
        "fields": fields_of(task.parameters, given, errors),
        "errors": errors,
        "loose_errors": {k: v for k, v in errors.items() if k not in names and k not in ("confirm", *EDITABLE)},
        "trouble": trouble.message if trouble else "",
        "nonce": new_run_id(),
        "snippets": snippets(task, given or {}, services.settings.api_url),
        "graph": drawn,
        "graph_states": _states(services, drawn),
        "outcomes": outcomes(month["by_day"]),
        "durations": durations(month["by_day"]),
        "edited": {name: (edited or {}).get(name, _shown(view, name)) for name in EDITABLE},
        "editing": edited is not None,
        "default_time_zone": services.settings.time_zone,
    }
    extra |= _history(task, history, chosen)
    return View("task.html", data, extra, http_status(trouble) if trouble else 200)


def _history(task: CatalogTask, history: dict[str, Any], chosen: dict[str, str]) -> dict[str, Any]:
    """What `_history.html` draws."""
    return {
        "task_id": task.id,
        "bars": chart(history["runs"]),
        "listed": LISTED,
        "more": history["next_cursor"],
        "chosen": {name: chosen.get(name, "") for name in ("status", "since")},
        "statuses": (*ACTIVE, *TERMINAL),
        "periods": period_words(),
    }


def _states(services: Services, drawn: dict[str, Any] | None) -> dict[str, str]:
    """How the last run of each drawn task ended."""
    if drawn is None:
        return {}
    states = get_task_states(services.table, [box["task_id"] for box in drawn["boxes"]])
    return {task_id: state.last_status or "" for task_id, state in states.items()}


def stop(visit: Visit) -> Reply:
    """Stop its active runs."""
    task = _task(visit)
    reply = api.stop_task(replace(visit.request, params={"task_id": task.id}))
    return reply if visit.wants_json else redirect(visit, f"/admin/task/{task.id}")


def enable(visit: Visit) -> Reply | View:
    """Pause or resume: the field `enabled` says which."""
    task = _task(visit)
    wanted = read_form(visit.request).text("enabled") == "true"
    reply = _patch(visit, task, {"enabled": wanted})
    if visit.wants_json:
        return reply
    return redirect(visit, f"/admin/task/{task.id}")


def edit(visit: Visit) -> Reply | View:
    """Change schedule and limits. An empty schedule is none, an empty zone or timeout the default."""
    task = _task(visit)
    form = read_form(visit.request)
    values: dict[str, Any] = {name: form.text(name) or None for name in EDITABLE if name in form.texts}
    if "retry_count" in values:
        text = values["retry_count"] or "0"
        values["retry_count"] = int(text) if text.isdigit() else text
    try:
        reply = _patch(visit, task, values)
    except NightshiftError as error:
        if visit.wants_json:
            raise
        return _refused_edit(visit, task, form, error)
    return reply if visit.wants_json else redirect(visit, f"/admin/task/{task.id}")


def _refused_edit(visit: Visit, task: CatalogTask, form: Form, error: NightshiftError) -> View:
    errors = {e.field.partition(".")[0]: e.message for e in error.errors}
    return task_page(visit, task, None, errors, error, edited=form.texts)


def _patch(visit: Visit, task: CatalogTask, values: dict[str, Any]) -> Reply:
    import json

    body = json.dumps(values).encode()
    from chalicelib.api.changes import patch_task

    return patch_task(replace(visit.request, params={"task_id": task.id}, raw_body=body))


def _task(visit: Visit) -> CatalogTask:
    return visit.services.registry.task(visit.request.params["key"])


def _pipeline(visit: Visit, task: CatalogTask) -> dict[str, Any]:
    """Its steps as people read them, and those at its end; of a Python task the function."""
    pipeline = visit.services.catalog.pipelines.get(task.pipeline)
    lists = ("steps", "on_success", "on_failure", "always")
    drawn = {name: [_step(step) for step in getattr(pipeline, name)] if pipeline else [] for name in lists}
    return {"name": task.pipeline, **drawn}


def _step(step: Step) -> dict[str, Any]:
    written = step.model_dump(mode="json", exclude_defaults=True)
    return {"name": step.name or step.processor, "config": {}, **written}


def _next_runs(visit: Visit, task: CatalogTask) -> list[dict[str, Any]]:
    """`[{at, skipped}]` of the fires to come; `skipped` says why one will not run."""
    if not task.enabled:
        return []
    from chalicelib.domain.timetable import fires_between

    services = visit.services
    now, paused = services.now(), services.registry.paused(task)
    fires = fires_between(task, services.settings.time_zone, now, now + FAR_MS, NEXT_FIRES)
    return [{"at": iso(fire.at), "skipped": "paused" if paused else fire.blackout or None} for fire in islice(fires, NEXT_FIRES)]


def _shown(task: dict[str, Any], name: str) -> str:
    return "" if task[name] is None else str(task[name])


def _inline_file(value: Any) -> bool:
    """Files that came inside a request are not sent back into a form."""
    return isinstance(value, dict) and "content_base64" in value
