"""A process may die at any request, before or after it took effect, or have it delivered twice, or never hear the answer.

Every scenario, every request, every way; then the world comes to rest, and nothing may be wrong at any write or left over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import pytest

from tests.faults.process import Coroutine, Fault
from tests.faults.scenarios import SCENARIOS
from tests.faults.stepped import stepped
from tests.faults.world import World

MODES = ("before", "after", "twice", "lost", "refused")


@pytest.fixture(autouse=True)
def _stepped() -> Iterator[None]:
    with stepped():
        yield


def crash(name: str, fault: Fault | None, *, reporting: bool = True, make: Callable[[], World] = World) -> tuple[list[str], int]:
    """The scenario with this fault in its process, and what came after. Its requests, and the sweeps until all was at rest."""
    world = make()
    act = SCENARIOS[name](world)
    world.reporting = reporting and world.reporting
    process = world.process("act", fault)
    act(process)
    sweeps = world.settle()
    world.check()
    return process.requests, sweeps


def every_fault(requests: list[str]) -> Iterator[Callable[[], Fault]]:
    for at, label in enumerate(requests, 1):
        for mode in MODES:
            yield lambda at=at, mode=mode: Fault(at, mode)  # type: ignore[misc]
        if label.startswith("invoke"):
            yield lambda at=at: Fault(at, "invoke_lost")  # type: ignore[misc]


def tell(name: str, fault: Fault, requests: list[str], error: BaseException) -> str:
    return f"{name}: {fault.mode} request {fault.at} ({requests[fault.at - 1]}): {error}"


def exhaust(name: str, make: Callable[[], World] = World, reports: tuple[bool, ...] = (True, False)) -> tuple[int, list[str]]:
    """Every fault of one scenario, with and without Lambda's reports of crashes. The cases, and what went wrong."""
    requests, _ = crash(name, None, make=make)
    cases, wrong = 0, []
    for reporting in reports:
        for fault_of in every_fault(requests):
            fault = fault_of()
            cases += 1
            try:
                crash(name, fault, reporting=reporting, make=make)
                assert fault.happened
            except Exception as error:
                wrong.append(tell(name, fault, requests, error))
    return cases, wrong


def exhaust_and_tell(name: str, **options: Any) -> None:
    cases, wrong = exhaust(name, **options)
    print(f"{name}: {cases} cases")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("name", SCENARIOS)
def test_any_one_fault_at_any_request_is_mended(name: str) -> None:
    # Without reports the sweeper has the most to do.
    exhaust_and_tell(name, reports=(False,))


@pytest.mark.proof
@pytest.mark.parametrize("name", SCENARIOS)
def test_any_one_fault_at_any_request_is_mended_with_reports_too(name: str) -> None:
    exhaust_and_tell(name)


@pytest.mark.parametrize("name", [n for n in SCENARIOS if not n.startswith(("sweep_", "report_", "later_"))])
def test_without_faults_nobody_waits_for_the_sweeper(name: str) -> None:
    _, sweeps = crash(name, None)
    assert sweeps <= (1 if name.startswith("retry_queued") else 0)


def no_answer_fails_no_run() -> None:
    """A flush whose answer is lost, or that came twice or not at all, costs the run nothing as long as it is at work."""
    name = "finish_with_much_output_and_a_follower"
    requests, _ = crash(name, None)
    last = [at for at, label in enumerate(requests, 1) if label == "update_item RUN"][4]  # the claim, then four flushes
    for at, label in enumerate(requests[1:last], 2):
        if label in ("update_item RUN", "put_item RUN"):
            for mode in ("twice", "lost", "refused"):
                world = World()
                act = SCENARIOS[name](world)
                act(world.process("act", Fault(at, mode)))
                assert [run.status for run in world.all_runs()] == ["completed"], f"{mode} {at}"
                assert not world.violations


def test_a_flush_without_an_answer_fails_no_run() -> None:
    no_answer_fails_no_run()


