"""When tasks are due, and the ledger of their fires.

`due_at` of a task's item is the only truth about what is due; the sparse index by_due finds it. A fire is one transaction: the
task's next `due_at`, the ledger's entry and the run, conditional on `due_at` still being this fire. So however many dispatchers see
a fire, it is in the ledger once and becomes one run.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from chalicelib.domain.clock import iso
from chalicelib.domain.run import RunRecord
from chalicelib.store.records import run_item, run_key
from chalicelib.store.table import ConditionFailed, Table

PARTITION = "TIMETABLE"
LEDGER_DAYS = 100
STILL_DUE = "due_at = :fire"
UNCHANGED = "attribute_not_exists(pk) OR planned = :seen"

Outcome = Literal["ran", "skipped", "missed"]


@dataclass(frozen=True)
class Due:
    """Something due: a task's fire, or a run that was asked for at an instant. `at` in epoch ms."""

    at: int
    task_id: str | None
    run_id: str | None


@dataclass(frozen=True)
class Plan:
    """A task's place in the timetable: what its schedule was when it was planned, and its next fire (epoch ms)."""

    task_id: str
    spec: str
    due_at: int | None
    planned: str


def due_until(table: Table, now: int, most: int) -> Iterator[Due]:
    """What is due by now, the longest overdue first."""
    items = table.query("due = :due AND due_at <= :now", index="by_due", page=most, limit=most, due="due", now=now)
    for item in items:
        is_task = item["pk"] == PARTITION
        yield Due(item["due_at"], item["sk"] if is_task else None, None if is_task else item["pk"].removeprefix("RUN#"))


def get_plan(table: Table, task_id: str) -> Plan | None:
    """A task's plan."""
    item = table.get((PARTITION, task_id))
    return _plan(item) if item else None


def list_plans(table: Table) -> dict[str, Plan]:
    """All plans by task id."""
    return {item["sk"]: _plan(item) for item in table.query("pk = :pk", pk=PARTITION)}


def put_plan(table: Table, task_id: str, spec: str, due_at: int | None, planned: str, seen: str) -> bool:
    """Plan a task anew, provided that nobody else did since `seen`. `planned` names this planning."""
    item = {"pk": PARTITION, "sk": task_id, "spec": spec, "planned": planned, "due_at": due_at}
    try:
        table.put(item | {"due": None if due_at is None else "due"}, UNCHANGED, seen=seen)
    except ConditionFailed:
        return False
    return True


def drop_plan(table: Table, task_id: str) -> None:
    """The task has no timetable any more."""
    table.delete((PARTITION, task_id))


def record_fire(
    table: Table,
    task_id: str,
    fire: int,
    following: int | None,
    outcome: Outcome,
    reason: str,
    now: int,
    run: RunRecord | None = None,
) -> bool:
    """Take a fire: its ledger entry, the task's next due instant, and the run if there is one. False: somebody else took it."""
    change = "SET due_at = :next" if following is not None else "REMOVE due, due_at"
    values: dict[str, Any] = {"next": following} if following is not None else {}
    entry = {
        "pk": f"FIRES#{task_id}",
        "sk": f"{fire:015d}",
        "outcome": outcome,
        "reason": reason,
        "run_id": run.id if run else None,
        "decided_at": now,
        "expires_at": fire // 1000 + LEDGER_DAYS * 86_400,
    }
    requests = [
        ("Update", table.update_request((PARTITION, task_id), change, STILL_DUE, fire=fire, **values)),
        ("Put", table.put_request(entry)),
    ]
    if run is not None:
        requests.append(("Put", table.put_request(run_item(run), "attribute_not_exists(pk)")))
    try:
        table.transact(requests)
    except ConditionFailed:
        return False
    return True


def list_fires(
    table: Table, task_id: str, *, since: int | None = None, limit: int = 50, cursor: str | None = None
) -> tuple[list[dict[str, Any]], str | None]:
    """Ledger entries `{fire, outcome, reason, run_id}` of a task, newest first, and the cursor of the next page."""
    start = {"pk": {"S": f"FIRES#{task_id}"}, "sk": {"S": cursor}} if cursor else None
    items = table.query(
        "pk = :pk AND sk >= :since",
        newest_first=True,
        limit=limit,
        page=limit,
        start=start,
        pk=f"FIRES#{task_id}",
        since=f"{since or 0:015d}",
    )
    found = list(items)
    fires = [
        {"fire": iso(int(i["sk"])), "outcome": i["outcome"], "reason": i.get("reason", ""), "run_id": i.get("run_id")}
        for i in found
    ]
    return fires, found[-1]["sk"] if len(found) == limit else None


def fires_recorded(table: Table, fires: Collection[tuple[str, int]]) -> dict[tuple[str, int], dict[str, Any]]:
    """Ledger entries `{outcome, reason}` of (task id, instant), of those that are in it: one request for a hundred."""
    keys = [(f"FIRES#{task_id}", f"{at:015d}") for task_id, at in fires]
    found = table.get_many(keys)
    return {(pk.partition("#")[2], int(sk)): item for (pk, sk), item in found.items()}


def wake_run(table: Table, run_id: str, now: int, moment: str) -> dict[str, Any] | None:
    """scheduled -> queued, once. The run's item, or None if somebody else did it."""
    try:
        return table.update(
            run_key(run_id),
            "SET #status = :queued, touched_at = :now, history = list_append(history, :moment) REMOVE due, due_at",
            "#status = :scheduled",
            queued="queued",
            scheduled="scheduled",
            now=now,
            moment=[moment],
        )
    except ConditionFailed:
        return None


def _plan(item: dict[str, Any]) -> Plan:
    return Plan(item["sk"], item["spec"], item.get("due_at"), item["planned"])
