"""Slots: admitting runs, serving the queue, handing slots on. The protocol of docs/architecture.md, step by step.

A run acquires the semaphores of its path in order and keeps what it has while it waits for the next; a fixed order cannot deadlock.
Whoever queues, and whoever frees a slot, serves the queue once afterwards: so no wake-up is lost. Every step may be the last of its
process, and may be done again by the sweeper: each is one conditional or idempotent request.
"""

from __future__ import annotations

from collections.abc import Collection

from chalicelib.domain.run import RunRecord
from chalicelib.engine.services import Services
from chalicelib.store import queue, semaphores
from chalicelib.store.queue import Waiting


def admit(services: Services, run: RunRecord) -> bool:
    """Slots and then its Lambda, or a place in the queue. True: invoked."""
    return _advance(services, queue.entry_of(run), 0)


def serve(services: Services, semaphore: str) -> int:
    """Give free slots to whoever is first in the queue, until nobody waits or nothing is free; how many got theirs."""
    served = 0
    while _serve_one(services, semaphore):
        served += 1
    return served


def _serve_one(services: Services, semaphore: str) -> bool:
    limit = services.limit_of(semaphore)
    for first in queue.due(services.table, semaphore, services.now()):
        slots = first.weight(semaphore)
        refused = semaphores.acquire(services.table, semaphore, first.run_id, slots, limit, services.now(), is_head=True)
        if refused is None:
            _out_of_queue(services, semaphore, first)
            return True
        if first.run_id in refused.holders:
            continue  # another process gave it these slots and is about to take it out: the next may have what is left
        if refused.active >= limit or semaphores.reserve(services.table, semaphore, first.run_id, slots, limit):
            return False  # nothing is free, or too little for this one, and that is kept for it
        return _serve_one(services, semaphore)
    return False


def hand_on(services: Services, run: RunRecord) -> None:
    """A run that needs its slots no more gives them to the first who waits for each, or back."""
    for semaphore in reversed(run.path):
        _hand_on_one(services, semaphore, run)


def invoke_run(services: Services, run_id: str, task_id: str, attempt: int, leg: int = 1) -> None:
    """Send a run that holds its slots to its Lambda. A failure is the sweeper's to mend: the run waits with its slot."""
    try:
        services.invoke(services.function_of(task_id), {"run_id": run_id, "attempt": attempt} | ({"leg": leg} if leg > 1 else {}))
    except Exception:
        services.log.exception("could not invoke; the sweeper will", extra={"run_id": run_id, "task_id": task_id})


def _hand_on_one(services: Services, semaphore: str, run: RunRecord) -> None:
    table, limit = services.table, services.limit_of(semaphore)
    holders: Collection[str] = ()
    for first in queue.due(table, semaphore, services.now()):
        if first.run_id == run.id:
            break
        # One that holds already got it from another finisher, so the next in the queue is mine. To release instead would leave a
        # slot free for a moment, and a newcomer could overtake those who wait.
        if first.run_id in holders:
            continue
        given, wanted = run.weight(semaphore), first.weight(semaphore)
        outcome, holders = semaphores.hand_over(table, semaphore, run.id, given, first.run_id, wanted, limit, services.now())
        if outcome == "not_held":
            return
        if outcome == "handed":
            _out_of_queue(services, semaphore, first)
            if wanted >= given:
                return  # nothing came free
            serve(services, semaphore)
            return
        if outcome == "no_room":
            break
    # Served even when it held nothing: it may have been released by this very request, whose answer was lost.
    semaphores.release(table, semaphore, run.id, run.weight(semaphore))
    serve(services, semaphore)


def _out_of_queue(services: Services, semaphore: str, entry: Waiting) -> None:
    """An entry that holds this semaphore now: out of its queue, and on along its path."""
    queue.leave(services.table, semaphore, entry.key)
    _advance(services, entry, entry.path.index(semaphore) + 1)


def _advance(services: Services, entry: Waiting, position: int) -> bool:
    for semaphore in entry.path[position:]:
        limit = services.limit_of(semaphore)
        if semaphores.acquire(services.table, semaphore, entry.run_id, entry.weight(semaphore), limit, services.now()) is not None:
            queue.join(services.table, semaphore, entry)
            serve(services, semaphore)
            return False
    invoke_run(services, entry.run_id, entry.task_id, entry.attempt)
    return True
