"""The sweeper's single repairs, and what it must leave alone."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.engine import starter, sweeper
from chalicelib.engine.sweeper import attempt_crashed, sweep
from chalicelib.store import queue, runs
from chalicelib.store.semaphores import acquire
from tests.unit.engine.conftest import Engine

GRACE = sweeper.GRACE_MS + 1_000
ERROR: dict[str, Any] = {"type": "Crashed", "message": "out of memory", "step": None, "traceback": ""}


@pytest.fixture
def later(engine: Engine) -> Any:
    """Moves the clock on."""
    real, ahead = engine.services.now, 0

    def move(ms: int) -> None:
        nonlocal ahead
        ahead += ms

    engine.task("task", lambda run: None, retry_count=1)
    engine.services.now = lambda: real() + ahead
    return move


def test_a_world_at_rest_is_left_alone(engine: Engine, later: Any) -> None:
    engine.start("task")
    engine.deliver()
    later(GRACE)
    assert not sweep(engine.services)


def test_a_slot_of_a_run_that_is_gone_comes_free(engine: Engine, later: Any) -> None:
    acquire(engine.table, "global", "deleted", 3, 10, 1)
    assert sweep(engine.services) == {"unknown_holder_released": 1}
    assert engine.holders() == {}


def test_a_young_run_is_left_to_its_starter(engine: Engine, later: Any) -> None:
    run = starter.new_run(engine.services, engine.tasks["task"], {}, "api")
    runs.put_new_run(engine.table, run)
    assert not sweep(engine.services)
    later(GRACE)
    assert sweep(engine.services) == {"admitted_again": 1}
    assert engine.deliver().status == "completed"


def test_a_run_whose_hour_has_not_come_is_not_admitted(engine: Engine, later: Any) -> None:
    starter.start(engine.services, "task", {}, at=engine.services.now() + 10**9)
    later(GRACE)
    assert not sweep(engine.services)
    assert engine.holders() == {}


def test_a_stop_that_died_half_way_is_completed(engine: Engine, later: Any) -> None:
    engine.settings["max_concurrent_tasks"] = 1
    engine.task("task", lambda run: None)
    first, second = engine.start("task"), engine.start("task")
    runs.request_stop(engine.table, second.id)
    engine.services.now = lambda: first.created_at + GRACE
    assert sweep(engine.services)["stopped"] == 1
    assert engine.read(second.id).status == "stopped"
    assert not list(queue.waiting(engine.table, "global"))


def test_a_run_that_joined_the_queue_after_the_runs_were_read_stays_there(
    engine: Engine, later: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read as running, put back into the queue a moment later, and its entry seen: not one that nobody needs."""
    run = engine.start("task")
    claimed, _ = runs.claim(engine.table, run.id, 1, "me", engine.services.now(), engine.services.now() + 60_000)
    real = queue.waiting

    def after_it_joined(*args: Any, **options: Any) -> Any:
        if engine.read(run.id).status == "running":
            again = runs.queue_again(engine.table, claimed, {"attempt": 1}, engine.services.now(), engine.services.now() + 50_000)
            queue.join(engine.table, "global", queue.entry_of(again))
        return real(*args, **options)

    monkeypatch.setattr(sweeper.queue, "waiting", after_it_joined)
    sweep(engine.services)
    assert [e.run_id for e in real(engine.table, "global")] == [run.id]


def test_a_lapsed_lease_is_another_attempt_with_the_same_slot(engine: Engine, later: Any) -> None:
    run = engine.start("task")
    engine.aws.inbox.clear()
    runs.claim(engine.table, run.id, 1, "lost", engine.services.now(), engine.services.now() + 20_000)
    assert not sweep(engine.services)
    later(21_000)
    assert sweep(engine.services) == {"dead_attempt": 1}
    assert engine.holders() == {"global": {run.id}}
    over = engine.deliver()
    assert (over.status, over.attempt, [a["error"]["type"] for a in over.attempts if a["error"]]) == ("completed", 2, ["Lost"])


def test_a_crash_is_told_of_the_attempt_that_the_process_had_come_to(engine: Engine, later: Any) -> None:
    """Lambda says which message it was; the process may have tried again since."""
    run = engine.start("task")
    claimed, _ = runs.claim(engine.table, run.id, 1, "me", 1, engine.services.now() + 60_000)
    runs.next_attempt(engine.table, claimed, {"attempt": 1}, 1, engine.services.now() + 60_000)
    assert attempt_crashed(engine.services, run.id, 1, ERROR) == "failed"
    over = engine.read(run.id)
    assert (over.status, over.attempt, over.error and over.error["message"]) == ("failed", 2, "out of memory")
    assert engine.holders() == {}


def test_a_report_of_an_attempt_that_is_history_changes_nothing(engine: Engine, later: Any) -> None:
    run = engine.start("task")
    claimed, _ = runs.claim(engine.table, run.id, 1, "me", 1, 1)
    runs.queue_again(engine.table, claimed, {"attempt": 1}, 1, None)
    runs.claim(engine.table, run.id, 2, "another", 1, 1)
    assert attempt_crashed(engine.services, run.id, 1, ERROR) == "outdated"
    assert engine.read(run.id).status == "running"
    assert attempt_crashed(engine.services, "nobody", 1, ERROR) == "unknown"


@pytest.mark.parametrize(("retry_count", "says", "status"), [(1, "retried", "queued"), (0, "failed", "failed")])
def test_a_process_that_died_before_its_claim_was_an_attempt(
    engine: Engine, later: Any, retry_count: int, says: str, status: str
) -> None:
    engine.task("task", lambda run: None, retry_count=retry_count)
    started = engine.start("task")
    engine.aws.inbox.clear()
    assert attempt_crashed(engine.services, started.id, 1, ERROR) == says
    run = engine.read(started.id)
    assert (run.status, run.attempts[0]["error"]["message"]) == (status, "out of memory")
    assert engine.holders() == ({"global": {run.id}} if retry_count else {})
    assert attempt_crashed(engine.services, started.id, 1, ERROR) == ("outdated" if retry_count else "handed_on")
    if retry_count:
        over = engine.deliver()
        assert (over.status, over.attempt, [a["status"] for a in over.attempts]) == ("completed", 2, ["failed", "completed"])


def test_a_report_of_a_run_that_is_at_work_changes_nothing(engine: Engine, later: Any) -> None:
    """Lambda delivered its message twice, and the other process died."""
    run = engine.start("task")
    claimed, _ = runs.claim(engine.table, run.id, 1, "at work", 1, 10**15)
    waited: list[float] = []

    def a_sign_of_life(seconds: float) -> None:
        waited.append(seconds)
        runs.publish(engine.table, claimed, 1, claimed.tail, None, engine.services.now(), 10**15)

    engine.services.sleep = a_sign_of_life
    assert attempt_crashed(engine.services, run.id, 1, ERROR) == "alive"
    assert waited == [2.5]
    assert (engine.read(run.id).status, engine.holders()) == ("running", {"global": {run.id}})
    engine.services.sleep = waited.append
    assert attempt_crashed(engine.services, run.id, 1, ERROR) == "retried"
