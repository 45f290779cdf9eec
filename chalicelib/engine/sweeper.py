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
from chalicelib.engine.publisher import LEASE_MS
from chalicelib.engine.requeue import close_queued, retry_now
from chalicelib.engine.services import GLOBAL, Services
from chalicelib.engine.slots import admit, hand_on, invoke_run, serve
from chalicelib.store import queue, runs
from chalicelib.store.closing import Ending
from chalicelib.store.listing import active_runs
from chalicelib.store.semaphores import Semaphore, read_semaphores, release

GRACE_MS = 90_000
HAND_ON_GRACE_MS = 20_000
OUT_OF_TIME_MS = 600_000  # after its timeout, an attempt whose next leg nobody has come to claim is given up
SIGN_OF_LIFE = 2.5  # seconds within which a process that is at work has written to its run
MOST_ENTRIES = 1_000  # of one queue that one sweep looks at

Queues = dict[str, list[queue.Waiting]]


def sweep(services: Services) -> Counter[str]:
    """One round over everything that is active; what was mended, counted by kind."""
    mended: Counter[str] = Counter()
    services.registry.tasks()  # limits as they are now
    semaphores = {s.name: s for s in read_semaphores(services.table)}
    held = {run_id for s in semaphores.values() for run_id in s.holders}
    listed = {run_id for run_id, _task, _status in active_runs(services.table)}
    found = {r.id: r for r in runs.get_runs(services.table, sorted(held | listed))}
    queues = {n: list(queue.waiting(services.table, n, page=MOST_ENTRIES, most=MOST_ENTRIES)) for n in {GLOBAL, *semaphores}}
    for name, entries in queues.items():
        _sweep_queue(services, name, semaphores.get(name), entries, found, mended)
    for semaphore in semaphores.values():
        for run_id in semaphore.holders.keys() - found.keys():
            # A run exists before it holds anything: this one was deleted.
            release(services.table, semaphore.name, run_id, semaphore.holders[run_id]["slots"])
            mended["unknown_holder_released"] += 1
    for run in found.values():
        try:
            _sweep_run(services, run, semaphores, queues, mended)
        except FenceLostError:
            continue  # it moved on by itself in this very moment
    return mended


def attempt_crashed(services: Services, run_id: str, attempt: int, error: dict[str, Any], leg: int = 1) -> str:
    """Lambda says that a process that was invoked for this attempt and leg ended badly. What was done, in a word."""
    try:
        run = runs.get_run(services.table, run_id)
    except UnknownRunError:
        return "unknown"
    try:
        if run.terminal:
            hand_on(services, run)
            return "handed_on"
        if run.between_legs and (run.attempt, run.leg) == (attempt, leg + 1):
            return _invoke_leg(services, run)  # it handed its work over, and may have died before it could call the next
        if not _began_as(run, attempt, leg):
            return "outdated"
        # Lambda may deliver a message twice: the process that died need not be the one that is at work.
        services.sleep(SIGN_OF_LIFE)
        then = runs.get_run(services.table, run_id)
        if _moved(run, then):
            return "alive"
        return _attempt_is_dead(services, then, error)
    except FenceLostError:
        return "outdated"


def _began_as(run: RunRecord, attempt: int, leg: int) -> bool:
    """Whether the process that was invoked so is the current one; it may be further attempts on by now."""
    if run.status == "queued" or run.between_legs:
        return (run.attempt, run.leg) == (attempt, leg)
    return run.claimed_as == runs.message_name(attempt, leg)


def _moved(before: RunRecord, after: RunRecord) -> bool:
    """Whether somebody has written to the run meanwhile: a process at work does, every second and a half."""

    def seen(run: RunRecord) -> tuple[Any, ...]:
        return run.status, run.attempt, run.leg, run.claimed_by, run.seq, run.touched_at, run.lease_until

    return seen(before) != seen(after)


def _out_of_time(run: RunRecord, now: int) -> bool:
    """Whether its leg was called again and again until there is nothing left for it to do: its function may be gone."""
    began: int = (run.carried or {}).get("began", now)
    return now - began > run.timeout * 1000 + OUT_OF_TIME_MS


def _invoke_leg(services: Services, run: RunRecord) -> str:
    """Call the process of a leg that nobody has claimed."""
    now = services.now()
    if not runs.touch_leg(services.table, run, now, now + LEASE_MS):
        return "outdated"
    invoke_run(services, run.id, run.task_id, run.attempt, run.leg)
    return "leg_invoked_again"


