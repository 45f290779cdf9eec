"""A run's life in the table. Each function is one request, and says what may have happened when it is refused.

The attempt and its leg are the fence: whatever a running process writes is conditional on both still being the current ones.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from chalicelib.domain.errors import FenceLostError, KeyReusedError, UnknownRunError
from chalicelib.domain.run import Event, RunRecord
from chalicelib.store.codec import pack, to_json
from chalicelib.store.records import LATER_LEG, UNCLAIMED, leg_of, moment, run_item, run_key, run_of
from chalicelib.store.table import ConditionFailed, Table

NEW = "attribute_not_exists(pk)"
CLAIMABLE = "#status = :queued AND attempt = :attempt"
CURRENT = "#status = :running AND attempt = :attempt"
ACTIVE = "#status IN (:scheduled, :queued, :running)"

Notes = list[dict[str, Any]]
ACTIVE_WORDS: dict[str, Any] = {"scheduled": "scheduled", "queued": "queued", "running": "running"}


@dataclass(frozen=True)
class Published:
    """What a flush brings back: whether to stop, and who listens."""

    stop_requested: bool
    followers: frozenset[str]
    follows: int


def put_new_run(table: Table, run: RunRecord, idempotency_key: str | None = None) -> RunRecord:
    """Write a run that did not exist. With a key that was used before, the run it made then comes back.

    Raises KeyReusedError when the key was used with other arguments. A request that was delivered twice finds its own run.
    """
    put = table.put_request(run_item(run), NEW)
    try:
        if idempotency_key is None:
            table.put(run_item(run), NEW)
        else:
            seen = {
                "pk": f"KEY#{run.task_id}",
                "sk": idempotency_key,
                "run_id": run.id,
                "args": to_json(run.args),
                "expires_at": run.created_at // 1000 + 86_400,
            }
            table.transact([("Put", table.put_request(seen, NEW)), ("Put", put)])
        return run
    except ConditionFailed as refused:
        there = refused.item or {}
        if idempotency_key is not None and there.get("sk") == idempotency_key:
            if there["args"] != to_json(run.args):
                raise KeyReusedError(f"Idempotency-Key '{idempotency_key}' was used with other arguments") from None
            return get_run(table, there["run_id"])
        return run_of(there) if there else get_run(table, run.id)


def get_run(table: Table, run_id: str) -> RunRecord:
    """The run as it is now. Raises UnknownRunError."""
    item = table.get(run_key(run_id))
    if item is None:
        raise UnknownRunError(run_id)
    return run_of(item)


def get_runs(table: Table, run_ids: list[str]) -> list[RunRecord]:
    """The runs of these ids that exist, in this order."""
    found = table.get_many([run_key(r) for r in run_ids])
    return [run_of(found[run_key(r)]) for r in run_ids if run_key(r) in found]


def claim(
    table: Table, run_id: str, attempt: int, claimant: str, now: int, lease_until: int, leg: int = 1
) -> tuple[RunRecord, bool]:
    """queued -> running, for this attempt only; or a later leg of a running one, that nobody has claimed yet.

    Gives the run and whether it is this claimant's now. Holding the slot need not be asked: an attempt is invoked only once it
    holds, and nobody takes a slot from a queued run. A claim whose answer was lost is recognised by its claimant when it is sent
    again. Raises UnknownRunError.
    """
    change = "SET lease_until = :lease, claimed_by = :claimant, claimed_as = :message, touched_at = :now"
    if leg == 1:
        change += ", #status = :running, started_at = if_not_exists(started_at, :now), history = list_append(history, :moment)"
        change += " REMOVE not_before"
    try:
        item = table.update(
            run_key(run_id),
            change,
            CLAIMABLE if leg == 1 else f"{CURRENT} AND {LATER_LEG} AND {UNCLAIMED}",
            running="running",
            queued="queued",
            attempt=attempt,
            leg=leg,
            now=now,
            lease=lease_until,
            claimant=claimant,
            message=message_name(attempt, leg),
            moment=[moment(now, "running", attempt)],
        )
    except ConditionFailed as refused:
        if refused.item is None:
            raise UnknownRunError(run_id) from None
        mine = refused.item.get("claimed_by") == claimant and refused.item["status"] == "running"
        return run_of(refused.item), mine
    return run_of(item), True


def message_name(attempt: int, leg: int) -> str:
    """What a process was invoked for, as the run notes it: it may be further attempts on by the time it dies."""
    return f"{attempt}.{leg}"


def publish(
    table: Table,
    run: RunRecord,
    seq: int,
    tail: list[Event],
    progress: dict[str, Any] | None,
    now: int,
    lease_until: int,
) -> Published:
    """One flush: the newest events, the progress and the lease, fenced. Sent twice it changes nothing more.

    `tail` holds every published event that is in no chunk; what it replaces must lie in a chunk before. Raises FenceLostError.
    """
    item = _fenced(
        table,
        run,
        "SET seq = :seq, tail = :tail, lease_until = :lease, touched_at = :now" + (", progress = :progress" if progress else ""),
        seq=seq,
        tail=pack(tail),
        lease=lease_until,
        now=now,
        progress=to_json(progress),
    )
    return Published(item.get("stop_requested", False), item.get("followers", frozenset()), item.get("follows", 0))


def next_attempt(
    table: Table, run: RunRecord, failed: dict[str, Any], now: int, lease_until: int, artifacts: Notes | None = None
) -> None:
    """The same process tries again, from the start: a new fence, still running. Raises FenceLostError."""
    _fenced(
        table,
        run,
        "SET attempt = :next, lease_until = :lease, attempts = list_append(attempts, :failed),"
        " history = list_append(history, :moment)" + _kept(artifacts) + " REMOVE leg, carried",
        next=run.attempt + 1,
        lease=lease_until,
        failed=[to_json(failed)],
        moment=[moment(now, "running", run.attempt + 1)],
        artifacts=to_json(artifacts),
    )


def next_leg(
    table: Table, run: RunRecord, carried: dict[str, Any], now: int, lease_until: int, artifacts: Notes | None = None
) -> None:
    """The attempt goes on in another process, which has to claim it: from now on this one may not write. Raises FenceLostError.

    Sent twice, the second finds the first's work: nobody else could have moved this leg on.
    """
    try:
        _fenced(
            table,
            run,
            "SET leg = :next, carried = :carried, lease_until = :lease, touched_at = :now" + _kept(artifacts)
            + " REMOVE claimed_by, claimed_as",
            next=run.leg + 1,
            carried=to_json(carried),
            lease=lease_until,
            now=now,
            artifacts=to_json(artifacts),
        )  # fmt: skip
    except FenceLostError:
        there = get_run(table, run.id)
        if there.attempt != run.attempt or there.leg <= run.leg:
            raise


def touch_leg(table: Table, run: RunRecord, now: int, lease_until: int) -> bool:
    """Note that somebody invokes a leg again that nobody has claimed. False: somebody has by now."""
    try:
        table.update(
            run_key(run.id), "SET touched_at = :now, lease_until = :lease", f"{CURRENT} AND {LATER_LEG} AND {UNCLAIMED}",
            now=now, lease=lease_until, running="running", attempt=run.attempt, leg=run.leg,
        )  # fmt: skip
    except ConditionFailed:
        return False
    return True


def queue_again(
    table: Table, run: RunRecord, failed: dict[str, Any], now: int, not_before: int | None, artifacts: Notes | None = None
) -> RunRecord:
    """running -> queued for a later attempt; `not_before` says from when. Raises FenceLostError."""
    item = _fenced(
        table,
        run,
        "SET #status = :queued, attempt = :next, touched_at = :now, attempts = list_append(attempts, :failed),"
        " history = list_append(history, :moment)" + (", not_before = :not_before" if not_before else "") + _kept(artifacts)
        + " REMOVE lease_until, leg, carried",
        queued="queued",
        next=run.attempt + 1,
        now=now,
        failed=[to_json(failed)],
        moment=[moment(now, "queued", run.attempt + 1)],
        not_before=not_before or 0,
        artifacts=to_json(artifacts),
    )  # fmt: skip
    return run_of(item)


def fail_unclaimed(table: Table, run: RunRecord, failed: dict[str, Any], now: int) -> RunRecord:
    """The process of a queued attempt died before it could claim: on to the next attempt. Raises FenceLostError."""
    try:
        item = table.update(
            run_key(run.id),
            "SET attempt = :next, touched_at = :now, attempts = list_append(attempts, :failed),"
            " history = list_append(history, :moment)",
            CLAIMABLE,
            queued="queued",
            attempt=run.attempt,
            next=run.attempt + 1,
            now=now,
            failed=[to_json(failed)],
            moment=[moment(now, "queued", run.attempt + 1)],
        )
    except ConditionFailed as refused:
        raise _lost(run, refused) from None
    return run_of(item)


def touch(table: Table, run: RunRecord, now: int) -> bool:
    """Note that somebody moves a queued run along just now, so that the next sweep lets it be. False: it waits no more."""
    try:
        table.update(
            run_key(run.id), "SET touched_at = :now", "#status = :queued AND attempt = :attempt",
            now=now, queued="queued", attempt=run.attempt,
        )  # fmt: skip
    except ConditionFailed:
        return False
    return True


def request_stop(table: Table, run_id: str, by: str = "") -> RunRecord:
    """Ask an active run to stop; a queued one still has to be closed. Gives the run as it is (terminal ones unchanged)."""
    change, values = "SET stop_requested = :yes", {"yes": True, **ACTIVE_WORDS}
    if by:
        change, values = f"{change}, stopped_by = if_not_exists(stopped_by, :by)", values | {"by": by}
    try:
        return run_of(table.update(run_key(run_id), change, ACTIVE, **values))
    except ConditionFailed as refused:
        if refused.item is None:
            raise UnknownRunError(run_id) from None
        return run_of(refused.item)


def follow(table: Table, run_id: str, connection: str) -> RunRecord:
    """Note a follower of an active run. The answer's seq is where the run's own pushes to it begin. Raises UnknownRunError."""
    try:
        change = "ADD followers :connection, follows :one"
        return run_of(table.update(run_key(run_id), change, ACTIVE, connection={connection}, one=1, **ACTIVE_WORDS))
    except ConditionFailed as refused:
        if refused.item is None:
            raise UnknownRunError(run_id) from None
        return run_of(refused.item)


def unfollow(table: Table, run_id: str, connections: set[str]) -> None:
    """Forget followers that are gone."""
    with suppress(ConditionFailed):
        table.update(run_key(run_id), "DELETE followers :gone", "attribute_exists(pk)", gone=connections)


def _fenced(table: Table, run: RunRecord, change: str, **values: Any) -> dict[str, Any]:
    try:
        fence = f"{CURRENT} AND {leg_of(run)}"
        return table.update(run_key(run.id), change, fence, running="running", attempt=run.attempt, leg=run.leg, **values)
    except ConditionFailed as refused:
        raise _lost(run, refused) from None


def _kept(artifacts: Notes | None) -> str:
    return ", artifacts = :artifacts" if artifacts else ""


def _lost(run: RunRecord, refused: ConditionFailed) -> FenceLostError:
    status = (refused.item or {}).get("status", "gone")
    return FenceLostError(f"attempt {run.attempt}, leg {run.leg} of run {run.id} is not the current one; the run is {status}")
