"""Followers that are gone, throttled or hang: they cost the run nothing, and the others get every line once."""

from __future__ import annotations

import json
import threading
import time
from collections import defaultdict
from typing import Any

import pytest

from chalicelib.engine import push
from chalicelib.store import runs
from tests.unit.engine.conftest import Engine

BAD = ("gone-1", "gone-2", "throttled-1", "throttled-2", "hanging-1", "hanging-2")
LINES, PAUSE = 30, 0.05


class Gateway:
    """API Gateway as followers with trouble make it look."""

    def __init__(self) -> None:
        self.sent: dict[str, list[int]] = defaultdict(list)
        self.released = threading.Event()

    def post(self, connection: str, text: str) -> bool:
        kind = connection.split("-")[0]
        if kind == "throttled":
            raise RuntimeError("LimitExceededException: slow down")
        if kind == "hanging":
            self.released.wait(20)
            raise TimeoutError("read timed out")
        if kind == "gone":
            return False
        self.sent[connection] += [event["seq"] for event in json.loads(text)["events"]]
        return True


def speak(run: Any) -> None:
    for number in range(LINES):
        run.log(f"line {number}")
        time.sleep(PAUSE)


def took(engine: Engine, followers: tuple[str, ...]) -> tuple[float, Any]:
    """Seconds from the message to the end of the function, slots handed on and all."""
    started = engine.start("speaking")
    for follower in followers:
        runs.follow(engine.table, started.id, follower)
    began = time.monotonic()
    run = engine.deliver()
    return time.monotonic() - began, run


def test_bad_followers_slow_the_run_by_less_than_a_tenth(engine: Engine) -> None:
    gateway = Gateway()
    engine.aws.post = gateway.post  # type: ignore[method-assign]
    engine.task("speaking", speak)
    took(engine, ())  # imports, the first threads
    alone, _ = took(engine, ("good-alone",))
    crowded, run = took(engine, (*BAD, "good-1", "good-2"))
    gateway.released.set()
    assert run.status == "completed"
    for good in ("good-1", "good-2"):
        assert gateway.sent[good] == list(range(2, run.seq + 1)), "a good follower missed something, or had it twice"
    assert crowded < alone * 1.1 + 0.1, f"{crowded:.2f} s with them, {alone:.2f} s without"


def test_a_follower_that_recovers_sees_where_the_gap_is(engine: Engine) -> None:
    """What was not sent to it is a gap in `seq`, which it asks for; nothing comes twice or out of order."""
    failures = iter([True, True])
    sent: list[int] = []

    def post(_connection: str, text: str) -> bool:
        if next(failures, False):
            raise TimeoutError
        sent.extend(event["seq"] for event in json.loads(text)["events"])
        return True

    engine.aws.post = post  # type: ignore[method-assign]
    engine.task("speaking", speak)
    _, run = took(engine, ("recovering",))
    assert sent == sorted(set(sent))
    assert sent[-1] == run.seq, "the end reached it"
    assert 2 not in sent, "what failed was not repeated unasked"


def test_a_hanging_follower_holds_back_no_slot(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits for the slot gets it before the last words are sent."""
    order: list[str] = []
    engine.settings["max_concurrent_tasks"] = 1
    monkeypatch.setattr(push, "LAST_WAIT", 0.2)

    def post(_connection: str, text: str) -> bool:
        if '"done"' in text:
            order.append("told" if second.id in {m["run_id"] for m in engine.aws.inbox} else "told before the slot was free")
        return True

    engine.aws.post = post  # type: ignore[method-assign]
    engine.task("speaking", lambda run: run.log("short"))
    first, second = engine.start("speaking"), engine.start("speaking")
    runs.follow(engine.table, first.id, "late")
    engine.deliver()
    assert order == ["told"]
