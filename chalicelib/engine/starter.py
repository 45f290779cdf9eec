"""Starting, stopping and retrying runs on somebody's behalf."""

from __future__ import annotations

import uuid
from typing import Any

from chalicelib.domain.clock import iso
from chalicelib.domain.errors import (
    FenceLostError,
    NothingToStopError,
    RunFinishedError,
    RunNotFinishedError,
    TaskDisabledError,
)
from chalicelib.domain.ids import new_run_id
from chalicelib.domain.model import CatalogTask
from chalicelib.domain.run import RunRecord, Trigger
from chalicelib.engine.ending import close, final_events
from chalicelib.engine.services import GLOBAL, Services
from chalicelib.engine.slots import admit
from chalicelib.store import queue, runs
from chalicelib.store.closing import Ending
from chalicelib.store.listing import active_runs

STOP_TRIES = 5


def start(
    services: Services,
    task_id: str,
    args: dict[str, Any],
    *,
    trigger: Trigger = "api",
    idempotency_key: str | None = None,
    retry_of: str | None = None,
) -> RunRecord:
    """Make a run and get it going: `args` are validated already. Raises UnknownTaskError, TaskDisabledError, KeyReusedError."""
    task = services.registry.task(task_id)
    if not task.enabled:
        raise TaskDisabledError(f"task '{task_id}' is disabled; enable it first")
    run = _new_run(services, task, args, trigger, retry_of)
    there = runs.put_new_run(services.table, run, idempotency_key)
    if there.id != run.id:
        return there  # the run that this key made before: its starter, or the sweeper, takes care of it
    admit(services, run)
    return run


def _new_run(services: Services, task: CatalogTask, args: dict[str, Any], trigger: Trigger, retry_of: str | None) -> RunRecord:
    now = services.now()
    return RunRecord(
        id=new_run_id(),
        task_id=task.id,
        status="queued",
        trigger=trigger,
        created_at=now,
        touched_at=now,
        args=args,
        timeout=task.timeout or services.settings.timeout,
        retry_count=task.retry_count,
        path=[GLOBAL],
        seq=1,
        tail=[{"seq": 1, "at": iso(now), "type": "status", "status": "queued", "attempt": 1, "trigger": trigger}],
        history=[{"at": now, "status": "queued", "attempt": 1}],
        retry_of=retry_of,
    )


def retry(services: Services, run_id: str) -> RunRecord:
    """A new run with the arguments of a finished one. Raises UnknownRunError, RunNotFinishedError."""
    run = runs.get_run(services.table, run_id)
    if not run.terminal:
        raise RunNotFinishedError(f"run {run_id} is {run.status}; only a finished run can be run again")
    return start(services, run.task_id, run.args, trigger="retry", retry_of=run.id)


def stop(services: Services, run_id: str) -> RunRecord:
    """Stop a run: a queued one is over at once, a running one is asked to, and keeps its slot until its process has ended.

    Raises UnknownRunError, RunFinishedError.
    """
    run = runs.request_stop(services.table, run_id)
    for _try in range(STOP_TRIES):
        if run.terminal:
            if run.status == "stopped" and run.stop_requested:
                return run
            raise RunFinishedError(f"run {run_id} has ended: it is {run.status}")
        if run.status == "running":
            return run
        try:
            return _stop_queued(services, run)
        except FenceLostError:
            run = runs.get_run(services.table, run_id)  # claimed, or closed, in between
    return run


def _stop_queued(services: Services, run: RunRecord) -> RunRecord:
    now = services.now()
    events = final_events(run, "stopped", now, run.tail, error=None)
    close(services, run, Ending("stopped", now, events), uuid.uuid4().hex)
    for semaphore in run.path:
        queue.leave(services.table, semaphore, queue.entry_key(run))
    return runs.get_run(services.table, run.id)


def stop_task(services: Services, task_id: str) -> list[str]:
    """Stop every active run of a task; their ids. Raises NothingToStopError when there is none."""
    stopped = []
    for run_id, _task, _status in active_runs(services.table, task_id):
        try:
            stop(services, run_id)
        except RunFinishedError:
            continue
        stopped.append(run_id)
    if not stopped:
        raise NothingToStopError(f"task '{task_id}' has no active run")
    return stopped
