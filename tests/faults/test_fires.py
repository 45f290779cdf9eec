"""The dispatcher and the start of dependents may die at any request too, or have it come twice, or never hear the answer.

Afterwards every fire is in the ledger exactly once, and every run that was to be is there once, and has ended.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from chalicelib.domain.clock import iso, parse_iso
from chalicelib.domain.model import Catalog
from chalicelib.engine import starter
from chalicelib.engine.dependents import start_all_due
from chalicelib.engine.dispatcher import dispatch
from chalicelib.engine.services import Services
from chalicelib.engine.sweeper import sweep
from chalicelib.engine.timetable import plan_task
from chalicelib.store import timetable
from chalicelib.store.timetable import list_fires
from tests.faults.process import Fault, Process
from tests.faults.stepped import stepped
from tests.faults.test_crashes import every_fault, tell
from tests.faults.world import CATALOG, MOST_ROUNDS, SWEEP_MS, World, fake_task

HOUR = 3_600_000
FIRST = parse_iso("2027-02-01T06:00:00Z")
FIRES = {"at": [iso(FIRST), iso(FIRST + HOUR)], "start": iso(FIRST - HOUR)}


@pytest.fixture(autouse=True)
def _stepped() -> Iterator[None]:
    with stepped():
        yield


class TimedWorld(World):
    """A world with a timetable, whose sweeper does what the deployed one does each minute."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = FIRST - 60_000
        self.fires: dict[str, int] = {}
        timed = (
            fake_task("timed", **FIRES),
            fake_task("catching_up", catch_up="all", **FIRES),
            fake_task("replacing", overlap="replace", **FIRES),
            fake_task("skipping", overlap="skip", **FIRES),
            fake_task("upstream"),
            fake_task("downstream", depends_on=["upstream"]),
            fake_task("last", depends_on=["downstream", "upstream"]),
        )
        self.catalog = Catalog(
            tasks=CATALOG.tasks | {t.id: t for t in timed}, pipelines=CATALOG.pipelines, processors=CATALOG.processors
        )

    def sweep(self, process: Process | None = None) -> Any:
        def minute(services: Services) -> Counter[str]:
            done = Counter(sweep(services))
            done.update(dispatch(services))
            done["dependents"] = len(start_all_due(services))
            return +done

        return self.run(process or self.process("sweeper"), minute)

    def settle(self) -> int:
        """Until a minute's sweep finds nothing to do, not even a start."""
        for sweeps in range(MOST_ROUNDS):
            self.deliver_all()
            self.clock += SWEEP_MS
            if not self.sweep() and self.quiet():
                return sweeps
        raise AssertionError("never at rest")

    def plan(self, task_id: str, due: int) -> None:
        """From now on it has so many fires to come until all is at rest."""
        self.run(self.process("sync"), lambda s: plan_task(s, task_id))
        self.fires[task_id] = due

    def check(self) -> None:
        super().check()
        now = [run for run in self.all_runs() if run.trigger == "schedule"]
        for task_id, due in self.fires.items():
            ledger, _ = list_fires(self.table, task_id)
            assert sorted(entry["fire"] for entry in ledger) == [iso(FIRST + n * HOUR) for n in range(due)], ledger
            ran = {entry["run_id"] for entry in ledger if entry["outcome"] == "ran"}
            assert ran == {run.id for run in now if run.task_id == task_id}, "a fire and its run do not go together"
        succeeded = {run.task_id for run in self.all_runs() if run.status == "completed"}
        for task in self.catalog.tasks.values():
            times = 1 if task.depends_on and succeeded.issuperset(task.depends_on) else 0
            caused = [run for run in self.all_runs() if run.trigger == "dependency" and run.task_id == task.id]
            assert len(caused) == times, f"{len(caused)} runs of {task.id}"


Act = Callable[[Process], Any]
SCENARIOS: dict[str, Callable[[TimedWorld], Act]] = {}


def scenario(build: Callable[[TimedWorld], Act]) -> Callable[[TimedWorld], Act]:
    SCENARIOS[build.__name__] = build
    return build


