"""One run: its status, steps, terminal, result or error; stopping it, and running it again."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from chalicelib.api import runs as api
from chalicelib.api.http import Reply
from chalicelib.domain.run import TERMINAL
from chalicelib.web.results import blocks
from chalicelib.web.timeline import attempts_drawn, steps_drawn
from chalicelib.web.visit import View, Visit, redirect

LAST_LINES = 200  # events that a page without scripts shows


def show(visit: Visit) -> View:
    """JSON: as GET /run/{id}. The fragment `parts` is what stands around the terminal."""
    services, run_id = visit.services, visit.request.params["run_id"]
    run = api.get_run(replace(visit.request, query={})).body
    if visit.wants_json:
        return View("run.html", run)
    task = services.registry.known(run["task_id"])
    lines: list[dict[str, Any]] = []
    if not visit.fragment:
        asked = replace(visit.request, query={"after": str(max(0, run["seq"] - LAST_LINES)), "limit": str(LAST_LINES)})
        lines = [e for e in api.get_log(asked).body["events"] if e["type"] == "line"]
    extra = {
        "run": run,
        "task": task,
        "terminal": run["status"] in TERMINAL,
        "steps": steps_drawn(run["steps"]),
        "attempts": attempts_drawn(run["attempts"]),
        "planned": len(services.catalog.pipelines[task.pipeline].steps)
        if task and task.pipeline in services.catalog.pipelines
        else 1,
        "result_blocks": blocks(run["result"]),
        "args": _shown_args(run["args"]),
        "lines": lines,
        "cut": run["seq"] > LAST_LINES,
        "exists": run["task_id"] in services.registry.tasks(),
        "websocket": run["websocket_url"] or "",
        "run_id": run_id,
    }
    return View("_run_parts.html" if visit.fragment == "parts" else "run.html", run, extra)


def stop(visit: Visit) -> Reply:
    """Stop it."""
    reply = api.stop_run(replace(visit.request, query={}))
    return reply if visit.wants_json else _page_of(visit, visit.request.params["run_id"])


def retry(visit: Visit) -> Reply:
    """Again with the same arguments; what is dangerous goes through its form, to be confirmed."""
    run = api.get_run(replace(visit.request, query={})).body
    task = visit.services.registry.task(run["task_id"])
    if task.danger and not visit.wants_json:
        return redirect(visit, f"/admin/task/{task.id}", **{"from": run["id"]})
    reply = api.retry_run(replace(visit.request, query={}))
    return reply if visit.wants_json else _page_of(visit, reply.body["run_id"])


def _page_of(visit: Visit, run_id: str) -> Reply:
    return redirect(visit, f"/admin/run/{run_id}")


def _shown_args(args: dict[str, Any]) -> list[tuple[str, str]]:
    """Names and values as people read them; of a file its name."""
    found = []
    for name, value in args.items():
        if isinstance(value, dict) and "name" in value:
            value = value["name"]
        found.append((name, str(value).lower() if isinstance(value, bool) else str(value)))
    return found
