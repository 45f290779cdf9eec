"""An attempt that is cut into several Lambda invocations is one run to everybody who looks at it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chalicelib.domain.errors import FenceLostError
from chalicelib.domain.model import Pipeline
from chalicelib.engine import legs, starter
from chalicelib.engine.sweeper import attempt_crashed, sweep
from chalicelib.store import runs
from chalicelib.store.closing import Ending, close_run
from tests.unit.engine.conftest import Engine, keys_of

ERROR: dict[str, Any] = {"type": "Crashed", "message": "out of memory", "step": None, "traceback": ""}


@pytest.fixture(autouse=True)
def always_due(monkeypatch: pytest.MonkeyPatch) -> None:
    """A leg is over at its first checkpoint."""
    monkeypatch.setattr(legs.LegClock, "is_due", lambda self, next_step: True)


def counting(to: int) -> Any:
    """A behaviour of so many legs, each of which says one line."""

    def count(run: Any) -> Iterator[int]:
        for n in range((run.checkpoint or 0) + 1, to):
            print(f"part {n}")
            run.progress(n / to, "counting")
            yield n
        print(f"part {to}")
        return {"parts": to}

    return count


def test_a_run_of_five_legs_looks_like_one(engine: Engine, bucket: Any) -> None:
    engine.task("task", counting(5))
    started = engine.start("task")
    messages = []
    for _ in range(5):
        messages.append(dict(engine.aws.inbox[0]))
        assert engine.holders() == {"global": {started.id}}, "the slot is its own throughout"
        run = engine.deliver()
    assert [m.get("leg") for m in messages] == [None, 2, 3, 4, 5]
    assert (run.status, run.attempt, run.result) == ("completed", 1, {"behave": {"parts": 5}})
    assert [text for _, text in engine.lines(run)] == [f"part {n}" for n in range(1, 6)]
    assert [e["status"] for e in engine.events(run) if e["type"] == "status"] == ["queued", "running", "completed"]
    assert [h["status"] for h in run.history] == ["queued", "running", "completed"]
    assert (run.progress, [a["legs"] for a in run.attempts]) == ({"fraction": 0.8, "message": "counting"}, [5])
    assert (engine.aws.inbox, engine.holders()) == ([], {})
    assert keys_of(bucket) == [], "nothing was to be carried"


def test_the_workspace_goes_along_with_its_paths_and_is_removed(engine: Engine, bucket: Any) -> None:
    seen: list[Path] = []

    def write(run: Any) -> Iterator[str]:
        if run.checkpoint is None:
            (run.workspace / "deep").mkdir()
            (run.workspace / "deep" / "half.txt").write_text("first half, ")
            (run.workspace / "link").symlink_to("deep/half.txt")
            (run.workspace / "tool").write_text("#!/bin/sh\n")
            (run.workspace / "tool").chmod(0o755)
            yield str(run.workspace / "deep" / "half.txt")
        with Path(run.checkpoint).open("a") as file:
            file.write("second half")
        seen.append(run.workspace)
        assert os.access(run.workspace / "tool", os.X_OK)
        return {"text": (run.workspace / "link").read_text()}

    engine.task("task", write)
    started = engine.start("task")
    engine.deliver()
    assert keys_of(bucket) == [f"legs/{started.id}/1-2.tar.gz"]
    assert not list(Path("/tmp").glob(f"nightshift-{started.id}*")), "the next leg may be on another machine"
    run = engine.deliver()
    assert run.result == {"behave": {"text": "first half, second half"}}
    assert (keys_of(bucket), seen[0].exists()) == ([], False)


def test_a_large_checkpoint_goes_through_the_bucket(engine: Engine, bucket: Any) -> None:
    def gather(run: Any) -> Iterator[Any]:
        if run.checkpoint is None:
            yield {"rows": list(range(5_000))}
        return {"sum": sum(run.checkpoint["rows"])}

    engine.task("task", gather)
    started = engine.start("task")
    between = engine.deliver()
    assert between.carried is not None
    assert set(between.carried) >= {"object", "began"}
    assert "state" not in between.carried
    assert engine.deliver().result == {"behave": {"sum": sum(range(5_000))}}
    assert engine.read(started.id).carried is None


def test_a_secret_is_not_in_what_is_carried(engine: Engine, bucket: Any) -> None:
    def leak(run: Any) -> Iterator[Any]:
        run.add_secret("hunter2hunter2")
        yield {"token": "hunter2hunter2"}

    engine.task("task", leak)
    engine.start("task")
    assert "hunter2" not in str(engine.deliver().carried)


def test_the_timeout_is_over_all_legs(engine: Engine) -> None:
    def forever(run: Any) -> Iterator[int]:
        time.sleep(0.6)
        yield (run.checkpoint or 0) + 1
        time.sleep(30)

    engine.task("task", forever, timeout="1s")
    engine.start("task")
    engine.deliver()
    began = time.monotonic()
    run = engine.deliver()
    assert (run.status, run.error and run.error["message"]) == ("failed", "timed out after 1s")
    assert time.monotonic() - began < 5
    assert run.duration is not None
    assert 1.0 <= run.duration < 5


def test_a_stop_between_legs_ends_the_run_at_its_next(engine: Engine) -> None:
    engine.task("task", counting(3))
    started = engine.start("task")
    engine.deliver()
    assert starter.stop(engine.services, started.id).status == "running"
    run = engine.deliver()
    assert (run.status, engine.holders(), engine.aws.inbox) == ("stopped", {}, [])
    assert engine.lines(run) == [("stdout", "part 1")]


@pytest.mark.usefixtures("quick_retries")
def test_a_failure_in_a_later_leg_begins_again_from_the_start(engine: Engine) -> None:
    seen: list[tuple[int, Any]] = []

    def fail_once(run: Any) -> Iterator[int]:
        seen.append((run.attempt, run.checkpoint))
        if run.checkpoint is None:
            yield 1
        if run.attempt == 1:
            raise OSError("in the second leg")

    engine.task("task", fail_once, retry_count=1)
    engine.start("task")
    while engine.aws.inbox:
        run = engine.deliver()
    assert (run.status, run.attempt) == ("completed", 2)
    assert seen == [(1, None), (1, 1), (2, None), (2, 1)]
    assert [(a["attempt"], a["status"], a.get("legs")) for a in run.attempts] == [(1, "failed", 2), (2, "completed", 2)]


def test_nothing_of_an_old_leg_is_written_any_more(engine: Engine) -> None:
    engine.task("task", lambda run: None)
    run = engine.start("task")
    old, _ = runs.claim(engine.table, run.id, 1, "old", 1, 2)
    runs.next_leg(engine.table, old, {"state": {}}, 3, 4)
    new, mine = runs.claim(engine.table, run.id, 1, "new", 5, 6, leg=2)
    assert (mine, new.leg, new.carried, new.claimed_as) == (True, 2, {"state": {}}, "1.2")
    for write in (
        lambda: runs.publish(engine.table, old, 2, [], None, 7, 8),
        lambda: runs.next_attempt(engine.table, old, {"attempt": 1}, 7, 8),
        lambda: runs.queue_again(engine.table, old, {"attempt": 1}, 7, None),
        lambda: close_run(engine.table, old, 0, Ending("failed", 9, [{"seq": 2}]), "old", 1),
    ):
        with pytest.raises(FenceLostError):
            write()
    runs.next_leg(engine.table, old, {"state": {}}, 3, 4)  # its own hand-over, sent twice, is no trouble
    assert engine.read(run.id) == new
    _, mine = runs.claim(engine.table, run.id, 1, "third", 5, 6, leg=2)
    assert not mine


def test_a_leg_whose_call_was_lost_is_called_again_by_the_sweeper(engine: Engine) -> None:
    engine.task("task", counting(2))
    started = engine.start("task")
    engine.deliver()
    engine.aws.inbox.clear()
    assert not sweep(engine.services), "its lease still runs"
    real = engine.services.now
    engine.services.now = lambda: real() + 25_000
    assert sweep(engine.services) == {"leg_invoked_again": 1}
    assert engine.aws.inbox == [{"run_id": started.id, "attempt": 1, "leg": 2}]
    assert engine.deliver().status == "completed"


def test_a_process_that_died_before_it_called_the_next_leg_is_stood_in_for_at_once(engine: Engine) -> None:
    engine.task("task", counting(2))
    started = engine.start("task")
    engine.deliver()
    engine.aws.inbox.clear()
    assert attempt_crashed(engine.services, started.id, 1, ERROR) == "leg_invoked_again"
    assert engine.deliver().status == "completed"
    assert attempt_crashed(engine.services, started.id, 1, ERROR) == "handed_on"


def test_a_leg_that_nobody_ever_claims_ends_some_time_after_the_timeout(engine: Engine) -> None:
    engine.task("task", counting(2), timeout="1m")
    started = engine.start("task")
    engine.deliver()
    engine.aws.inbox.clear()
    real = engine.services.now
    engine.services.now = lambda: real() + 120_000
    assert sweep(engine.services) == {"leg_invoked_again": 1}
    engine.services.now = lambda: real() + 700_000
    assert sweep(engine.services) == {"dead_attempt": 1}
    assert (engine.read(started.id).status, engine.holders()) == ("failed", {})


def test_a_pipeline_that_was_changed_between_two_legs_is_not_gone_on_with(engine: Engine) -> None:
    engine.task("task", counting(2), retry_count=2)
    engine.start("task")
    engine.deliver()
    changed = Pipeline(name="behave", description="by a deploy", steps=engine.services.catalog.pipelines["behave"].steps)
    engine.services.catalog.pipelines["behave"] = changed
    run = engine.deliver()
    assert (run.status, run.attempt) == ("failed", 1)
    assert run.error is not None
    assert "'behave' was changed while the run was at work" in run.error["message"]


@pytest.mark.parametrize(("retry_count", "says", "status"), [(0, "failed", "failed"), (1, "retried", "queued")])
def test_a_leg_that_died_at_work_is_a_dead_attempt(engine: Engine, retry_count: int, says: str, status: str) -> None:
    engine.task("task", counting(2), retry_count=retry_count)
    run = engine.start("task")
    engine.deliver()
    runs.claim(engine.table, run.id, 1, "dies", 1, 10**15, leg=2)
    assert attempt_crashed(engine.services, run.id, 1, ERROR) == "outdated"
    assert attempt_crashed(engine.services, run.id, 1, ERROR, 2) == says
    after = engine.read(run.id)
    assert (after.status, after.leg, after.carried) == (status, 1 if retry_count else 2, None)


def test_the_clock_of_a_leg_keeps_a_minute_of_long_limits_and_a_share_of_short_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    long, short = legs.LegClock.starting(900), legs.LegClock.starting(10)
    assert (round(long.due - long.began), round(long.ends - long.began)) == (840, 895)
    assert (round(short.due - short.began, 1), round(short.ends - short.began, 1)) == (8.0, 9.0)
    assert not long.is_due(None)
    assert not long.is_due(2_000), "no Lambda has that long, a fresh one neither"
    used = legs.LegClock(long.began - 400, long.due - 400, long.ends - 400, 900)
    assert used.is_due(600), "a fresh one has it"
    assert not used.is_due(300)


def test_a_limit_that_no_checkpoint_was_in_time_for_is_told(engine: Engine) -> None:
    def slow(run: Any) -> Iterator[int]:
        yield 1
        time.sleep(30)

    engine.task("task", slow, timeout="1h")
    engine.start("task")
    engine.deliver()
    run = engine.deliver(1.0)
    assert run.error is not None
    assert run.error["message"].startswith("the step 'behave' ran into Lambda's limit of 2s: make it a generator")
