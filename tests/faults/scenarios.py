"""What a process may be doing when it dies. Each: a world in some state, and what the process does then."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chalicelib.domain.run import RunRecord
from chalicelib.engine import runner
from chalicelib.store import runs
from chalicelib.store.semaphores import MOVING_ALONG_MS
from tests.faults.process import Fault, Process
from tests.faults.world import World

Act = Callable[[Process], Any]
SCENARIOS: dict[str, Callable[[World], Act]] = {}


def scenario(build: Callable[[World], Act]) -> Callable[[World], Act]:
    SCENARIOS[build.__name__] = build
    return build


@scenario
def start_with_a_free_slot(world: World) -> Act:
    return lambda p: world.start("plain", p)


@scenario
def start_when_full(world: World) -> Act:
    world.start()
    world.start()
    return lambda p: world.start("plain", p)


@scenario
def finish_with_nobody_waiting(world: World) -> Act:
    world.start()
    return world.deliver


@scenario
def finish_with_a_queue(world: World) -> Act:
    for _ in range(5):
        world.start()
    return world.deliver


@scenario
def finish_with_much_output_and_a_follower(world: World) -> Act:
    run = world.start()
    runs.follow(world.table, run, run)
    world.line_length = 1500
    world.scripts["plain"].flushes = 4
    return world.deliver


@scenario
def retry_in_process(world: World) -> Act:
    world.scripts["retrying"].failures = 1
    world.start("retrying")
    world.start()
    world.start()
    return world.deliver


@scenario
def fail_at_last(world: World) -> Act:
    world.scripts["retrying"].failures = 9
    world.start("retrying")
    return world.deliver


@scenario
def retry_queued_for_later(world: World) -> Act:
    for task in ("retrying", "plain", "plain", "plain"):
        world.start(task)
    return _retried_later(world)


@scenario
def retry_queued_for_later_with_nobody_waiting(world: World) -> Act:
    world.start("retrying")
    world.start()
    return _retried_later(world)


def _retried_later(world: World) -> Act:
    world.scripts["retrying"].failures = 1
    world.scripts["retrying"].hooks.append(lambda _: _work_for_a_while(world))

    def deliver(process: Process) -> None:
        before, runner.SHORT_BACKOFF = runner.SHORT_BACKOFF, 0.0
        try:
            world.deliver(process)
        finally:
            runner.SHORT_BACKOFF = before

    return deliver


def _work_for_a_while(world: World) -> None:
    """Its slots are no news to anybody by now."""
    world.clock += MOVING_ALONG_MS + 1_000


@scenario
def later_attempt_is_due(world: World) -> Act:
    retry_queued_for_later(world)(world.process())
    world.deliver_all()
    world.clock += 400_000
    return world.sweep


@scenario
def finish_with_a_doubled_message(world: World) -> Act:
    for _ in range(3):
        world.start()
    world.inbox.append(world.inbox[0])
    return world.deliver


@scenario
def lost_attempt_comes_back(world: World) -> Act:
    """Its process froze for so long that another attempt has taken over, is at work or has finished."""
    world.start("retrying")
    world.start()
    world.scripts["retrying"].flushes = 3

    def freeze(run: RunRecord) -> None:
        del world.working[run.id]
        world.clock += 25_000
        world.sweep()

    world.scripts["retrying"].hooks = [freeze]
    return world.deliver


@scenario
def lost_attempt_comes_back_last(world: World) -> Act:
    act = lost_attempt_comes_back(world)
    freeze = world.scripts["retrying"].hooks[0]
    world.scripts["retrying"].hooks = [lambda run: (freeze(run), world.deliver_all())[0]]
    return act


@scenario
def stop_while_queued(world: World) -> Act:
    world.start()
    world.start()
    waiting = world.start()
    world.start()
    return lambda p: world.stop(waiting, p)


@scenario
def stop_while_holding(world: World) -> Act:
    holding = world.start()
    for _ in range(3):
        world.start()
    return lambda p: world.stop(holding, p)


@scenario
def stop_while_running(world: World) -> Act:
    for _ in range(3):
        world.start()

    def act(process: Process) -> None:
        world.scripts["plain"].hooks = [lambda run: world.stop(run.id, process)]
        world.deliver()

    return act


@scenario
def being_stopped_while_running(world: World) -> Act:
    for _ in range(3):
        world.start()
    world.scripts["plain"].hooks = [lambda run: world.stop(run.id)]
    return world.deliver


@scenario
def stop_while_holding_a_part_of_its_path(world: World) -> Act:
    for task in ("plain", "plain"):
        world.start(task)
    parted = world.start("limited")  # holds task:limited, waits for global
    world.start("limited")
    return lambda p: world.stop(parted, p)


@scenario
def start_along_a_path(world: World) -> Act:
    return lambda p: world.start("pooled", p)


@scenario
def start_along_a_path_when_full(world: World) -> Act:
    world.start("pooled")
    world.start("pooled")
    return lambda p: world.start("pooled", p)


@scenario
def finish_along_a_path_with_queues(world: World) -> Act:
    for task in ("pooled", "urgent", "limited", "pooled", "pooled", "limited", "urgent", "plain"):
        world.start(task)
    return world.deliver


@scenario
def report_of_a_crash(world: World) -> Act:
    _crash_at_work(world, "retrying")
    return world.report


@scenario
def report_of_a_crash_without_retries(world: World) -> Act:
    _crash_at_work(world, "plain")
    return world.report


@scenario
def report_of_a_crash_in_a_second_attempt(world: World) -> Act:
    world.scripts["retrying"].failures = 1
    _crash_at_work(world, "retrying", flushes=2)
    return world.report


@scenario
def sweep_of_lapsed_leases(world: World) -> Act:
    world.reporting = False
    _crash_at_work(world, "plain")
    _crash_at_work(world, "retrying")
    world.start()
    world.clock += 30_000
    return world.sweep


@scenario
def sweep_of_lost_invokes(world: World) -> Act:
    for _ in range(4):
        world.start()
    world.inbox.clear()
    world.clock += 120_000
    return world.sweep


@scenario
def sweep_of_slots_of_the_dead(world: World) -> Act:
    world.reporting = False
    for _ in range(4):
        world.start()
    for _ in range(2):
        _dies_when(world, lambda label: label == "query QUEUE")
    world.clock += 30_000
    return world.sweep


@scenario
def sweep_of_lost_starts(world: World) -> Act:
    for at in (3, 2, 4):
        world.start("plain", world.process("start", Fault(at, "before")))
    world.start("pooled", world.process("start", Fault(4, "before")))
    world.clock += 120_000
    return world.sweep


@scenario
def sweep_of_a_lost_requeue(world: World) -> Act:
    world.scripts["retrying"].failures = 1
    world.reporting = False
    world.start("retrying")
    before, runner.SHORT_BACKOFF = runner.SHORT_BACKOFF, 0.0
    try:
        _dies_when(world, lambda label: label == "query QUEUE")
    finally:
        runner.SHORT_BACKOFF = before
    world.clock += 120_000
    return world.sweep


@scenario
def sweep_of_stale_entries(world: World) -> Act:
    world.start()
    world.start()
    waiting = world.start()
    process = world.process("stop", Fault(3, "before"))
    world.stop(waiting, process)
    return world.sweep


@scenario
def hand_over_to_the_next_leg(world: World) -> Act:
    world.scripts["retrying"].legs = 2
    world.start("retrying")
    for _ in range(3):
        world.start()
    return world.deliver


@scenario
def go_on_in_the_last_leg(world: World) -> Act:
    _in_leg(world, 2, of=2)
    return world.deliver


@scenario
def go_on_in_a_leg_with_a_follower_and_much_output(world: World) -> Act:
    world.line_length = 2500
    runs.follow(world.table, run := _in_leg(world, 2, of=3), run)
    return world.deliver


@scenario
def go_on_with_a_doubled_message(world: World) -> Act:
    _in_leg(world, 2, of=3)
    world.inbox.insert(0, world.inbox[0])
    return world.deliver


@scenario
def fail_in_the_last_leg_and_try_again(world: World) -> Act:
    world.scripts["retrying"].failures = 1
    world.scripts["retrying"].fail_in_leg = 2
    _in_leg(world, 2, of=2)
    return world.deliver


@scenario
def stop_between_legs(world: World) -> Act:
    run = _in_leg(world, 2, of=2)
    return lambda p: world.stop(run, p)


@scenario
def sweep_of_a_lost_leg(world: World) -> Act:
    _in_leg(world, 2, of=2)
    world.inbox.clear()
    world.clock += 30_000
    return world.sweep


@scenario
def sweep_of_a_leg_that_died_at_work(world: World) -> Act:
    world.reporting = False
    _in_leg(world, 2, of=2)
    _dies_at_publish(world, 2)
    world.clock += 30_000
    return world.sweep


@scenario
def report_of_a_leg_that_died_at_work(world: World) -> Act:
    _in_leg(world, 2, of=2)
    _dies_at_publish(world, 2)
    return world.report


@scenario
def report_of_a_leg_that_died_before_its_claim(world: World) -> Act:
    _in_leg(world, 2, of=2)
    world.deliver(world.process("runner", Fault(1, "before")))
    return world.report


@scenario
def report_of_a_leg_that_died_after_handing_over(world: World) -> Act:
    world.scripts["retrying"].legs = 3
    world.start("retrying")
    _dies_when(world, lambda label: label == "invoke task_retrying")
    return world.report


@scenario
def report_of_an_old_leg_while_the_next_is_at_work(world: World) -> Act:
    """It handed over and called the next, and died only then."""
    run = _in_leg(world, 2, of=2)
    world.reports.append({"requestPayload": {"run_id": run, "attempt": 1}, "responsePayload": {"errorMessage": "exit status 1"}})
    return lambda p: _report_while_at_work(world, p)


@scenario
def report_of_the_other_one_of_a_doubled_message(world: World) -> Act:
    """Lambda delivered it twice; the process that came second died before it could find the run claimed."""
    world.start()
    world.start()
    world.inbox.insert(0, world.inbox[0])

    def act(process: Process) -> None:
        def second_dies(_run: RunRecord) -> None:
            world.deliver(world.process("runner", Fault(1, "before")))
            at_work = world.stack[-1]
            world.waiting_for_a_sign = lambda: _flush(world, at_work)
            world.report(process)
            world.waiting_for_a_sign = lambda: None

        world.scripts["plain"].hooks = [second_dies]
        world.deliver()

    return act


@scenario
def report_of_a_crash_before_the_claim(world: World) -> Act:
    world.start("retrying")
    world.start()
    world.deliver(world.process("runner", Fault(1, "before")))
    return world.report


def _in_leg(world: World, leg: int, of: int) -> str:
    """A run whose message for this leg is the next to be delivered, with others behind it."""
    world.scripts["retrying"].legs = of
    run = world.start("retrying")
    for _ in range(leg - 1):
        world.deliver()
    message = world.inbox.pop()
    for _ in range(2):
        world.start()
    world.inbox.insert(0, message)
    return run


def _report_while_at_work(world: World, process: Process) -> None:
    world.scripts["retrying"].hooks = [lambda run: world.report(process)]
    world.deliver()


def _flush(world: World, process: Process) -> None:
    world.clock += 1_500
    world.stack.append(process)
    try:
        process.publisher.step()
    finally:
        world.stack.pop()


def _dies_at_publish(world: World, number: int) -> None:
    seen = 0

    def there(label: str) -> bool:
        nonlocal seen
        seen += label == "update_item RUN"
        return seen == number

    _dies_when(world, there)


def _crash_at_work(world: World, task: str, flushes: int = 1) -> None:
    world.start(task)
    seen = 0

    def at_second_publish(label: str) -> bool:
        nonlocal seen
        seen += label == "update_item RUN"
        return seen == 1 + 2 * flushes  # the claim, then publishing

    world.scripts[task].flushes = 2
    _dies_when(world, at_second_publish, -1)


def _dies_when(world: World, there: Callable[[str], bool], position: int = 0) -> None:
    """Deliver a message to a process that dies before the first request of which `there` is true."""
    process = world.process("runner")
    request = process.request

    def request_or_die(label: str, do: Any) -> Any:
        if process.alive and there(label):
            process._die()
        return request(label, do)

    process.request = request_or_die  # type: ignore[method-assign]
    world.deliver(process, len(world.inbox) - 1 if position < 0 else position)
    assert not process.alive
