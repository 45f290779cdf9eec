"""A process may die at any request, before or after it took effect, or have it delivered twice, or never hear the answer.

Every scenario, every request, every way; then the world comes to rest, and nothing may be wrong at any write or left over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.faults.scenarios import SCENARIOS
from tests.faults.world import Fault, World, stepped

MODES = ("before", "after", "twice", "lost", "refused")
WAYS = 60_000


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


def exhaust(name: str, make: Callable[[], World] = World) -> tuple[int, list[str]]:
    """Every fault of one scenario, with and without Lambda's reports of crashes. The cases, and what went wrong."""
    requests, _ = crash(name, None, make=make)
    cases, wrong = 0, []
    for reporting in (True, False):
        for fault_of in every_fault(requests):
            fault = fault_of()
            cases += 1
            try:
                crash(name, fault, reporting=reporting, make=make)
                assert fault.happened
            except Exception as error:
                wrong.append(tell(name, fault, requests, error))
    return cases, wrong


@pytest.mark.parametrize("name", SCENARIOS)
def test_any_one_fault_at_any_request_is_mended(name: str, record_property: Any) -> None:
    cases, wrong = exhaust(name)
    record_property("cases", cases)
    print(f"{name}: {cases} cases")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("name", [n for n in SCENARIOS if not n.startswith(("sweep_", "report_", "later_"))])
def test_without_faults_nobody_waits_for_the_sweeper(name: str) -> None:
    _, sweeps = crash(name, None)
    assert sweeps <= (1 if name == "retry_queued_for_later" else 0)


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
        "two starts": start_some,
        "a start, deliveries, a stop": lambda: (start_some(), deliver_one(), stop_all(), world.deliver_all())[0],
    }


HARMLESS = ("a delivery", "all deliveries", "two starts", "a stop of everything")


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


@pytest.mark.parametrize("name", SCENARIOS)
def test_anything_may_happen_between_two_requests(name: str) -> None:
    requests, _ = crash(name, None)
    cases, wrong = 0, []
    for at in range(1, len(requests) + 1):
        for what in asides(World()):
            cases += 1
            try:
                interleave(name, at, what)
            except Exception as error:
                wrong.append(f"{name}: {what} before request {at} ({requests[at - 1]}): {error}")
    print(f"{name}: {cases} cases")
    assert not wrong, "\n".join(wrong)
