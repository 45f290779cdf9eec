"""The queue's order: priority, then arrival; nobody before their time."""

from __future__ import annotations

from chalicelib.store import queue
from chalicelib.store.table import Table
from tests.unit.store.conftest import NOW, new_run


def join(store: Table, **values: object) -> str:
    run = new_run(**values)
    queue.join(store, "s", queue.entry_of(run))
    return run.id


def order(store: Table) -> list[str]:
    return [entry.run_id for entry in queue.waiting(store, "s")]


def test_first_come_first_served(store: Table) -> None:
    first, second, third = (new_run() for _ in range(3))
    for run in (second, third, first):
        queue.join(store, "s", queue.entry_of(run))
    assert order(store) == [first.id, second.id, third.id]


def test_a_higher_priority_goes_first(store: Table) -> None:
    low, plain, high, higher = (join(store, priority=p) for p in (-100, 0, 5, 100))
    assert order(store) == [higher, high, plain, low]


def test_nobody_is_first_before_their_time(store: Table) -> None:
    later = join(store, not_before=NOW + 60_000, priority=9)
    assert not list(queue.due(store, "s", NOW))
    due = join(store)
    assert next(queue.due(store, "s", NOW)).run_id == due
    assert next(queue.due(store, "s", NOW + 60_000)).run_id == later


def test_the_first_who_is_due_is_found_behind_many_who_are_not(store: Table) -> None:
    for n in range(11):
        join(store, not_before=NOW + 60_000 + n, priority=1)
    due = join(store)
    assert next(queue.due(store, "s", NOW)).run_id == due


def test_joining_twice_is_once_and_leaving_twice_too(store: Table) -> None:
    entry = queue.entry_of(new_run())
    queue.join(store, "s", entry)
    queue.join(store, "s", entry)
    assert order(store) == [entry.run_id]
    queue.leave(store, "s", entry.key)
    queue.leave(store, "s", entry.key)
    assert order(store) == []


def test_an_entry_says_all_that_is_needed_to_go_on(store: Table) -> None:
    run = new_run(slots=3, path=["task:x", "pool:y", "global"], priority=2)
    queue.join(store, "s", queue.entry_of(run))
    (entry,) = queue.waiting(store, "s")
    assert entry == queue.entry_of(run)
    assert (entry.weight("task:x"), entry.weight("pool:y")) == (1, 3)


def test_queues_of_semaphores_are_apart(store: Table) -> None:
    queue.join(store, "pool:a", queue.entry_of(new_run()))
    assert not list(queue.due(store, "pool:b", NOW))
