"""What was changed of tasks at run time, over what the code says."""

from __future__ import annotations

import json
from typing import Any

from chalicelib.store.codec import to_json
from chalicelib.store.table import ConditionFailed, Table

PARTITION = "DEFINITION"


def list_changes(table: Table) -> dict[str, tuple[dict[str, Any], int]]:
    """All changes and their versions, by task id."""
    items = table.query("pk = :pk", pk=PARTITION)
    return {item["sk"]: (json.loads(item["change"]), item["version"]) for item in items}


def put_change(table: Table, task_id: str, change: dict[str, Any], seen: int) -> bool:
    """Keep a task's change instead of the one of version `seen` (0: there was none). False: somebody changed it meanwhile.

    What was forgotten stays as an empty change, so that versions never begin anew.
    """
    item = {"pk": PARTITION, "sk": task_id, "change": to_json(change), "version": seen + 1}
    try:
        if seen:
            table.put(item, "version = :seen", seen=seen)
        else:
            table.put(item, "attribute_not_exists(pk)")
    except ConditionFailed:
        return False
    return True
