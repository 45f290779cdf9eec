"""The end of a run: one transaction over the run, its last events, the task's counters and the day's statistics."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from chalicelib.domain.clock import iso
from chalicelib.domain.errors import FenceLostError
from chalicelib.domain.run import Event, RunRecord, Status
from chalicelib.domain.stats import bucket_of
from chalicelib.store.codec import pack, to_json
from chalicelib.store.records import leg_of, moment, run_key
from chalicelib.store.statistics import KEPT_DAYS, day_key
from chalicelib.store.table import ConditionFailed, Table
from chalicelib.store.tasks import SHIFT_RECENT, recent_text

AS_SEEN = "#status = :seen AND attempt = :attempt AND seq = :seen_seq AND follows = :follows"
INLINE_RESULT = 2_000  # characters of JSON; a larger one gets an item of its own, so that lists stay cheap


@dataclass
class Ending:
    """How a run ends. `events` are all that no chunk holds, `done` among them."""

    status: Status
    at: int
    events: list[Event]
    result: Any = None
    error: dict[str, Any] | None = None
    steps: list[dict[str, Any]] = field(default_factory=list)
    usage: dict[str, Any] | None = None
    attempt: dict[str, Any] | None = None
    progress: dict[str, Any] | None = None
    artifacts: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[dict[str, Any]] = field(default_factory=list)
    partial: bool = False


class FollowersChanged(Exception):
    """Somebody began to follow since the run was last seen: `followers` and `follows` are current now."""

    def __init__(self, followers: frozenset[str], follows: int) -> None:
        super().__init__("somebody began to follow")
        self.followers, self.follows = followers, follows


def close_run(table: Table, run: RunRecord, follows: int, ending: Ending, closer: str, retention_days: int) -> None:
    """Make a run terminal, provided that it still is as `run` and `follows` say.

    Raises FollowersChanged when only the followers differ, FenceLostError when it is another's or over. Sent twice by the same
    closer, the second finds the first's work and is content.
    """
    expires = ending.at // 1000 + retention_days * 86_400
    requests: list[tuple[str, dict[str, Any]]] = [
        ("Update", _run_update(table, run, follows, ending, closer, expires)),
        ("Put", table.put_request(_chunk(run.id, ending.events, expires))),
    ]
    if run.started_at is not None:
        requests += [("Update", _task_update(table, run, ending)), ("Update", _day_update(table, run, ending))]
    result = None if ending.result is None else to_json(ending.result)
    if result is not None and len(result) > INLINE_RESULT:
        item = {"pk": f"RUN#{run.id}", "sk": "RESULT", "result": pack([ending.result]), "expires_at": expires}
        requests.append(("Put", table.put_request(item)))
    try:
        table.transact(requests)
    except ConditionFailed as refused:
        there = refused.item or {}
        if there.get("closed_by") == closer:
            return
        now = (there.get("status"), there.get("attempt"), there.get("leg", 1), there.get("seq"))
        if now == (run.status, run.attempt, run.leg, run.seq):
            raise FollowersChanged(there.get("followers", frozenset()), there["follows"]) from None
        raise FenceLostError(f"run {run.id} is {there.get('status', 'gone')} by now, not {run.status}") from None


def _run_update(table: Table, run: RunRecord, follows: int, ending: Ending, closer: str, expires: int) -> dict[str, Any]:
    inline = None if ending.result is None else to_json(ending.result)
    if inline is not None and len(inline) > INLINE_RESULT:
        inline = None
    values: dict[str, Any] = {
        "finished_at": ending.at,
        "closed_by": closer,
        "expires_at": expires,
        "seq": ending.events[-1]["seq"],
        "result": inline,
        "large_result": True if ending.result is not None and inline is None else None,
        "error": to_json(ending.error) if ending.error else None,
        "steps": to_json(ending.steps) if ending.steps else None,
        "usage": to_json(ending.usage) if ending.usage else None,
        "progress": to_json(ending.progress) if ending.progress else None,
        "artifacts": to_json(ending.artifacts) if ending.artifacts else None,
        "warnings": to_json(ending.warnings) if ending.warnings else None,
        "partial": ending.partial or None,
    }
    values = {k: v for k, v in values.items() if v is not None}
    change = "SET #status = :status, history = list_append(history, :moment)"
    change += "".join(f", #{k} = :{k}" for k in values)
    if ending.attempt:
        change += ", attempts = list_append(attempts, :ended)"
        values["ended"] = [to_json(ending.attempt)]
    return table.update_request(
        run_key(run.id),
        f"{change} REMOVE tail, lease_until, not_before, followers, due, due_at, carried",
        f"{AS_SEEN} AND {leg_of(run)}",
        moment=[moment(ending.at, ending.status, run.attempt)],
        seen=run.status,
        seen_seq=run.seq,
        attempt=run.attempt,
        leg=run.leg,
        follows=follows,
        status=ending.status,
        **values,
    )


def _chunk(run_id: str, events: list[Event], expires: int) -> dict[str, Any]:
    return chunk_item(run_id, events) | {"expires_at": expires}


def chunk_item(run_id: str, events: list[Event]) -> dict[str, Any]:
    """A chunk of consecutive events, named by its last seq so that a reader of what comes after N begins at the right one."""
    return {"pk": f"RUN#{run_id}", "sk": f"EVENT#{events[-1]['seq']:010d}", "events": pack(events)}


def _task_update(table: Table, run: RunRecord, ending: Ending) -> dict[str, Any]:
    assert run.started_at is not None
    seconds = (ending.at - run.started_at) / 1000
    return table.update_request(
        ("TASK", run.task_id),
        "SET last_run_id = :run, last_status = :outcome, last_started_at = :started, last_seconds = :seconds, "
        + SHIFT_RECENT
        + (", completed_at = :at, completed_run = :run" if ending.status == "completed" else "")
        + " ADD runs :one, #count :one, total_seconds :seconds",
        aliases={"count": ending.status},
        at=ending.at,
        run=run.id,
        outcome=ending.status,
        started=run.started_at,
        seconds=seconds,
        newest=recent_text(ending.status, seconds),
        none="",
        one=1,
    )


def _day_update(table: Table, run: RunRecord, ending: Ending) -> dict[str, Any]:
    assert run.started_at is not None
    seconds = (ending.at - run.started_at) / 1000
    return table.update_request(
        day_key(iso(ending.at)[:10], run.task_id),
        "SET expires_at = :expires ADD runs :one, #count :one, total_seconds :seconds, #bucket :one",
        aliases={"count": ending.status, "bucket": bucket_of(seconds)},
        expires=ending.at // 1000 + KEPT_DAYS * 86_400,
        one=1,
        seconds=seconds,
    )
