"""One attempt in this very process: real threads, real signals, a real table's stand-in."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from typing import Any

import pytest

from chalicelib.domain.errors import StepError
from chalicelib.domain.model import Parameter
from chalicelib.engine import interrupts, publisher, runner, starter
from chalicelib.store import queue, runs
from tests.unit.engine.conftest import Engine


def wait_until(true: Any, seconds: float = 10) -> None:
    """Wait for what another thread brings about."""
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, "it never came"
        time.sleep(0.01)


def test_a_run_completes_with_its_result_its_events_and_its_slot_free(both: Engine) -> None:
    run = both.run("task", lambda run: {"rows": 42})
    assert (run.status, run.result, run.attempt, both.holders()) == ("completed", {"behave": {"rows": 42}}, 1, {})
    kinds = [(e["type"], e.get("status")) for e in both.events(run)]
    assert kinds == [
        ("status", "queued"), ("status", "running"), ("step", "running"), ("step", "completed"), ("status", "completed"), ("done", "completed"),
    ]  # fmt: skip
    assert [h["status"] for h in run.history] == ["queued", "running", "completed"]
    assert run.steps[0]["output"] == {"rows": 42}


def test_whatever_is_printed_is_a_line_with_its_stream(engine: Engine) -> None:
    def speak(run: Any) -> None:
        print("plain")
        print("to stderr", file=sys.stderr)
        sys.stdout.write("in two ")
        sys.stdout.write("parts\nand no end")
        run.log("logged", level="warning")

    run = engine.run("task", speak)
    assert engine.lines(run) == [
        ("stdout", "plain"), ("stderr", "to stderr"), ("stdout", "in two parts"), ("log", "logged"), ("stdout", "and no end"),
    ]  # fmt: skip


def test_many_lines_through_a_small_buffer_are_all_there(engine: Engine) -> None:
    engine.settings["buffer_size"] = 100

    def speak(run: Any) -> None:
        for n in range(3_000):
            print(f"line {n}")

    run = engine.run("task", speak)
    assert [text for _, text in engine.lines(run)] == [f"line {n}" for n in range(3_000)]


def test_a_failure_says_what_and_where(engine: Engine) -> None:
    def fail(run: Any) -> None:
        raise ValueError("no such column")

    run = engine.run("task", fail)
    assert (run.status, engine.holders()) == ("failed", {})
    assert run.error is not None
    assert {k: run.error[k] for k in ("type", "message", "step")} == {
        "type": "ValueError", "message": "no such column", "step": "behave",
    }  # fmt: skip
    assert "raise ValueError" in run.error["traceback"]
    assert ("stderr", "ValueError: no such column") in engine.lines(run)
    assert engine.events(run)[-1]["error"]["message"] == "no such column"


@pytest.mark.usefixtures("quick_retries")
def test_a_failed_attempt_is_tried_again_in_the_same_process(both: Engine) -> None:
    def third_time_lucky(run: Any) -> dict[str, int]:
        print(f"attempt {run.attempt}")
        if run.attempt < 3:
            raise OSError("not yet")
        return {"attempt": run.attempt}

    run = both.run("task", third_time_lucky, retry_count=2)
    assert (run.status, run.attempt, run.result) == ("completed", 3, {"behave": {"attempt": 3}})
    assert [(a["attempt"], a["status"]) for a in run.attempts] == [(1, "failed"), (2, "failed"), (3, "completed")]
    assert both.aws.inbox == []


@pytest.mark.usefixtures("quick_retries")
def test_retries_end(engine: Engine) -> None:
    tried = []

    def fail(run: Any) -> None:
        tried.append(run.attempt)
        raise OSError("never")

    assert engine.run("task", fail, retry_count=2).status == "failed"
    assert tried == [1, 2, 3]


def test_what_would_not_help_is_not_tried_again(engine: Engine) -> None:
    def fail(run: Any) -> None:
        raise StepError("wrong in itself")

    run = engine.run("task", fail, retry_count=5)
    assert (run.status, run.attempt) == ("failed", 1)


@pytest.mark.usefixtures("quick_retries")
@pytest.mark.parametrize(("on", "attempts"), [("transient", 1), ("any", 3), (["KeyError"], 1), (["LookupError", "OSError"], 3)])
def test_a_policy_decides_what_is_tried_again(engine: Engine, on: Any, attempts: int) -> None:
    def fail(run: Any) -> None:
        raise OSError("no space")

    run = engine.run("task", fail, retry={"count": 2, "on": on})
    assert (run.status, run.attempt) == ("failed", attempts)
    said = [text for _, text in engine.lines(run) if "trying again" in text]
    assert [text.split(";")[0] for text in said] == [f"attempt {n} of 3 failed: no space" for n in range(1, attempts)]


@pytest.mark.usefixtures("quick_retries")
def test_an_attempt_that_this_lambda_has_no_time_for_runs_in_another_with_the_same_slot(engine: Engine) -> None:
    def slow_failure(run: Any) -> None:
        if run.attempt == 1:
            time.sleep(0.6)
            raise OSError("late")

    engine.task("task", slow_failure, retry_count=1, timeout="1m")
    started = engine.start("task")
    between = engine.deliver(2.0)
    assert (between.status, between.attempt, engine.holders()) == ("queued", 2, {"global": {started.id}})
    run = engine.deliver()
    assert (run.status, [a["status"] for a in run.attempts]) == ("completed", ["failed", "completed"])
    statuses = [(e["status"], e["attempt"]) for e in engine.events(run) if e["type"] == "status"]
    assert statuses == [("queued", 1), ("running", 1), ("queued", 2), ("running", 2), ("completed", 2)]


def test_a_long_backoff_frees_the_slot_and_keeps_every_line(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "SHORT_BACKOFF", 0.0)

    def fail(run: Any) -> None:
        print("said before it failed")
        if run.attempt == 1:
            raise OSError("later")

    run = engine.run("task", fail, retry_count=1)
    assert (run.status, run.attempt, engine.holders()) == ("queued", 2, {})
    assert [e.run_id for e in queue.waiting(engine.table, "global")] == [run.id]
    said = [text for _, text in engine.lines(run)]
    assert said[0] == "said before it failed"
    assert "trying again in" in said[-1]
    assert engine.events(run)[-1] | {"at": ""} == {"seq": run.seq, "at": "", "type": "status", "status": "queued", "attempt": 2}


@pytest.mark.parametrize("how", ["sleep", "busy loop", "child process", "catches Exception", "turns it into an error"])
def test_a_stop_ends_the_work_soon(engine: Engine, how: str) -> None:
    def work(run: Any) -> None:
        threading.Thread(target=lambda: starter.stop(engine.services, run.id)).start()
        if how == "child process":
            subprocess.run(["sleep", "30"], check=False)
        elif how == "turns it into an error":
            try:
                time.sleep(30)
            except BaseException:
                raise ValueError("I was interrupted") from None
        until = time.monotonic() + 30
        while time.monotonic() < until:
            try:
                if how == "sleep":
                    time.sleep(30)
            except Exception:
                continue

    began = time.monotonic()
    run = engine.run("task", work, retry_count=3)
    assert (run.status, engine.holders()) == ("stopped", {})
    assert time.monotonic() - began < 8


def test_a_stop_while_it_waits_for_the_next_attempt_ends_it(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "delay", lambda policy, failures: 20.0)

    def fail(run: Any) -> None:
        threading.Timer(0.5, lambda: starter.stop(engine.services, run.id)).start()
        raise OSError("once")

    began = time.monotonic()
    assert engine.run("task", fail, retry_count=3).status == "stopped"
    assert time.monotonic() - began < 8


@pytest.mark.parametrize("work", [lambda run: time.sleep(30), lambda run: [None for _ in iter(int, 1)]], ids=["sleep", "busy"])
def test_a_timeout_fails_the_run_and_says_so(engine: Engine, work: Any) -> None:
    run = engine.run("task", work, timeout="1s", retry_count=3)
    assert (run.status, engine.holders()) == ("failed", {})
    assert run.error is not None
    assert (run.error["type"], run.error["message"]) == ("Timeout", "timed out after 1s")


def test_what_lambda_leaves_is_the_shortest_timeout(engine: Engine) -> None:
    run = engine.run("task", lambda run: time.sleep(30), seconds_left=1.0, timeout="1h")
    assert run.error is not None
    assert run.error["type"] == "Timeout"
    assert "step 'behave' ran into Lambda's limit of 2s: make it a generator" in run.error["message"]


@pytest.mark.parametrize("reason", ["timeout", "stop"])
def test_code_that_will_not_end_ends_with_its_process(engine: Engine, monkeypatch: pytest.MonkeyPatch, reason: str) -> None:
    """The last resort: the run is over, its slot still taken, and the process is gone (here: is told so)."""
    monkeypatch.setattr(interrupts, "GRACE", 0.5)
    ended = threading.Event()
    held: list[Any] = []
    monkeypatch.setattr(runner.os, "_exit", lambda code: (held.append(engine.holders()), ended.set()))

    def stubborn(run: Any) -> None:
        if reason == "stop":
            starter.stop(engine.services, run.id)
        while not ended.is_set():
            try:
                time.sleep(0.05)
            except BaseException:
                continue

    run = engine.run("task", stubborn, timeout="1s" if reason == "timeout" else "60s")
    assert ended.is_set()
    assert (run.status, run.error and run.error["type"]) == ("failed" if reason == "timeout" else "stopped", "Killed")
    assert held == [{"global": {run.id}}], "until the process is gone, its slot is not free"


def test_a_message_that_comes_twice_or_late_does_nothing(both: Engine) -> None:
    count = []
    both.task("task", lambda run: count.append(run.id))
    both.start("task")
    both.aws.inbox *= 2
    first, second = both.deliver(), both.deliver()
    assert (len(count), first.status, second.seq) == (1, "completed", first.seq)


def test_a_run_stopped_before_it_began_hands_its_slot_on(engine: Engine) -> None:
    engine.settings["max_concurrent_tasks"] = 1
    engine.task("task", lambda run: None)
    first, second = engine.start("task"), engine.start("task")
    starter.stop(engine.services, first.id)
    assert engine.read(first.id).status == "stopped"
    assert engine.holders() == {"global": {second.id}}
    assert engine.deliver().status == "stopped"
    assert engine.deliver().status == "completed"


def test_the_queue_goes_on_in_order(both: Engine) -> None:
    both.settings["max_concurrent_tasks"] = 1
    order: list[str] = []
    both.task("task", lambda run: order.append(run.id))
    started = [both.start("task").id for _ in range(5)]
    while both.aws.inbox:
        both.deliver()
    assert order == started
    assert both.holders() == {}


def test_a_lost_attempt_ends_without_a_trace(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    def lose(run: Any) -> None:
        print("before")
        wait_until(lambda: engine.read(run.id).seq > 1)
        runs.queue_again(engine.table, engine.read(run.id), {"attempt": 1}, 1, None)
        print("after")
        time.sleep(30)

    began = time.monotonic()
    run = engine.run("task", lose)
    assert time.monotonic() - began < 8
    assert (run.status, run.attempt) == ("queued", 2)
    assert "after" not in str(engine.lines(run))
    assert engine.holders() == {"global": {run.id}}, "the next attempt has it"


def test_work_ends_before_its_lease_when_the_table_does_not_answer(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A flush that hangs must not keep the work going: somebody else may have the run by then."""
    monkeypatch.setattr(publisher, "GIVE_UP_MS", 600)
    back = threading.Event()
    real = runs.publish

    def hang(*args: Any) -> Any:
        back.wait(20)
        return real(*args)

    monkeypatch.setattr(publisher.runs, "publish", hang)
    ended: list[float] = []

    def work(run: Any) -> None:
        began = time.monotonic()
        try:
            time.sleep(20)
        finally:
            ended.append(time.monotonic() - began)
            back.set()

    run = engine.run("task", work)
    assert ended[0] < 5
    assert run.status == "running", "it is the sweeper's to decide, when the lease is over"


