"""Semaphores: how many slots are taken, and by whom, in one item. Each change is ONE conditional update.

`{active, limit, holders: {run_id: {slots, at}}, reserved_for}`; `active` is always the sum of the holders' slots, and can be
audited against them. DynamoDB cannot add in a condition, so the caller brings the limit and the condition compares `active` with
what leaves room.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal

from chalicelib.store.table import ConditionFailed, PathMissing, Table

PARTITION = "SEMAPHORE"
ROOM_FOR_HEAD = "attribute_not_exists(holders.#run) AND active <= :room"
ROOM_FOR_NEWCOMER = f"{ROOM_FOR_HEAD} AND attribute_not_exists(reserved_for)"
NO_ROOM = "active > :room"
HELD = "attribute_exists(holders.#run)"
HANDED = "attribute_exists(holders.#run) AND attribute_not_exists(holders.#head) AND active <= :room"

HandOver = Literal["handed", "not_held", "head_holds", "no_room"]

MOVING_ALONG_MS = 5_000
"""Whoever took a slot for the head of a queue takes it out of there, and on, in less. After so long another one does it again."""


@dataclass(frozen=True)
class Semaphore:
    """A semaphore as read: holders as {run_id: {slots, at}}, `at` in epoch ms."""

    name: str
    active: int
    limit: int
    holders: dict[str, dict[str, int]]


def acquire(table: Table, name: str, run_id: str, slots: int, limit: int, now: int, *, is_head: bool = False) -> Semaphore | None:
    """Take slots if there is room, or have them already: None. Refused: the semaphore, to say who holds it.

    What is reserved for a heavy run at the head of the queue is refused to newcomers, but not to whoever is the head now. A head
    that got its slots a moment ago is refused with itself among the holders: another process is moving it along.
    """
    try:
        _update(
            table,
            name,
            "SET holders.#run = :holder, #limit = :limit" + (" REMOVE reserved_for" if is_head else "") + " ADD active :slots",
            ROOM_FOR_HEAD if is_head else ROOM_FOR_NEWCOMER,
            {"run": run_id},
            limit=limit,
            room=_room(limit, slots),
            holder={"slots": slots, "at": now},
            slots=slots,
        )
        return None
    except ConditionFailed as refused:
        there = _semaphore(name, refused.item or {})
        since = there.holders[run_id]["at"] if run_id in there.holders else None
        moving = is_head and since is not None and 0 < now - since < MOVING_ALONG_MS
        return there if since is None or moving else None


def reserve(table: Table, name: str, run_id: str, slots: int, limit: int) -> bool:
    """Keep what is free for the head of the queue, which needs more than that. False: there is room for it by now."""
    try:
        table.update((PARTITION, name), "SET reserved_for = :run", NO_ROOM, run=run_id, room=_room(limit, slots))
        return True
    except ConditionFailed:
        return False


def release(table: Table, name: str, run_id: str, slots: int) -> bool:
    """Give slots back. False: it held none (any more)."""
    try:
        _update(table, name, "REMOVE holders.#run ADD active :minus", HELD, {"run": run_id}, minus=-slots)
        return True
    except ConditionFailed:
        return False


def hand_over(
    table: Table, name: str, run_id: str, slots: int, head_id: str, head_slots: int, limit: int, now: int
) -> tuple[HandOver, Collection[str]]:
    """Mine out and the queue's head in, at once: no newcomer can overtake. Refused, nothing has changed: why, and who holds slots.

    Delivered twice, the second finds mine out and the head in, which counts as handed.
    """
    try:
        _update(
            table,
            name,
            "SET holders.#head = :holder, #limit = :limit REMOVE holders.#run, reserved_for ADD active :difference",
            HANDED,
            {"run": run_id, "head": head_id},
            limit=limit,
            room=_room(limit, head_slots) + slots,
            holder={"slots": head_slots, "at": now},
            difference=head_slots - slots,
        )
        return "handed", ()
    except ConditionFailed as refused:
        holders = _semaphore(name, refused.item or {}).holders
        if run_id not in holders:
            return "handed" if holders.get(head_id, {}).get("at") == now else "not_held", holders
        return "head_holds" if head_id in holders else "no_room", holders


def read_semaphores(table: Table) -> list[Semaphore]:
    """All of them."""
    return [_semaphore(item["sk"], item) for item in table.query("pk = :pk", pk=PARTITION)]


def read_semaphore(table: Table, name: str) -> Semaphore:
    """One; one that nobody used yet is empty."""
    return _semaphore(name, table.get((PARTITION, name)) or {})


def _room(limit: int, slots: int) -> int:
    """How much may be taken already. A run that is heavier than the limit (which may have been lowered) runs alone."""
    return max(limit - slots, 0)


def _update(table: Table, name: str, change: str, condition: str, aliases: dict[str, str], **values: Any) -> None:
    try:
        table.update((PARTITION, name), change, condition, aliases, **values)
    except (PathMissing, ConditionFailed) as refused:
        if isinstance(refused, ConditionFailed) and refused.item is not None:
            raise
        # The first use of a semaphore ever: make the item, then ask again.
        try:
            empty = {"pk": PARTITION, "sk": name, "active": 0, "limit": values.get("limit", 0), "holders": {}}
            table.put(empty, "attribute_not_exists(pk)")
        except ConditionFailed:
            pass
        table.update((PARTITION, name), change, condition, aliases, **values)


def _semaphore(name: str, item: dict[str, Any]) -> Semaphore:
    return Semaphore(name, item.get("active", 0), item.get("limit", 0), item.get("holders", {}))
