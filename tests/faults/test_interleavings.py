"""Any number of processes at once, one request at a time in any order, with deaths, lost and doubled messages, stops, sweeps, and
limits that change. Hypothesis looks for an order that breaks an invariant, and shortens what it finds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from chalicelib.engine import runner
from tests.faults.process import Coroutine, Process
from tests.faults.stepped import stepped
from tests.faults.world import World

TASKS = ("plain", "retrying", "limited", "pooled", "urgent")
LONGEST_LIFE_MS = 10_000  # of a process, here; grace and lease are longer


class Engine(RuleBasedStateMachine):
    """The store and the engine under any order of requests."""

    later = 0.0  # seconds of backoff above which a retry is queued

    def __init__(self) -> None:
        super().__init__()
        self.stepped = stepped()
        self.stepped.__enter__()
        self.under_way: list[Coroutine] = []
        self.doubled: set[str] = set()

    @initialize(
        limit=st.integers(1, 3), pool=st.integers(1, 3), failures=st.integers(0, 3), later=st.booleans(), cut=st.integers(1, 3)
    )
    def begin(self, limit: int, pool: int, failures: int, later: bool, cut: int) -> None:
        self.world = World(limit=limit, pool=pool)
        self.world.scripts["retrying"].failures = failures
        self.world.scripts["retrying"].legs = self.world.scripts["pooled"].legs = cut
        self.world.scripts["pooled"].failures = 1
        self.before = runner.SHORT_BACKOFF
        runner.SHORT_BACKOFF = 0.0 if later else 30.0

    def go(self, kind: str, what: Callable[[Process], Any]) -> None:
        self.under_way.append(Coroutine(self.world, kind, what))

    @rule(task=st.sampled_from(TASKS))
    def start(self, task: str) -> None:
        self.go("start", lambda p: self.world.start(task, p))

    @precondition(lambda self: self.world.inbox)
    @rule(which=st.integers(0, 5), doubled=st.integers(0, 9))
    def deliver(self, which: int, doubled: int) -> None:
        position = which % len(self.world.inbox)
        if doubled == 0:
            self.doubled.add(self.world.inbox[position]["run_id"])
            self.world.inbox.append(self.world.inbox[position])
        self.go("runner", lambda p: self.world.deliver(p, position))

    @precondition(lambda self: self.world.inbox)
    @rule(which=st.integers(0, 5))
    def lose(self, which: int) -> None:
        self.world.inbox.pop(which % len(self.world.inbox))

    @precondition(lambda self: self.world.accepted)
    @rule(which=st.integers(0, 9))
    def press_stop(self, which: int) -> None:
        ids = sorted(self.world.accepted)
        self.go("stop", lambda p: self.world.stop(ids[which % len(ids)], p))

    @rule()
    def sweep(self) -> None:
        self.go("sweeper", lambda p: self.world.sweep(p))

    @precondition(lambda self: self.world.reports)
    @rule()
    def report(self) -> None:
        # Of a doubled message's process it is not known which of the two it was.
        if self.world.reports[0]["requestPayload"]["run_id"] in self.doubled:
            self.world.reports.pop(0)
        else:
            self.go("sweeper", lambda p: self.world.report(p))

    @precondition(lambda self: self.under_way)
    @rule(which=st.integers(0, 9), steps=st.integers(1, 6))
    def go_on(self, which: int, steps: int) -> None:
        chosen = self.under_way[which % len(self.under_way)]
        for _ in range(steps):
            chosen.step()
        self.forget()

    @precondition(lambda self: self.under_way)
    @rule(which=st.integers(0, 9))
    def finish(self, which: int) -> None:
        chosen = self.under_way[which % len(self.under_way)]
        while not chosen.thread.dead:
            chosen.step()
        self.forget()

    @precondition(lambda self: self.under_way)
    @rule(which=st.integers(0, 9))
    def die(self, which: int) -> None:
        self.under_way[which % len(self.under_way)].kill()
        self.forget()

    @rule(seconds=st.integers(1, 4))
    def short_while(self, seconds: int) -> None:
        oldest = min((c.born for c in self.under_way), default=self.world.clock)
        if self.world.clock + seconds * 1000 - oldest <= LONGEST_LIFE_MS:
            self.world.clock += seconds * 1000

    @precondition(lambda self: not self.under_way)
    @rule(seconds=st.sampled_from([25, 61, 120, 400]))
    def long_while(self, seconds: int) -> None:
        self.world.clock += seconds * 1000

    @rule(limit=st.integers(1, 3), pool=st.integers(1, 3))
    def change_limits(self, limit: int, pool: int) -> None:
        self.world.set_limits(limit, pool)

    def forget(self) -> None:
        self.under_way = [c for c in self.under_way if not c.thread.dead]
        if self.world.violations:
            raise AssertionError(self.world.violations[0])

    def teardown(self) -> None:
        try:
            if hasattr(self, "world"):
                turn = 0
                while self.under_way:
                    self.under_way[turn % len(self.under_way)].step()
                    turn += 1
                    self.forget()
                self.world.reports = [r for r in self.world.reports if r["requestPayload"]["run_id"] not in self.doubled]
                self.world.settle()
                self.world.check()
        finally:
            for left in self.under_way:
                left.kill()
            self.stepped.__exit__(None, None, None)
            runner.SHORT_BACKOFF = getattr(self, "before", runner.SHORT_BACKOFF)


def explore(examples: int, steps: int) -> None:
    chosen = settings(
        max_examples=examples, stateful_step_count=steps, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    run_state_machine_as_test(Engine, settings=chosen)


def test_no_order_of_requests_breaks_an_invariant() -> None:
    explore(120, 40)


@pytest.mark.proof
def test_no_order_of_requests_breaks_an_invariant_long() -> None:
    explore(3_000, 70)
