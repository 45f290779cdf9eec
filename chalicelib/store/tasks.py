"""What is remembered of tasks beside their definition: counters and the last run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from chalicelib.store.table import Table


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
    return TaskState(**{k: v for k, v in item.items() if k in TaskState.__dataclass_fields__})
