"""`_start` with an instant: the run waits as `scheduled`, and is woken once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from chalicelib.engine import starter
from chalicelib.engine.dispatcher import dispatch
from chalicelib.store.runs import get_run
from tests.unit.timetable.conftest import HOUR, MONDAY, MakeWorld


def test_it_waits_until_its_instant(world: MakeWorld) -> None:
    w = world({"t": {}})
    run = starter.start(w.services, "t", {}, at=MONDAY + HOUR)
    assert (run.status, w.invoked) == ("scheduled", [])
    w.now += HOUR - 1
    assert dispatch(w.services) == {}
    w.now += 1
    assert dispatch(w.services) == {"woken": 1}
    assert get_run(w.table, run.id).status == "queued"
    assert w.invoked == [(run.id, 1)]


def test_it_is_woken_once_by_many_dispatchers(atomic_world: MakeWorld) -> None:
    w = atomic_world({"t": {}})
    runs = [starter.start(w.services, "t", {}, at=MONDAY + HOUR).id for _ in range(5)]
    w.now += HOUR
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: dispatch(w.services), range(8)))
    assert sorted(r for r, _ in w.invoked) == sorted(runs)


def test_it_can_be_stopped_before(world: MakeWorld) -> None:
    w = world({"t": {}})
    run = starter.start(w.services, "t", {}, at=MONDAY + HOUR)
    assert starter.stop(w.services, run.id).status == "stopped"
    w.now += HOUR
    assert dispatch(w.services) == {}


def test_an_instant_in_the_past_starts_at_once(world: MakeWorld) -> None:
    w = world({"t": {}})
    run = starter.start(w.services, "t", {}, at=MONDAY - HOUR)
    assert w.invoked == [(run.id, 1)]
