"""A step's own time limit, within the run's, in the main thread and in others."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from chalicelib.domain.errors import StepTimeoutError
from chalicelib.engine import starter
from tests.unit.engine.conftest import Engine


def busy(seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass


@pytest.mark.parametrize("wait", [time.sleep, busy], ids=["sleep", "busy"])
def test_a_limit_ends_the_code_and_the_run_goes_on(engine: Engine, wait: Any) -> None:
    def work(run: Any) -> dict[str, Any]:
        began = time.monotonic()
        try:
            with run.limited(0.3):
                assert run.remaining() <= 0.3
                try:
                    wait(20)
                except Exception:
                    print("taken for a failure")
        except StepTimeoutError as late:
            return {"said": str(late), "soon": time.monotonic() - began < 3, "remaining": run.remaining() > 10}
        return {}

    run = engine.run("task", work, timeout="30s")
    assert run.result == {"behave": {"said": "timed out after 300ms", "soon": True, "remaining": True}}
    assert engine.lines(run) == []


def test_limits_nest_and_the_outer_one_is_the_outer_ones(engine: Engine) -> None:
    seen: list[str] = []

    def work(run: Any) -> None:
        try:
            with run.limited(0.4):
                try:
                    with run.limited(20):
                        time.sleep(20)
                except StepTimeoutError:
                    seen.append("inner")
        except StepTimeoutError as late:
            seen.append(f"outer {late}")
        with run.limited(20):
            try:
                with run.limited(0.1):
                    time.sleep(20)
            except StepTimeoutError:
                seen.append("inner alone")

    engine.run("task", work)
    assert seen == ["outer timed out after 400ms", "inner alone"]


def test_code_that_swallows_its_end_is_ended_all_the_same(engine: Engine) -> None:
    def work(run: Any) -> None:
        with run.limited(0.2):
            try:
                time.sleep(20)
            except BaseException:
                time.sleep(20)

    began = time.monotonic()
    run = engine.run("task", work)
    assert run.error is not None
    assert (run.error["type"], run.error["step"]) == ("StepTimeoutError", "behave")
    assert "time.sleep(20)" in run.error["traceback"], "where it hung"
    assert time.monotonic() - began < 6


@pytest.mark.parametrize("what", ["timeout", "stop"])
def test_the_runs_own_end_is_no_step_timeout(engine: Engine, what: str) -> None:
    def work(run: Any) -> None:
        if what == "stop":
            starter.stop(engine.services, run.id)
        with run.limited(20):
            time.sleep(20)

    run = engine.run("task", work, timeout="1s" if what == "timeout" else "1m", retry_count=2)
    assert (run.status, (run.error or {}).get("type")) == (("failed", "Timeout") if what == "timeout" else ("stopped", None))


def test_a_limit_reaches_another_thread(engine: Engine) -> None:
    seen: list[Any] = []

    def in_thread(run: Any) -> None:
        try:
            with run.limited(0.2):
                seen.append(run.remaining() <= 0.2)
                busy(20)
        except StepTimeoutError as late:
            seen.append(str(late))
        with run.limited(5):
            busy(0.1)
        seen.append("goes on")

    def work(run: Any) -> None:
        thread = threading.Thread(target=in_thread, args=(run,))
        thread.start()
        thread.join(10)
        seen.append(run.remaining() > 10)

    engine.run("task", work, timeout="30s")
    assert seen == [True, "timed out after 200ms", "goes on", True]


def test_a_step_timeout_is_worth_another_attempt(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chalicelib.engine.runner.delay", lambda policy, failures: 0.01)

    def work(run: Any) -> None:
        with run.limited(0.2):
            time.sleep(20 if run.attempt == 1 else 0)

    run = engine.run("task", work, retry=1)
    assert (run.status, run.attempt, run.attempts[0]["error"]["type"]) == ("completed", 2, "StepTimeoutError")
