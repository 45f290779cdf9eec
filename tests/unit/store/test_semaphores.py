"""Slots are never more than the limit, and whatever is asked twice is done once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from chalicelib.store.semaphores import (
    MOVING_ALONG_MS,
    Semaphore,
    acquire,
    hand_over,
    read_semaphore,
    read_semaphores,
    release,
    reserve,
)
from chalicelib.store.table import Table


def held(store: Table, name: str = "s") -> dict[str, int]:
    semaphore = read_semaphore(store, name)
    slots = {run: holder["slots"] for run, holder in semaphore.holders.items()}
    assert semaphore.active == sum(slots.values())
    return slots


def test_slots_are_given_up_to_the_limit(store: Table) -> None:
    assert acquire(store, "s", "a", 1, 2, 100) is None
    assert acquire(store, "s", "b", 1, 2, 101) is None
    assert acquire(store, "s", "c", 1, 2, 102) == Semaphore("s", 2, 2, {"a": {"slots": 1, "at": 100}, "b": {"slots": 1, "at": 101}})


def test_acquiring_twice_is_acquiring_once_even_when_full(store: Table) -> None:
    acquire(store, "s", "a", 2, 2, 100)
    assert acquire(store, "s", "a", 2, 2, 200) is None
    assert held(store) == {"a": 2}


def test_the_head_of_a_queue_is_moved_along_by_one_process_at_a_time(store: Table) -> None:
    assert acquire(store, "s", "a", 1, 9, 100, is_head=True) is None
    assert acquire(store, "s", "a", 1, 9, 100, is_head=True) is None, "the same request, sent twice"
    assert acquire(store, "s", "a", 1, 9, 101, is_head=True) == Semaphore("s", 1, 9, {"a": {"slots": 1, "at": 100}})
    assert acquire(store, "s", "a", 1, 9, 100 + MOVING_ALONG_MS, is_head=True) is None, "whoever began it is gone"
    assert held(store) == {"a": 1}


def test_weights_count(store: Table) -> None:
    acquire(store, "s", "a", 2, 4, 1)
    assert acquire(store, "s", "b", 3, 4, 1) is not None
    assert acquire(store, "s", "c", 2, 4, 1) is None
    assert held(store) == {"a": 2, "c": 2}


def test_a_run_heavier_than_the_limit_runs_alone(store: Table) -> None:
    acquire(store, "s", "a", 1, 2, 1)
    assert acquire(store, "s", "heavy", 3, 2, 1) is not None
    release(store, "s", "a", 1)
    assert acquire(store, "s", "heavy", 3, 2, 1) is None
    assert acquire(store, "s", "b", 1, 2, 1) is not None
    assert hand_over(store, "s", "heavy", 3, "heavier", 4, 2, 2)[0] == "handed"
    assert held(store) == {"heavier": 4}


def test_releasing_twice_is_releasing_once(store: Table) -> None:
    acquire(store, "s", "a", 1, 2, 1)
    acquire(store, "s", "b", 1, 2, 1)
    assert release(store, "s", "a", 1)
    assert not release(store, "s", "a", 1)
    assert held(store) == {"b": 1}


def test_releasing_what_nobody_ever_used_is_nothing(store: Table) -> None:
    assert not release(store, "never", "a", 1)


def test_handing_over_swaps_holders_in_one(store: Table) -> None:
    acquire(store, "s", "a", 1, 1, 1)
    assert hand_over(store, "s", "a", 1, "b", 1, 1, 5)[0] == "handed"
    assert held(store) == {"b": 1}


def test_a_handing_over_that_comes_twice_counts_as_handed(store: Table) -> None:
    acquire(store, "s", "a", 1, 1, 1)
    hand_over(store, "s", "a", 1, "b", 1, 1, 5)
    assert hand_over(store, "s", "a", 1, "b", 1, 1, 5)[0] == "handed"
    assert hand_over(store, "s", "a", 1, "b", 1, 1, 6)[0] == "not_held"
    assert held(store) == {"b": 1}


def test_handing_over_says_why_it_was_refused(store: Table) -> None:
    acquire(store, "s", "a", 1, 2, 1)
    acquire(store, "s", "b", 1, 2, 1)
    assert hand_over(store, "s", "x", 1, "c", 1, 2, 5)[0] == "not_held"
    assert hand_over(store, "s", "a", 1, "b", 1, 2, 5)[0] == "head_holds"
    assert hand_over(store, "s", "a", 1, "c", 2, 2, 5)[0] == "no_room"
    assert hand_over(store, "s", "a", 1, "c", 1, 1, 5)[0] == "no_room", "the limit was lowered: the slot is not handed on"
    assert held(store) == {"a": 1, "b": 1}


def test_what_is_reserved_for_the_head_is_refused_to_newcomers(store: Table) -> None:
    acquire(store, "s", "a", 2, 3, 1)
    assert reserve(store, "s", "heavy", 2, 3)
    assert acquire(store, "s", "newcomer", 1, 3, 2) is not None
    assert acquire(store, "s", "a", 2, 3, 2) is None, "who has slots has them"
    release(store, "s", "a", 2)
    assert not reserve(store, "s", "heavy", 2, 3), "there is room by now"
    assert acquire(store, "s", "heavy", 2, 3, 3, is_head=True) is None
    assert acquire(store, "s", "newcomer", 1, 3, 4) is None


def test_a_limit_that_was_raised_or_lowered_holds_at_once(store: Table) -> None:
    for run in "ab":
        acquire(store, "s", run, 1, 2, 1)
    assert acquire(store, "s", "c", 1, 3, 1) is None
    release(store, "s", "a", 1)
    assert acquire(store, "s", "d", 1, 1, 1) is not None
    assert read_semaphore(store, "s").limit == 3, "what the last one who got a slot knew"


def test_all_semaphores_are_read_with_their_names(store: Table) -> None:
    acquire(store, "global", "a", 1, 2, 1)
    acquire(store, "pool:db", "a", 1, 2, 1)
    assert {s.name: set(s.holders) for s in read_semaphores(store)} == {"global": {"a"}, "pool:db": {"a"}}


@pytest.mark.parametrize("limit", [1, 7])
def test_many_at_once_get_exactly_the_limit(store: Table, limit: int) -> None:
    with ThreadPoolExecutor(16) as threads:
        got = list(threads.map(lambda n: acquire(store, "s", f"run{n}", 1, limit, 1) is None, range(24)))
    assert sum(got) == limit
    assert len(held(store)) == limit
