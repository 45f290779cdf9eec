"""A running run goes back to the queue, to be tried again later."""

from __future__ import annotations

from typing import Any

from chalicelib.domain.run import RunRecord
from chalicelib.engine.services import Services
from chalicelib.engine.slots import hand_on, invoke_run
from chalicelib.store import queue, runs


def queue_again(services: Services, run: RunRecord, failed: dict[str, Any], not_before: int) -> None:
    """The next attempt not before an instant (epoch ms); the slots go on meanwhile. Raises FenceLostError."""
    again = runs.queue_again(services.table, run, failed, services.now(), not_before)
    queue.join(services.table, again.path[0], queue.entry_of(again))
    hand_on(services, again)


def retry_now(services: Services, run: RunRecord, failed: dict[str, Any]) -> None:
    """The next attempt at once, with the slots it has: its process is gone. Raises FenceLostError."""
    again = runs.queue_again(services.table, run, failed, services.now(), None)
    invoke_run(services, again.id, again.task_id, again.attempt)
