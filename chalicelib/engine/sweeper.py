"""Mends what a crash left behind. Once a minute, and at once when Lambda reports a process that ended badly.

It touches only what is older than any process in passing can live: GRACE is longer than the timeout of every function that starts
runs. Each repair is what the crashed process would have done next; done twice, it changes nothing more.
"""

from __future__ import annotations

import uuid
from collections import Counter
from typing import Any

from chalicelib.domain.errors import FenceLostError, UnknownRunError
from chalicelib.domain.run import RunRecord, Status
from chalicelib.engine.ending import close, final_events
from chalicelib.engine.requeue import retry_now
from chalicelib.engine.services import GLOBAL, Services
from chalicelib.engine.slots import admit, hand_on, invoke_run, serve
from chalicelib.store import queue, runs
from chalicelib.store.closing import Ending
from chalicelib.store.listing import active_runs
from chalicelib.store.semaphores import Semaphore, read_semaphores

GRACE_MS = 90_000
HAND_ON_GRACE_MS = 20_000


def sweep(services: Services) -> Counter[str]:
    """One round over everything that is active; what was mended, counted by kind."""
    mended: Counter[str] = Counter()
    semaphores = {s.name: s for s in read_semaphores(services.table)}
    held = {run_id for s in semaphores.values() for run_id in s.holders}
    listed = {run_id for run_id, _task, _status in active_runs(services.table)}
    found = {r.id: r for r in runs.get_runs(services.table, sorted(held | listed))}
    for name in {GLOBAL, *semaphores}:
        _sweep_queue(services, name, semaphores.get(name), found, mended)
    for run in found.values():
        try:
            _sweep_run(services, run, semaphores, mended)
        except FenceLostError:
            continue  # it moved on by itself in this very moment
    return mended


def attempt_crashed(services: Services, run_id: str, attempt: int, error: dict[str, Any]) -> str:
    """Lambda says that this attempt's process ended badly. What was done, in a word."""
    try:
        run = runs.get_run(services.table, run_id)
    except UnknownRunError:
        return "unknown"
    try:
        if run.terminal:
            hand_on(services, run)
            return "handed_on"
        if run.attempt != attempt:
            return "outdated"
        return _attempt_is_dead(services, run, error)
    except FenceLostError:
        return "outdated"


def _sweep_queue(
    services: Services, name: str, semaphore: Semaphore | None, found: dict[str, RunRecord], mended: Counter[str]
) -> None:
    """Drop entries of runs that wait no more; give free slots to those that do."""
    entries = list(queue.waiting(services.table, name, most=1000))
    unknown = [e.run_id for e in entries if e.run_id not in found]
    found |= {r.id: r for r in runs.get_runs(services.table, unknown)}
    waiting = 0
    for entry in entries:
        run = found.get(entry.run_id)
        holds = semaphore is not None and entry.run_id in semaphore.holders
        delayed = run is not None and (run.not_before or 0) > services.now()
        if run is None or run.status != "queued" or run.attempt != entry.attempt or (holds and not delayed):
            queue.leave(services.table, name, entry.key)
            mended["queue_entry_dropped"] += 1
        else:
            waiting += 1
    if waiting and (semaphore is None or semaphore.active < services.limit_of(name)):
        serve(services, name)
        mended["served"] += 1


def _sweep_run(services: Services, run: RunRecord, semaphores: dict[str, Semaphore], mended: Counter[str]) -> None:
    now = services.now()
    holds = [n for n in run.path if n in semaphores and run.id in semaphores[n].holders]
    if run.terminal:
        if holds and now - (run.finished_at or 0) > HAND_ON_GRACE_MS:
            hand_on(services, run)
            mended["handed_on"] += 1
    elif run.status == "running":
        if now > (run.lease_until or 0):
            message = "its process ended without a word, or lost touch for too long"
            _attempt_is_dead(services, run, {"type": "Lost", "message": message, "step": None, "traceback": ""})
            mended["dead_attempt"] += 1
    elif now - run.touched_at > GRACE_MS:
        _move_along(services, run, holds, mended)


def _move_along(services: Services, run: RunRecord, holds: list[str], mended: Counter[str]) -> None:
    """A queued run that nobody has touched for longer than any starter lives."""
    now = services.now()
    if (run.not_before or 0) > now:
        queue.join(services.table, run.path[0], queue.entry_of(run))
        if holds:
            hand_on(services, run)
        return
    if len(holds) == len(run.path):
        runs.touch(services.table, run, now)
        invoke_run(services, run.id, run.task_id, run.attempt)
        mended["invoked_again"] += 1
        return
    key = queue.entry_key(run)
    if any(entry.key == key for name in run.path for entry in queue.waiting(services.table, name)):
        return  # it waits as it should
    runs.touch(services.table, run, now)
    admit(services, run)
    mended["admitted_again"] += 1


def _attempt_is_dead(services: Services, run: RunRecord, error: dict[str, Any]) -> str:
    """Another attempt with the same slots if the task allows one, else the end. Raises FenceLostError."""
    now = services.now()
    record = {
        "attempt": run.attempt,
        "status": "failed",
        "started_at": run.started_at,
        "finished_at": now,
        "error": {k: error.get(k) for k in ("type", "message", "step")},
    }
    if run.status == "running" and run.attempt <= run.retry_count and not run.stop_requested:
        retry_now(services, run, record)
        return "retried"
    status: Status = "stopped" if run.stop_requested else "failed"
    events = final_events(run, status, now, run.tail, error)
    ending = Ending(status, now, events, error=error, attempt=record | {"status": status})
    close(services, run, ending, uuid.uuid4().hex)
    hand_on(services, run)
    return status
