"""Every fire ends in the ledger exactly once, with what became of it and why."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from chalicelib.domain.clock import iso
from chalicelib.engine.dispatcher import dispatch
from chalicelib.engine.registry import EVERYTHING
from chalicelib.engine.timetable import plan_task, sync_timetable
from chalicelib.store.timetable import get_plan, list_fires
from tests.unit.timetable.conftest import HOUR, MINUTE, MONDAY, MakeWorld, World

HOURLY = {"schedule": "0 * * * *"}


def ledger(world: World, task_id: str) -> list[tuple[str, str]]:
    """(time of day, outcome), oldest first."""
    fires = list_fires(world.table, task_id, limit=500)[0]
    return [(f["fire"][11:16], f["outcome"]) for f in reversed(fires)]


def reasons(world: World, task_id: str) -> list[str]:
    return [f["reason"] for f in reversed(list_fires(world.table, task_id, limit=500)[0])]


def test_a_fire_becomes_one_run_with_its_slot(world: MakeWorld) -> None:
    w = world({"hourly": HOURLY})
    sync_timetable(w.services)
    w.now += HOUR
    assert dispatch(w.services) == {"ran": 1}
    (run,) = w.live("hourly")
    assert (run.trigger, run.fire_at, run.status) == ("schedule", MONDAY + HOUR, "queued")
    assert w.invoked == [(run.id, 1)]
    assert ledger(w, "hourly") == [("01:00", "ran")]
    assert dispatch(w.services) == {}


def test_a_fire_that_lies_ahead_is_left_alone_for_one_query(world: MakeWorld) -> None:
    w = world({f"t{n}": HOURLY for n in range(20)})
    sync_timetable(w.services)
    asked: list[str] = []
    w.table.client.meta.events.register("before-call.dynamodb", lambda model, **_: asked.append(model.name))
    assert dispatch(w.services) == {}
    assert asked == ["Query"]


def test_eight_dispatchers_at_once_make_each_fire_one_run(atomic_world: MakeWorld) -> None:
    w = atomic_world({f"t{n}": HOURLY for n in range(12)})
    sync_timetable(w.services)
    w.now += HOUR + 500
    with ThreadPoolExecutor(8) as threads:
        done = list(threads.map(lambda _: dispatch(w.services), range(8)))
    assert sum(d["ran"] for d in done) == 12
    assert sum(d["trouble"] for d in done) == 0
    for n in range(12):
        assert ledger(w, f"t{n}") == [("01:00", "ran")]
        assert len(w.live(f"t{n}")) == 1
    assert len(w.invoked) == 12


@pytest.mark.parametrize(
    ("catch_up", "expected"),
    [
        ({"catch_up": "latest"}, ["missed", "missed", "ran"]),
        ({"catch_up": "all"}, ["ran", "ran", "ran"]),
        ({"catch_up": "all", "catch_up_limit": 2}, ["missed", "ran", "ran"]),
        ({"catch_up": "none"}, ["missed", "missed", "missed"]),
    ],
)
def test_three_hours_without_a_dispatcher_end_as_catch_up_says(
    world: MakeWorld, catch_up: dict[str, Any], expected: list[str]
) -> None:
    w = world({"hourly": HOURLY | catch_up})
    sync_timetable(w.services)
    w.now += 3 * HOUR + 20 * MINUTE
    dispatch(w.services)
    assert [outcome for _, outcome in ledger(w, "hourly")] == expected
    assert all(reasons(w, "hourly")), "each one says why"
    plan = get_plan(w.table, "hourly")
    assert plan is not None
    assert plan.due_at == MONDAY + 4 * HOUR


def test_a_fire_that_is_only_seconds_late_is_not_missed(world: MakeWorld) -> None:
    w = world({"hourly": HOURLY | {"catch_up": "none"}})
    sync_timetable(w.services)
    w.now += HOUR + 45_000
    assert dispatch(w.services) == {"ran": 1}


def test_a_long_outage_of_a_minutely_task_is_worked_off_without_running_it_all(world: MakeWorld) -> None:
    w = world({"minutely": {"schedule": "* * * * *"}})
    sync_timetable(w.services)
    w.now += 8 * HOUR
    assert dispatch(w.services) == {"missed": 479, "ran": 1}
    assert len(w.live("minutely")) == 1


def test_fires_in_a_blackout_are_skipped_and_say_so(world: MakeWorld) -> None:
    w = world({"hourly": HOURLY | {"except": [{"from": "00:30", "to": "02:30"}]}})
    sync_timetable(w.services)
    for _ in range(3):
        w.now += HOUR
        dispatch(w.services)
    assert [o for _, o in ledger(w, "hourly")] == ["skipped", "skipped", "ran"]
    assert "blackout" in reasons(w, "hourly")[0]


def test_pausing_one_task_or_everything_skips_fires_until_resumed(world: MakeWorld) -> None:
    w = world({"a": HOURLY, "b": HOURLY})
    sync_timetable(w.services)
    w.services.registry.change("a", {"set": {"paused": True}})
    w.now += HOUR
    dispatch(w.services)
    w.services.registry.change(EVERYTHING, {"paused": True})
    w.now += HOUR
    dispatch(w.services)
    w.services.registry.change(EVERYTHING, None)
    w.services.registry.change("a", {"set": {}})
    w.now += HOUR
    dispatch(w.services)
    assert [o for _, o in ledger(w, "a")] == ["skipped", "skipped", "ran"]
    assert [o for _, o in ledger(w, "b")] == ["ran", "skipped", "ran"]
    assert set(reasons(w, "a")[:2]) == {"paused"}


def test_overlap_allow_starts_a_second_run(world: MakeWorld) -> None:
    w = world({"t": HOURLY})
    _two_fires(w)
    assert [r.status for r in w.live("t")] == ["running", "queued"]
    assert len(w.invoked) == 2


def test_overlap_queue_waits_for_the_first_to_end(world: MakeWorld) -> None:
    w = world({"t": HOURLY | {"overlap": "queue"}})
    first = _two_fires(w)
    assert len(w.invoked) == 1
    w.finish(first)
    assert [run_id for run_id, _ in w.invoked] == [r.id for r in w.live("t")]


def test_overlap_skip_leaves_the_fire_out_and_says_so(world: MakeWorld) -> None:
    w = world({"t": HOURLY | {"overlap": "skip"}})
    first = _two_fires(w)
    assert [o for _, o in ledger(w, "t")] == ["ran", "skipped"]
    assert "overlap" in reasons(w, "t")[1]
    w.finish(first)
    w.now += HOUR
    assert dispatch(w.services)["ran"] == 1


def test_overlap_replace_stops_the_first_and_runs_after_it(world: MakeWorld) -> None:
    from chalicelib.store.runs import get_run

    w = world({"t": HOURLY | {"overlap": "replace"}})
    first = _two_fires(w)
    assert get_run(w.table, first.id).stop_requested
    assert len(w.invoked) == 1, "the slot stays with the first until its process has ended"
    w.finish(get_run(w.table, first.id), "stopped")
    assert [run_id for run_id, _ in w.invoked] == [r.id for r in w.live("t")]


@pytest.mark.parametrize("overlap", ["skip", "replace"])
def test_a_run_that_is_asked_for_later_is_in_nobodys_way(world: MakeWorld, overlap: str) -> None:
    from chalicelib.engine import starter
    from chalicelib.store.runs import get_run

    w = world({"t": HOURLY | {"overlap": overlap}})
    later = starter.start(w.services, "t", {}, at=MONDAY + 24 * HOUR)
    sync_timetable(w.services)
    w.now += HOUR
    assert dispatch(w.services) == {"ran": 1}
    assert get_run(w.table, later.id).status == "scheduled"


def _two_fires(w: World) -> Any:
    """The first run is at work when the second fire comes."""
    sync_timetable(w.services)
    w.now += HOUR
    dispatch(w.services)
    first = w.claim(w.live("t")[0].id)
    w.now += HOUR
    dispatch(w.services)
    return first


def test_fires_over_the_rate_limit_are_skipped_and_say_so(world: MakeWorld) -> None:
    w = world({"t": {"schedule": "*/10 * * * *", "rate_limit": "2/hour"}})
    sync_timetable(w.services)
    for _ in range(5):
        w.now += 10 * MINUTE
        dispatch(w.services)
    assert [o for _, o in ledger(w, "t")] == ["ran", "ran", "skipped", "skipped", "skipped"]
    assert "2/hour" in reasons(w, "t")[2]


def test_the_overall_rate_limit_counts_all_tasks(world: MakeWorld) -> None:
    w = world({f"t{n}": HOURLY for n in range(5)}, rate_limit="3/hour")
    sync_timetable(w.services)
    w.now += HOUR
    assert dispatch(w.services) == {"ran": 3, "skipped": 2}


def test_a_changed_schedule_is_planned_anew_and_an_unchanged_one_keeps_its_fire(world: MakeWorld) -> None:
    w = world({"a": HOURLY, "b": HOURLY})
    sync_timetable(w.services)
    w.now += 90 * MINUTE
    later = w.services_with({"a": {"schedule": "15 * * * *"}, "b": HOURLY})
    sync_timetable(later)
    plans = {t: get_plan(w.table, t) for t in "ab"}
    assert plans["a"].due_at == MONDAY + 2 * HOUR + 15 * MINUTE  # type: ignore[union-attr]
    assert plans["b"].due_at == MONDAY + HOUR, "missed while nobody looked: still to be decided"  # type: ignore[union-attr]


def test_a_disabled_or_deleted_task_leaves_the_timetable(world: MakeWorld) -> None:
    w = world({"a": HOURLY, "b": HOURLY})
    sync_timetable(w.services)
    w.services.registry.change("a", {"set": {"enabled": False}})
    w.services.registry.change("b", {"deleted": True})
    plan_task(w.services, "a")
    plan_task(w.services, "b")
    w.now += HOUR
    assert dispatch(w.services) == {}
    assert get_plan(w.table, "a") is None


def test_a_task_disabled_by_another_process_is_dropped_when_its_fire_comes(world: MakeWorld) -> None:
    w = world({"a": HOURLY})
    sync_timetable(w.services)
    w.services_with({"a": HOURLY}).registry.change("a", {"set": {"enabled": False}})
    w.now += HOUR
    assert dispatch(w.services) == {"dropped": 1}
    assert w.live("a") == []


def test_a_one_off_instant_fires_once(world: MakeWorld) -> None:
    w = world({"once": {"at": [iso(MONDAY + HOUR)]}})
    sync_timetable(w.services)
    for _ in range(3):
        w.now += HOUR
        dispatch(w.services)
    assert ledger(w, "once") == [("01:00", "ran")]


def test_one_tasks_trouble_is_not_the_others(world: MakeWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    from chalicelib.engine import dispatcher

    w = world({"a": HOURLY, "b": HOURLY})
    sync_timetable(w.services)
    w.now += HOUR
    take = dispatcher._take_fires

    def sometimes(services: Any, task_id: str, first: int) -> list[str]:
        if task_id == "a":
            raise RuntimeError("trouble")
        return take(services, task_id, first)

    monkeypatch.setattr(dispatcher, "_take_fires", sometimes)
    assert dispatch(w.services) == {"trouble": 1, "ran": 1}
    monkeypatch.setattr(dispatcher, "_take_fires", take)
    assert dispatch(w.services) == {"ran": 1}


def test_a_crash_between_a_fire_and_its_slot_is_mended_by_the_sweeper(world: MakeWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    from chalicelib.engine import dispatcher
    from chalicelib.engine.sweeper import sweep

    w = world({"a": HOURLY})
    sync_timetable(w.services)
    w.now += HOUR
    monkeypatch.setattr(dispatcher, "admit", lambda services, run: None)
    dispatch(w.services)
    assert w.invoked == []
    w.now += 5 * MINUTE
    sweep(w.services)
    assert [run_id for run_id, _ in w.invoked] == [w.live("a")[0].id]
