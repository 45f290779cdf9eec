"""A task starts once all it depends on have succeeded since its last start."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from chalicelib.engine import starter
from chalicelib.engine.dependents import start_all_due, start_dependents
from tests.unit.timetable.conftest import MakeWorld, World

DIAMOND = {"a": {}, "b": {}, "c": {"depends_on": ["a", "b"]}}


def run_once(w: World, task_id: str, status: str = "completed") -> str:
    w.now += 1000
    run = starter.start(w.services, task_id, {})
    w.now += 1000
    w.finish(w.claim(run.id), status)
    return run.id


def test_it_starts_when_the_last_of_them_succeeds_and_names_its_causes(world: MakeWorld) -> None:
    w = world(DIAMOND)
    a = run_once(w, "a")
    assert w.live("c") == []
    b = run_once(w, "b")
    (c,) = w.live("c")
    assert (c.trigger, c.caused_by) == ("dependency", sorted([a, b]))


def test_each_must_succeed_anew_for_the_next_start(world: MakeWorld) -> None:
    w = world(DIAMOND)
    run_once(w, "a")
    run_once(w, "b")
    run_once(w, "a")
    assert len(w.live("c")) == 1
    run_once(w, "b")
    assert len(w.live("c")) == 2


def test_a_failure_does_not_count(world: MakeWorld) -> None:
    w = world(DIAMOND)
    run_once(w, "a")
    run_once(w, "b", "failed")
    assert w.live("c") == []


def test_whoever_looks_and_however_often_it_is_started_once(atomic_world: MakeWorld) -> None:
    w = atomic_world(DIAMOND)
    for task in ("a", "b"):
        w.now += 1000
        run = starter.start(w.services, task, {})
        from chalicelib.engine.ending import close, final_events
        from chalicelib.store.closing import Ending

        claimed = w.claim(run.id)
        w.now += 1000
        close(
            w.services, claimed, Ending("completed", w.now, final_events(claimed, "completed", w.now, claimed.tail, None)), "test"
        )
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda n: start_dependents(w.services, "ab"[n % 2]), range(8)))
    assert len(w.live("c")) == 1


def test_what_a_crash_left_unstarted_is_found_by_the_sweep(world: MakeWorld, monkeypatch: object) -> None:
    from chalicelib.engine.ending import close, final_events
    from chalicelib.store.closing import Ending

    w = world({"a": {}, "b": {"depends_on": ["a"]}})
    run = w.claim(starter.start(w.services, "a", {}).id)
    w.now += 1000
    close(w.services, run, Ending("completed", w.now, final_events(run, "completed", w.now, run.tail, None)), "test")
    assert w.live("b") == []
    assert len(start_all_due(w.services)) == 1
    assert start_all_due(w.services) == []
    assert len(w.live("b")) == 1


def test_a_disabled_or_paused_dependent_does_not_start(world: MakeWorld) -> None:
    w = world({"a": {}, "b": {"depends_on": ["a"], "enabled": False}, "c": {"depends_on": ["a"], "paused": True}})
    run_once(w, "a")
    assert w.live("b") == [] == w.live("c")
