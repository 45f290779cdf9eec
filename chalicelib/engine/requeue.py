"""A running run goes back to the queue, to be tried again later."""

from __future__ import annotations

import uuid
from typing import Any

from chalicelib.domain.run import RunRecord
from chalicelib.engine.ending import close, final_events
from chalicelib.engine.services import Services
from chalicelib.engine.slots import hand_on, invoke_run
from chalicelib.store import queue, runs
from chalicelib.store.closing import Ending


def queue_again(
    services: Services, run: RunRecord, failed: dict[str, Any], not_before: int, artifacts: list[dict[str, Any]] | None = None
) -> None:
    """The next attempt not before an instant (epoch ms); the slots go on meanwhile. Raises FenceLostError."""
    again = runs.queue_again(services.table, run, failed, services.now(), not_before, artifacts)
    # First the slots, then the queue: whoever finds it there may run it at once, and nobody may take its slot from it then.
    hand_on(services, again)
    if again.stop_requested:  # stop was pressed while this was being decided
        close_queued(services, again)
    else:
        queue.join(services.table, again.path[0], queue.entry_of(again))


def close_queued(services: Services, run: RunRecord) -> None:
    """End a run that waits, as stopped; no process is at work on it, so its slots go on at once. Raises FenceLostError."""
    now = services.now()
    events = final_events(run, "stopped", now, run.tail, error=None)
    close(services, run, Ending("stopped", now, events), uuid.uuid4().hex)
    for semaphore in run.path:
        queue.leave(services.table, semaphore, queue.entry_key(run))
    hand_on(services, run)


def retry_now(services: Services, run: RunRecord, failed: dict[str, Any], artifacts: list[dict[str, Any]] | None = None) -> None:
    """The next attempt at once, in another process, with the slots it has. Raises FenceLostError."""
    if run.status == "queued":  # nobody came to claim it
        again = runs.fail_unclaimed(services.table, run, failed, services.now())
    else:
        again = runs.queue_again(services.table, run, failed, services.now(), None, artifacts)
    invoke_run(services, again.id, again.task_id, again.attempt)
