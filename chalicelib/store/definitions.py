"""What was changed of tasks at run time, over what the code says."""

from __future__ import annotations

import json
from typing import Any

from chalicelib.store.codec import to_json
from chalicelib.store.table import Table

PARTITION = "DEFINITION"


def list_changes(table: Table) -> dict[str, dict[str, Any]]:
    """All changes, by task id."""
    return {item["sk"]: json.loads(item["change"]) for item in table.query("pk = :pk", pk=PARTITION)}


def put_change(table: Table, task_id: str, change: dict[str, Any]) -> None:
    """Keep a task's change instead of the one before."""
    table.put({"pk": PARTITION, "sk": task_id, "change": to_json(change)})


def forget_change(table: Table, task_id: str) -> None:
    """The task is what the code says again."""
    table.delete((PARTITION, task_id))
