"""Lists of runs, newest first, by cursor; never a Scan.

A cursor is the id of the last run that was given: all keys of the next page follow from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from chalicelib.domain.errors import InvalidCursorError
from chalicelib.domain.ids import first_run_id, instant_of, is_run_id
from chalicelib.domain.run import ACTIVE, RunRecord
from chalicelib.store.records import run_key
from chalicelib.store.runs import get_runs
from chalicelib.store.table import Table

MOST_WAITING = 100  # runs for which it is looked up when they are to start
MOST_PAGES = 5  # of looking for runs of one task and one status; a page that comes back short still has a cursor


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


def run_ids_between(table: Table, status: str, begin: int, end: int, most: int) -> list[str]:
    """The newest runs of a status that were made between two instants (epoch ms), as the index knows them: one query."""
    items = table.query(
        "#status = :status AND id BETWEEN :begin AND :end", index="by_status", newest_first=True, limit=most,
        status=status, begin=first_run_id(begin), end=first_run_id(end),
    )  # fmt: skip
    return [item["id"] for item in items]


def run_outcomes(table: Table, run_ids: Sequence[str]) -> dict[str, str]:
    """Run id -> status, of those that exist."""
    found = table.get_many([run_key(run_id) for run_id in run_ids], ("id", "status"))
    return {item["id"]: item["status"] for item in found.values()}


@dataclass(frozen=True)
class Span:
    """When a run was at work (epoch ms; `finished_at` None: it still is) and with how many slots."""

    started_at: int
    finished_at: int | None
    slots: int


def newest_spans(table: Table, limit: int) -> tuple[list[Span], int | None]:
    """Of the newest runs those that began to work, and when the oldest looked at was made (None: there are no older ones)."""
    ids = _page_of_ids(table, "by_age", "listed", "runs", None, limit, None)
    items = table.get_many([run_key(run_id) for run_id in ids], ("started_at", "finished_at", "slots"))
    spans = [Span(i["started_at"], i.get("finished_at"), i.get("slots", 1)) for i in items.values() if "started_at" in i]
    return spans, instant_of(ids[-1]) if len(ids) == limit else None


def latest_run_at(table: Table, task_id: str) -> int:
    """When a task's newest run was made (epoch ms), 0 if it has none."""
    for item in table.query("task_id = :task", index="by_task", newest_first=True, limit=1, page=1, task=task_id):
        return instant_of(item["id"])
    return 0


@dataclass(frozen=True)
class Active:
    """A task's runs that are not over: their statuses; and for when (epoch ms) the first of those was asked for that still wait."""

    statuses: list[str] = field(default_factory=list)
    asked_for: int | None = None


def active_by_task(table: Table, task_id: str | None = None) -> dict[str, Active]:
    """Of one task or of all, by task id; tasks without such runs are missing. One batch more where runs wait for an instant."""
    statuses: dict[str, list[str]] = {}
    waiting: list[str] = []
    for run_id, task, status in active_runs(table, task_id):
        statuses.setdefault(task, []).append(status)
        if status == "scheduled" and len(waiting) < MOST_WAITING:
            waiting.append(run_id)
    asked: dict[str, int] = {}
    for run in get_runs(table, waiting) if waiting else ():
        if run.status == "scheduled" and run.fire_at is not None:
            asked[run.task_id] = min(run.fire_at, asked.get(run.task_id, run.fire_at))
    return {task: Active(found, asked.get(task)) for task, found in statuses.items()}


def active_runs(table: Table, task_id: str | None = None) -> list[tuple[str, str, str]]:
    """(run id, task id, status) of every queued or running run, as the index knows it; of one task or of all."""
    found: list[tuple[str, str, str]] = []
    for status in ACTIVE:
        extra: dict[str, Any] = {"filter_by": "task_id = :task", "task": task_id} if task_id else {}
        for item in table.query("#status = :status", index="by_status", status=status, **extra):
            found.append((item["id"], item["task_id"], status))
    return found
