"""Routes under /runs and /run."""

from __future__ import annotations

from typing import Any

from chalicelib.api.http import Reply, Request
from chalicelib.api.schedule import instant_of_query
from chalicelib.api.views import run_view, started_view
from chalicelib.domain.errors import RunNotFinishedError
from chalicelib.domain.run import ACTIVE, TERMINAL, RunRecord
from chalicelib.engine import starter
from chalicelib.store import queue, semaphores
from chalicelib.store.events import read_events, read_result
from chalicelib.store.listing import list_runs
from chalicelib.store.runs import get_run as read_run

FORMATS = ("json", "yaml", "csv")
MOST_LOG_BYTES = 4_000_000  # a Lambda answers with 6 MB at most


def list_all_runs(request: Request) -> Reply:
    """Newest first."""
    return _list(request, None)


def list_task_runs(request: Request) -> Reply:
    """Newest first; also of a task that is deleted, as long as its runs are kept."""
    task_id = request.params["task_id"]
    reply = _list(request, task_id)
    if not reply.body["runs"]:
        request.services.registry.task(task_id)
    return reply


def get_run(request: Request) -> Reply:
    """The run, and while it is queued what it waits for."""
    services = request.services
    run = read_run(services.table, request.params["run_id"])
    view = run_view(services, run)
    view["result"] = read_result(services.table, run) if run.terminal else None
    if run.status == "queued":
        view["waiting_for"] = _waiting_for(request, run)
    return Reply(view)


def get_log(request: Request) -> Reply:
    """Events after a seq; `next_cursor` is the `after` of the next page, None when there is no more just now."""
    after = request.number("after", 0, 10**10, least=0)
    limit = request.number("limit", 1000, 5000)
    shown = request.choice("format", ("json", "text"))
    run = read_run(request.services.table, request.params["run_id"])
    events, size = [], 0
    for event in read_events(request.services.table, run, after, limit):
        size += len(event.get("text", "")) + 120
        if size > MOST_LOG_BYTES:
            break
        events.append(event)
    last = events[-1]["seq"] if events else after
    more = str(last) if last < run.seq else None
    if shown == "text" or (shown is None and "text/plain" in request.headers.get("accept", "")):
        text = "".join(e["text"] + "\n" for e in events if e["type"] == "line")
        headers = {"Content-Type": "text/plain; charset=utf-8"}
        return Reply(text, headers=headers | ({"X-Next-Cursor": more} if more else {}))
    return Reply({"run_id": run.id, "status": run.status, "seq": run.seq, "events": events, "next_cursor": more})


def get_result(request: Request) -> Reply:
    """The result document as JSON or YAML; as CSV its rows."""
    shown = request.choice("format", FORMATS) or "json"
    services = request.services
    run = read_run(services.table, request.params["run_id"])
    if not run.terminal:
        raise RunNotFinishedError(f"run {run.id} is {run.status}: it has no result yet")
    result = read_result(services.table, run)
    if shown == "csv":
        from chalicelib.api.export import to_csv, with_warnings

        return _download(to_csv(with_warnings(result, run.warnings)), "text/csv; charset=utf-8", run, "csv")
    view = run_view(services, run)
    task = services.registry.known(run.task_id)
    about: dict[str, Any] = {"title": task.title, "tags": task.tags, "metadata": task.metadata} if task else {}
    keep = (
        "run_id",
        "task_id",
        "status",
        "partial",
        "trigger",
        "args",
        "created_at",
        "started_at",
        "finished_at",
        "duration",
        "attempts",
    )
    parts = {k: view[k] for k in ("steps", "warnings", "artifacts", "usage", "error")}
    document = {k: view[k] for k in (*keep, "summary")} | about | parts | {"result": result}
    if shown == "yaml":
        import yaml

        text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
        return _download(text, "application/yaml; charset=utf-8", run, "yaml")
    return Reply(document)


def stop_run(request: Request) -> Reply:
    """A queued run is over at once; a running one within seconds."""
    run = starter.stop(request.services, request.params["run_id"], request.who)
    return Reply({"stopped": [run.id], "status": run.status}, 202)


def retry_run(request: Request) -> Reply:
    """A new run."""
    run = starter.retry(request.services, request.params["run_id"], request.who)
    return Reply(started_view(request.services, run), 202)


def _list(request: Request, task_id: str | None) -> Reply:
    since = instant_of_query(request.query["since"]) if "since" in request.query else None
    runs, cursor = list_runs(
        request.services.table,
        task_id=task_id,
        status=request.choice("status", (*ACTIVE, *TERMINAL)),
        since=since,
        limit=request.number("limit", 50, 500),
        cursor=request.query.get("cursor"),
    )
    views = [run_view(request.services, run, whole=False) for run in runs]
    return Reply({"runs": views, "next_cursor": cursor})


def _waiting_for(request: Request, run: RunRecord) -> dict[str, Any] | None:
    """Who holds what it waits for, and how many stand before it."""
    services = request.services
    for name in run.path:
        semaphore = semaphores.read_semaphore(services.table, name)
        if run.id in semaphore.holders:
            continue
        ahead = 0
        for entry in queue.waiting(services.table, name, most=1000):
            if entry.run_id == run.id:
                break
            ahead += 1
        limit = services.limit_of(name)
        return {"semaphore": name, "limit": limit, "active": semaphore.active, "ahead": ahead, "holders": sorted(semaphore.holders)}
    return None


def _download(text: str, kind: str, run: RunRecord, ending: str) -> Reply:
    name = f"{run.task_id}-{run.id}.{ending}"
    headers = {"Content-Type": kind, "Content-Disposition": f'attachment; filename="{name}"'}
    return Reply(text, headers=headers | ({"X-Partial": "true"} if run.partial else {}))
