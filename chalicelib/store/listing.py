"""Lists of runs, newest first, by cursor; never a Scan.

A cursor is the id of the last run that was given: all keys of the next page follow from it.
"""

from __future__ import annotations

from typing import Any

from chalicelib.domain.errors import InvalidCursorError
from chalicelib.domain.ids import first_run_id, instant_of, is_run_id
from chalicelib.domain.run import ACTIVE, RunRecord
from chalicelib.store.runs import get_runs
from chalicelib.store.table import Table

MOST_PAGES = 10  # of looking for runs of one task and one status; a page that comes back short still has a cursor


def list_runs(
    table: Table,
    *,
    task_id: str | None = None,
    status: str | None = None,
    since: int | None = None,
    limit: int = 50,
    cursor: str | None = None,
) -> tuple[list[RunRecord], str | None]:
    """A page of runs and the cursor of the next (None: that was all). `since` in epoch ms. Raises InvalidCursorError."""
    if cursor is not None and not is_run_id(cursor):
        raise InvalidCursorError(f"cursor '{cursor}' is not one that this list gave out")
    if task_id is not None:
        index, attribute, value = "by_task", "task_id", task_id
    elif status is not None:
        index, attribute, value = "by_status", "status", status
    else:
        index, attribute, value = "by_age", "listed", "runs"
    found: list[RunRecord] = []
    for _page in range(MOST_PAGES):
        ids = _page_of_ids(table, index, attribute, value, since, limit, cursor)
        # The index lags behind the runs; the runs themselves say what they are now.
        runs = get_runs(table, ids)
        found += [r for r in runs if status is None or r.status == status]
        cursor = ids[-1] if len(ids) == limit else None
        if cursor is None or len(found) >= limit:
            break
    if len(found) > limit:
        found = found[:limit]
        cursor = found[-1].id
    return found, cursor


def _page_of_ids(
    table: Table, index: str, attribute: str, value: str, since: int | None, limit: int, cursor: str | None
) -> list[str]:
    start: dict[str, Any] | None = None
    if cursor is not None:
        start = {"pk": {"S": f"RUN#{cursor}"}, "sk": {"S": "RUN"}, "id": {"S": cursor}, attribute: {"S": value}}
    condition = "#attribute = :value"
    values: dict[str, Any] = {"value": value}
    if since is not None:
        if cursor is not None and cursor < first_run_id(since):
            return []  # DynamoDB refuses a start outside of what is asked for
        condition += " AND id >= :since"
        values["since"] = first_run_id(since)
    items = table.query(condition, {"attribute": attribute}, index=index, newest_first=True, limit=limit, start=start, **values)
    return [item["id"] for item in items]


def latest_run_at(table: Table, task_id: str) -> int:
    """When a task's newest run was made (epoch ms), 0 if it has none."""
    for item in table.query("task_id = :task", index="by_task", newest_first=True, limit=1, page=1, task=task_id):
        return instant_of(item["id"])
    return 0


def active_runs(table: Table, task_id: str | None = None) -> list[tuple[str, str, str]]:
    """(run id, task id, status) of every queued or running run, as the index knows it; of one task or of all."""
    found: list[tuple[str, str, str]] = []
    for status in ACTIVE:
        extra: dict[str, Any] = {"filter_by": "task_id = :task", "task": task_id} if task_id else {}
        for item in table.query("#status = :status", index="by_status", status=status, **extra):
            found.append((item["id"], item["task_id"], status))
    return found
