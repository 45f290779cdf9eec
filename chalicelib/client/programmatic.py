"""Starting and stopping tasks from Python, as the API does it."""

from __future__ import annotations

from typing import Any

from chalicelib.client.client import Client


def start_task(id: str, /, **args: Any) -> str:
    """Start a run with these arguments; returns its id without waiting.

    Raises `ProblemError` (404 for an unknown task, 422 for wrong arguments) or `Unreachable`.
    """
    with Client() as client:
        return str(client.start(id, args)["run_id"])


def stop_task(id: str) -> list[str]:
    """Stop every active run of a task; the ids of the runs told to stop. `ProblemError` 409 when there is none."""
    with Client() as client:
        return client.stop(id)


def get_task_status(id: str) -> str:
    """`scheduled`, `queued`, `running`, `completed`, `failed`, `stopped` or `disabled`."""
    with Client() as client:
        return str(client.task(id)["status"])
