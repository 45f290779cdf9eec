"""Per-task limits, pools, weights, priorities: who waits for what."""

from __future__ import annotations

from chalicelib.engine import starter
from chalicelib.store.semaphores import read_semaphore
from tests.unit.timetable.conftest import MakeWorld


def test_a_tasks_own_limit_holds_whatever_is_free_elsewhere(world: MakeWorld) -> None:
    w = world({"t": {"max_concurrent": 2}})
    started = [starter.start(w.services, "t", {}).id for _ in range(4)]
    assert [r for r, _ in w.invoked] == started[:2]
    w.finish(w.claim(started[0]))
    assert [r for r, _ in w.invoked] == started[:3]
    assert read_semaphore(w.table, "task:t").active == 2
    assert read_semaphore(w.table, "global").active == 2


def test_tasks_of_one_pool_share_its_slots_and_heavy_ones_take_more(world: MakeWorld) -> None:
    w = world({"light": {"pool": "db"}, "heavy": {"pool": "db", "slots": 2}}, pools={"db": 2})
    first = starter.start(w.services, "light", {})
    heavy = starter.start(w.services, "heavy", {})
    late = starter.start(w.services, "light", {})
    assert [r for r, _ in w.invoked] == [first.id], "the heavy one is first in the queue: nobody overtakes it"
    w.finish(w.claim(first.id))
    assert [r for r, _ in w.invoked] == [first.id, heavy.id]
    w.finish(w.claim(heavy.id))
    assert [r for r, _ in w.invoked] == [first.id, heavy.id, late.id]
    w.finish(w.claim(late.id))
    assert read_semaphore(w.table, "pool:db").active == 0
    assert read_semaphore(w.table, "global").active == 0


def test_a_run_keeps_its_tasks_slot_while_it_waits_for_the_pool(world: MakeWorld) -> None:
    w = world({"a": {"pool": "db"}, "b": {"pool": "db", "max_concurrent": 1}}, pools={"db": 1})
    a = starter.start(w.services, "a", {})
    b = starter.start(w.services, "b", {})
    assert b.id in read_semaphore(w.table, "task:b").holders
    assert b.id not in read_semaphore(w.table, "pool:db").holders
    w.finish(w.claim(a.id))
    assert [r for r, _ in w.invoked] == [a.id, b.id]


def test_higher_priority_goes_first_and_arrival_decides_among_equals(world: MakeWorld) -> None:
    w = world({"low": {"priority": -5}, "plain": {}, "urgent": {"priority": 10}}, max_concurrent_tasks=1)
    running = starter.start(w.services, "plain", {})
    w.now += 10
    order = []
    for task in ("low", "plain", "plain", "urgent"):
        order.append(starter.start(w.services, task, {}).id)
        w.now += 10
    low, plain1, plain2, urgent = order
    current = running.id
    for expected in (urgent, plain1, plain2, low):
        w.finish(w.claim(current))
        assert w.invoked[-1][0] == expected
        current = expected


def test_a_start_over_the_rate_limit_is_refused_with_the_wait(world: MakeWorld) -> None:
    import pytest

    from chalicelib.domain.errors import RateLimitedError

    w = world({"t": {"rate_limit": "1/minute"}})
    starter.start(w.services, "t", {})
    with pytest.raises(RateLimitedError) as refused:
        starter.start(w.services, "t", {})
    assert 0 < refused.value.retry_after <= 60
    assert len(w.live("t")) == 1, "a refused start leaves nothing"
    w.now += 60_000
    starter.start(w.services, "t", {})