@scenario
def fire_with_a_free_slot(world: TimedWorld) -> Act:
    return _fire(world, "timed")


@scenario
def fire_when_full(world: TimedWorld) -> Act:
    world.start()
    world.start()
    return _fire(world, "timed")


@scenario
def fires_that_were_missed(world: TimedWorld) -> Act:
    act = _fire(world, "timed", due=2)
    world.clock += HOUR + 60_000
    return act


@scenario
def fires_to_catch_up_with(world: TimedWorld) -> Act:
    act = _fire(world, "catching_up", due=2)
    world.clock += HOUR + 60_000
    return act


@scenario
def fire_replaces_the_run_at_work(world: TimedWorld) -> Act:
    act = _fire(world, "replacing")
    world.scripts["replacing"].flushes = 3
    world.start("replacing")
    return act


@scenario
def fire_is_skipped(world: TimedWorld) -> Act:
    act = _fire(world, "skipping")
    world.start("skipping")
    return act


def _fire(world: TimedWorld, task_id: str, due: int = 1) -> Act:
    world.plan(task_id, due)
    world.clock = FIRST + 1_000
    return lambda p: world.run(p, dispatch)


@scenario
def run_asked_for_at_an_instant(world: TimedWorld) -> Act:
    return lambda p: world.run(p, lambda s: starter.start(s, "plain", {}, at=world.clock + 30_000))


@scenario
def run_whose_instant_has_come(world: TimedWorld) -> Act:
    world.run(world.process("start"), lambda s: starter.start(s, "plain", {}, at=world.clock + 30_000))
    world.clock += 31_000
    return lambda p: world.run(p, dispatch)


@scenario
def success_starts_what_waits_for_it(world: TimedWorld) -> Act:
    world.start("upstream")
    return world.deliver


@scenario
def success_starts_what_waits_for_it_when_full(world: TimedWorld) -> Act:
    world.start("upstream")
    for _ in range(3):
        world.start()
    return world.deliver


@scenario
def success_of_the_second_of_two(world: TimedWorld) -> Act:
    world.start("upstream")
    world.deliver()
    world.clock += 1_000
    return world.deliver


def live(name: str, fault: Fault | None) -> list[str]:
    world = TimedWorld()
    act = SCENARIOS[name](world)
    process = world.process("act", fault)
    act(process)
    world.settle()
    world.check()
    return process.requests


def exhaust(name: str) -> tuple[int, list[str]]:
    requests = live(name, None)
    cases, wrong = 0, []
    for fault_of in every_fault(requests):
        fault = fault_of()
        cases += 1
        try:
            live(name, fault)
            assert fault.happened
        except Exception as error:
            wrong.append(tell(name, fault, requests, error))
    return cases, wrong


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_fire_and_every_dependency_is_one_run_whatever_happens(name: str) -> None:
    cases, wrong = exhaust(name)
    print(f"{name}: {cases} cases")
    assert not wrong, "\n".join(wrong)


def next_fire_and_run_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    together = timetable.record_fire

    def apart(table: Any, task_id: str, fire: int, following: int, *rest: Any) -> bool:
        table.update((timetable.PARTITION, task_id), "SET due_at = :next", "due_at = :fire", next=following, fire=fire)
        return together(table, task_id, fire, following, *rest)

    monkeypatch.setattr(timetable, "record_fire", apart)
    monkeypatch.setattr(timetable, "STILL_DUE", "due_at <> :fire")


def nobody_looks_for_dependents(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{__name__}.start_all_due", lambda _services: [])


@pytest.mark.parametrize(
    ("change", "shown_by"),
    [(next_fire_and_run_apart, "fire_with_a_free_slot"), (nobody_looks_for_dependents, "success_starts_what_waits_for_it")],
)
def test_without_the_mechanism_it_is_seen(change: Any, shown_by: str, monkeypatch: pytest.MonkeyPatch) -> None:
    change(monkeypatch)
    _, wrong = exhaust(shown_by)
    assert wrong
