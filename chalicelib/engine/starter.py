"""Starting, stopping and retrying runs on somebody's behalf."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from chalicelib.domain.clock import iso
from chalicelib.domain.errors import (
    FenceLostError,
    NothingToStopError,
    RunFinishedError,
    RunNotFinishedError,
    TaskDisabledError,
    UnknownRunError,
)
from chalicelib.domain.ids import new_run_id
from chalicelib.domain.model import CatalogTask
from chalicelib.domain.run import RunRecord, Status, Trigger
from chalicelib.engine.rates import check_rates
from chalicelib.engine.requeue import close_queued
from chalicelib.engine.services import Services
from chalicelib.engine.slots import admit
from chalicelib.store import runs
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
    at: int | None = None,
    by: str = "",
) -> RunRecord:
    """Make a run and get it going, or have it wait until an instant (epoch ms). `args` are validated already.

    Raises UnknownTaskError, TaskDisabledError, RateLimitedError, KeyReusedError.
    """
    task = services.registry.task(task_id)
    if not task.enabled:
        raise TaskDisabledError(f"task '{task_id}' is disabled; enable it first")
    later = at is not None and at > services.now()
    run = new_run(services, task, args, trigger, retry_of=retry_of, fire_at=at, scheduled=later, by=by)
    check_rates(services, task, idempotency_key or run.id)
    there = runs.put_new_run(services.table, run, idempotency_key)
    if there.id != run.id:
        return there  # the run that this key made before: its starter, or the sweeper, takes care of it
    if not later:
        admit(services, run)
    return run


def new_run(
    services: Services,
    task: CatalogTask,
    args: dict[str, Any],
    trigger: Trigger,
    *,
    run_id: str | None = None,
    retry_of: str | None = None,
    fire_at: int | None = None,
    caused_by: list[str] | None = None,
    scheduled: bool = False,
    by: str = "",
) -> RunRecord:
    """A run that is not written yet. Without `args` (a fire, a dependency) the parameters' defaults hold."""
    now = services.now()
    status: Status = "scheduled" if scheduled else "queued"
    if not args:
        args = {p.name: p.default for p in task.parameters if p.default is not None}
    return RunRecord(
        id=run_id or new_run_id(),
        task_id=task.id,
        status=status,
        trigger=trigger,
        created_at=now,
        touched_at=now,
        args=args,
        timeout=task.timeout or services.settings.timeout,
        retry_count=task.retry_count,
        slots=task.slots,
        priority=task.priority,
        path=services.path_of(task),
        seq=1,
        tail=[{"seq": 1, "at": iso(now), "type": "status", "status": status, "attempt": 1, "trigger": trigger}],
        history=[{"at": now, "status": status, "attempt": 1}],
        retry_of=retry_of,
        started_by=by or None,
        caused_by=caused_by or [],
        fire_at=fire_at,
    )


def retry(services: Services, run_id: str, by: str = "") -> RunRecord:
    """A new run with the arguments of a finished one. Raises UnknownRunError, RunNotFinishedError."""
    run = runs.get_run(services.table, run_id)
    if not run.terminal:
        raise RunNotFinishedError(f"run {run_id} is {run.status}; only a finished run can be run again")
    return start(services, run.task_id, run.args, trigger="retry", retry_of=run.id, by=by)


def stop(services: Services, run_id: str, by: str = "") -> RunRecord:
    """Stop a run: a queued one is over at once, a running one is asked to, and keeps its slot until its process has ended.

    Raises UnknownRunError, RunFinishedError.
    """
    run = runs.request_stop(services.table, run_id, by)
    for _try in range(STOP_TRIES):
        if run.terminal:
            if run.status == "stopped" and run.stop_requested:
                return run
            raise RunFinishedError(f"run {run_id} has ended: it is {run.status}")
        if run.status == "running":
            return run
        try:
            close_queued(services, run)
            return runs.get_run(services.table, run.id)
        except FenceLostError:
            run = runs.get_run(services.table, run_id)  # claimed, or closed, in between
    return run


def stop_quietly(services: Services, run_id: str) -> None:
    """Stop a run that may have ended meanwhile."""
    with suppress(RunFinishedError, UnknownRunError):
        stop(services, run_id)


def stop_task(services: Services, task_id: str, by: str = "") -> list[str]:
    """Stop every active run of a task; their ids. Raises NothingToStopError when there is none."""
    stopped = []
    for run_id, _task, _status in active_runs(services.table, task_id):
        try:
            stop(services, run_id, by)
        except RunFinishedError:
            continue
        stopped.append(run_id)
    if not stopped:
        raise NothingToStopError(f"task '{task_id}' has no active run")
    return stopped