def test_a_flush_without_an_answer_costs_nothing(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    real, answers = runs.publish, iter([True, False, True, False])

    def lose_some(*args: Any) -> Any:
        told = real(*args)
        if not next(answers, True):
            raise TimeoutError("no answer")
        return told

    monkeypatch.setattr(publisher.runs, "publish", lose_some)

    def work(run: Any) -> None:
        for n in range(4):
            print(f"line {n}")
            time.sleep(0.4)

    run = engine.run("task", work)
    assert run.status == "completed"
    assert [text for _, text in engine.lines(run)] == [f"line {n}" for n in range(4)]


@pytest.mark.parametrize(
    ("result", "says"),
    [
        ({("a", 1): 2}, "TypeError"),
        ({"rows": "".join(chr(0x4E00 + (n * 7919) % 20000) for n in range(400_000))}, "too large"),
    ],
    ids=["no JSON", "too large"],
)
def test_a_result_that_cannot_be_kept_is_a_failure_that_says_so(engine: Engine, result: Any, says: str) -> None:
    run = engine.run("task", lambda run: result)
    assert run.status == "failed"
    assert run.error is not None
    assert says in run.error["type"] + run.error["message"]


def test_errors_of_any_size_end_the_run(engine: Engine) -> None:
    def fail(run: Any) -> None:
        raise ValueError("x" * 3_000_000)

    run = engine.run("task", fail)
    assert run.status == "failed"
    assert run.error is not None
    assert len(run.error["message"]) < 10_000


def test_text_that_is_no_text_is_said_all_the_same(engine: Engine) -> None:
    def speak(run: Any) -> dict[str, str]:
        print("half a character: \udc80")
        run.progress(0.5, "\ud800")
        return {"name": "\udc80"}

    run = engine.run("task", speak)
    assert (run.status, run.result) == ("completed", {"behave": {"name": "?"}})
    assert engine.lines(run) == [("stdout", "half a character: ?")]


def test_secrets_are_hidden_wherever_they_are_said(engine: Engine) -> None:
    def tell(run: Any) -> dict[str, str]:
        print(f"it is {run.args['key']}")
        return {"key": run.args["key"]}

    engine.task("task", tell, parameters=[Parameter(name="key", type="secret")])
    engine.start("task", key="hunter2")
    run = engine.deliver()
    assert run.result == {"behave": {"key": "***"}}
    assert "hunter2" not in json.dumps(engine.events(run)) + str(run.steps)


def test_a_follower_is_sent_every_event_once_and_forgotten_when_gone(engine: Engine) -> None:
    def speak(run: Any) -> None:
        runs.follow(engine.table, run.id, "gone")
        for n in range(3):
            print(n)
            time.sleep(0.4)

    engine.task("task", speak)
    started = engine.start("task")
    runs.follow(engine.table, started.id, "here")
    run = engine.deliver()
    sent = [e["seq"] for connection, text in engine.aws.pushed if connection == "here" for e in json.loads(text)["events"]]
    assert sent == list(range(2, run.seq + 1))
    assert len([1 for connection, _ in engine.aws.pushed if connection == "gone"]) <= 2


def test_a_slow_follower_does_not_slow_the_run(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chalicelib.engine.push.LAST_WAIT", 0.1)
    seen: list[float] = []
    engine.aws.post = lambda connection, text: time.sleep(1.0) or True  # type: ignore[method-assign]

    def speak(run: Any) -> None:
        began = time.monotonic()
        for n in range(1_000):
            print(n)
        seen.append(time.monotonic() - began)

    engine.task("task", speak)
    runs.follow(engine.table, engine.start("task").id, "slow")
    assert engine.deliver().status == "completed"
    assert seen[0] < 3
