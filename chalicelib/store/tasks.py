"""What is remembered of tasks beside their definition: counters, the last run, and in short the last twenty.

The twenty are attributes `r0` (the newest) to `r19`, moved on by one in the very update that counts a run: an update's right-hand
sides are what the item held before it. A list could not be cut in the same update that lengthens it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from chalicelib.domain.run import TERMINAL
from chalicelib.store.table import Table

RECENT = 20
SHIFT_RECENT = ", ".join([f"r{n} = if_not_exists(r{n - 1}, :none)" for n in range(RECENT - 1, 0, -1)] + ["r0 = :newest"])
_BY_LETTER = {status[0]: status for status in TERMINAL}


@dataclass(frozen=True)
class TaskState:
    """Counters of finished runs; the last one's id, status, start (epoch ms) and seconds."""

    runs: int = 0
    completed: int = 0
    failed: int = 0
    stopped: int = 0
    total_seconds: float = 0.0
    last_run_id: str | None = None
    last_status: str | None = None
    last_started_at: int | None = None
    last_seconds: float | None = None
    completed_at: int | None = None
    completed_run: str | None = None
    recent: tuple[tuple[str, float], ...] = ()  # (status, seconds) of the last finished runs, the newest first


def get_task_state(table: Table, task_id: str) -> TaskState:
    """One task's; of a task that never ran: empty."""
    return _state(table.get(("TASK", task_id)) or {})


def get_task_states(table: Table, task_ids: list[str]) -> dict[str, TaskState]:
    """Some tasks', by task id; those that never ran are missing."""
    return {key[1]: _state(item) for key, item in table.get_many([("TASK", t) for t in task_ids]).items()}


def list_task_states(table: Table) -> dict[str, TaskState]:
    """All tasks' that ever ran, by task id."""
    return {item["sk"]: _state(item) for item in table.query("pk = :pk", pk="TASK")}


def _state(item: dict[str, Any]) -> TaskState:
    texts = [item[f"r{n}"] for n in range(RECENT) if item.get(f"r{n}")]
    known = {k: v for k, v in item.items() if k in TaskState.__dataclass_fields__}
    return TaskState(**known, recent=tuple((_BY_LETTER[text[0]], float(text[1:])) for text in texts))


def recent_text(status: str, seconds: float) -> str:
    """`c12.3`: a few bytes for each, so that the item stays below a kilobyte, which is one write unit."""
    return f"{status[0]}{seconds:.4g}"