def _sweep_queue(
    services: Services,
    name: str,
    semaphore: Semaphore | None,
    entries: list[queue.Waiting],
    found: dict[str, RunRecord],
    mended: Counter[str],
) -> None:
    """Drop entries of runs that wait no more; give free slots to those that do."""
    now = services.now()
    suspects = []
    for entry in entries:
        run = found.get(entry.run_id)
        holds = semaphore is not None and entry.run_id in semaphore.holders
        if run is None or _stale(run, entry) or (holds and entry.not_before <= now):
            suspects.append(entry)
    # The runs were read before the queue: one of them may have joined it since.
    fresh = {r.id: r for r in runs.get_runs(services.table, sorted({e.run_id for e in suspects}))}
    found |= {run_id: run for run_id, run in fresh.items() if run_id not in found}
    dropped = 0
    for entry in suspects:
        run = fresh.get(entry.run_id)
        holds = semaphore is not None and entry.run_id in semaphore.holders
        if run is None or _stale(run, entry) or (holds and found[run.id].attempt == run.attempt):
            queue.leave(services.table, name, entry.key)
            dropped += 1
    if dropped:
        mended["queue_entry_dropped"] += dropped
    if len(entries) > dropped and (semaphore is None or semaphore.active < services.limit_of(name)):
        served = serve(services, name)
        if served:
            mended["served"] += served


def _stale(run: RunRecord, entry: queue.Waiting) -> bool:
    return run.status != "queued" or run.attempt != entry.attempt


def _sweep_run(services: Services, run: RunRecord, semaphores: dict[str, Semaphore], queues: Queues, mended: Counter[str]) -> None:
    now = services.now()
    holds = [n for n in run.path if n in semaphores and run.id in semaphores[n].holders]
    if run.terminal:
        if holds and now - (run.finished_at or 0) > HAND_ON_GRACE_MS:
            hand_on(services, run)
            mended["handed_on"] += 1
    elif run.status == "running":
        if now > (run.lease_until or 0) and run.between_legs and not _out_of_time(run, now):
            mended[_invoke_leg(services, run)] += 1
        elif now > (run.lease_until or 0):
            message = "its process ended without a word, or lost touch for too long"
            _attempt_is_dead(services, run, {"type": "Lost", "message": message, "step": None, "traceback": ""})
            mended["dead_attempt"] += 1
    elif run.status == "queued" and now - run.touched_at > GRACE_MS:
        if run.stop_requested:
            close_queued(services, run)
            mended["stopped"] += 1
        else:
            _move_along(services, run, holds, queues, mended)


def _move_along(services: Services, run: RunRecord, holds: list[str], queues: Queues, mended: Counter[str]) -> None:
    """A queued run that nobody has touched for longer than any starter lives."""
    now = services.now()
    waits = any(_waits_in(run, queues.get(name, [])) for name in run.path)
    if (run.not_before or 0) > now:
        # Shortly before its time it keeps what it holds: it may be run while this is being done.
        if holds and (run.not_before or 0) > now + GRACE_MS:
            hand_on(services, run)
            mended["handed_on"] += 1
        if not waits:
            queue.join(services.table, run.path[0], queue.entry_of(run))
            mended["queued_again"] += 1
    elif len(holds) == len(run.path):
        if runs.touch(services.table, run, now):
            invoke_run(services, run.id, run.task_id, run.attempt)
            mended["invoked_again"] += 1
    elif not waits and runs.touch(services.table, run, now):
        admit(services, run)
        mended["admitted_again"] += 1


def _waits_in(run: RunRecord, entries: list[queue.Waiting]) -> bool:
    """Whether it stands in a queue, as far as the queue was read."""
    key = queue.entry_key(run)
    return any(e.key == key for e in entries) or (len(entries) == MOST_ENTRIES and key > entries[-1].key)


def _attempt_is_dead(services: Services, run: RunRecord, error: dict[str, Any]) -> str:
    """Another attempt with the same slots if the task allows one, else the end. Raises FenceLostError."""
    now = services.now()
    record = {
        "attempt": run.attempt,
        "status": "failed",
        "started_at": next(
            (h["at"] for h in reversed(run.history) if (h["status"], h["attempt"]) == ("running", run.attempt)), None
        ),
        "finished_at": now,
        "error": {k: error.get(k) for k in ("type", "message", "step")},
    } | ({"legs": run.leg} if run.leg > 1 else {})
    if run.attempt <= run.retry_count and not run.stop_requested:
        retry_now(services, run, record)
        return "retried"
    status: Status = "stopped" if run.stop_requested else "failed"
    events = final_events(run, status, now, run.tail, error)
    ending = Ending(status, now, events, error=error, attempt=record | {"status": status})
    close(services, run, ending, uuid.uuid4().hex)
    hand_on(services, run)
    return status