def asides(world: World) -> dict[str, Callable[[], None]]:
    """What else may happen between two requests of a process."""

    def later(seconds: int) -> None:
        world.clock += seconds * 1000
        world.sweep()

    def stop_all() -> None:
        for run in world.all_runs():
            world.stop(run.id)

    def deliver_one() -> None:
        if world.inbox:
            world.deliver()

    def start_some() -> None:
        for task in ("plain", "pooled", "limited"):
            world.start(task)

    return {
        "a sweep": world.sweep,
        "a sweep 10 s later": lambda: later(10),
        "a stop of everything": stop_all,
        "a delivery": deliver_one,
        "all deliveries": world.deliver_all,
        "three starts": start_some,
        "a heavy start": lambda: world.start("pooled") and None,
        "a start, deliveries, a stop": lambda: (start_some(), deliver_one(), stop_all(), world.deliver_all())[0],
    }


HARMLESS = ("a delivery", "all deliveries", "three starts", "a heavy start", "a stop of everything")


def interleave(name: str, at: int, what: str, make: Callable[[], World] = World) -> None:
    world = make()
    act = SCENARIOS[name](world)
    fault = Fault(at, "aside", asides(world)[what])
    act(world.process("act", fault))
    assert fault.happened
    sweeps = world.settle()
    world.check()
    if what in HARMLESS and not name.startswith(("sweep_", "report_", "later_", "lost_", "retry_queued")):
        assert sweeps == 0, "somebody waited for the sweeper, though nothing went wrong"


def interleave_all(name: str, every: int = 1) -> int:
    requests, _ = crash(name, None)
    cases, wrong = 0, []
    for at in range(1, len(requests) + 1):
        for what in asides(World()):
            cases += 1
            if cases % every:
                continue
            try:
                interleave(name, at, what)
            except Exception as error:
                wrong.append(f"{name}: {what} before request {at} ({requests[at - 1]}): {error}")
    print(f"{name}: {cases // every} cases")
    assert not wrong, "\n".join(wrong)
    return cases // every


@pytest.mark.parametrize("name", SCENARIOS)
def test_some_things_may_happen_between_two_requests(name: str) -> None:
    interleave_all(name, every=5)


@pytest.mark.proof
@pytest.mark.parametrize("name", SCENARIOS)
def test_anything_may_happen_between_two_requests(name: str) -> None:
    interleave_all(name)


def overlap(name: str, at: int, steps: int, sweeping: bool, make: Callable[[], World] = World) -> None:
    """The scenario's process rests before a request; two seconds later a sweep or a delivery, then another process begins and rests
    after some requests of its own; then the first ends, then the second."""
    world = make()
    act = SCENARIOS[name](world)
    first = Coroutine(world, "act", act)
    for _ in range(at - 1):
        first.step()
    world.clock += 2_000
    if sweeping or not world.inbox:
        world.sweep()
    else:
        world.deliver()
    second = Coroutine(world, "runner", world.deliver) if world.inbox else None
    for _ in range(steps):
        if second:
            second.step()
    first.finish()
    if second:
        second.finish()
    world.settle()
    world.check()


def overlap_all(name: str, every: int = 1) -> None:
    requests, _ = crash(name, None)
    cases, wrong = 0, []
    for at in range(1, len(requests) + 1):
        for steps, sweeping in product(range(6), (True, False)):
            cases += 1
            if cases % every:
                continue
            try:
                overlap(name, at, steps, sweeping)
            except Exception as error:
                wrong.append(f"{name}: at request {at} ({requests[at - 1]}), the other one {steps} on: {error}")
    print(f"{name}: {cases // every} cases")
    assert not wrong, "\n".join(wrong)


# Not those that move the clock by more than a process that is at work may live.
OVERLAPPING = [name for name in SCENARIOS if not name.startswith("lost_")]


@pytest.mark.parametrize("name", OVERLAPPING)
def test_two_processes_may_overlap_in_some_ways(name: str) -> None:
    overlap_all(name, every=5)


@pytest.mark.proof
@pytest.mark.parametrize("name", OVERLAPPING)
def test_two_processes_may_overlap_in_any_way(name: str) -> None:
    overlap_all(name)
