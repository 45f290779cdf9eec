"""The proofs can fail: for every mechanism, the same code without it breaks an invariant that they look at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from chalicelib.engine import requeue, runner, slots, starter, sweeper
from chalicelib.store import closing, queue, runs, semaphores
from tests.faults.process import Coroutine, Fault
from tests.faults.scenarios import SCENARIOS
from tests.faults.stepped import stepped
from tests.faults.test_crashes import crash, exhaust, interleave, no_answer_fails_no_run, overlap_all
from tests.faults.world import World

Break = Callable[[pytest.MonkeyPatch], None]
BREAKS: dict[str, tuple[Break, Callable[[], Any]]] = {}


def broken(*, shown_by: Callable[[], Any]) -> Callable[[Break], Break]:
    def note(change: Break) -> Break:
        BREAKS[change.__name__] = (change, shown_by)
        return change

    return note


def every_fault_of(name: str) -> Callable[[], None]:
    def show() -> None:
        _, wrong = exhaust(name)
        assert not wrong, "\n".join(wrong)

    return show


def no_sweep_needed(name: str, what: str) -> Callable[[], None]:
    """At least one place where `what` may come between two requests."""

    def show() -> None:
        requests, _ = crash(name, None)
        for at in range(1, len(requests) + 1):
            interleave(name, at, what)

    return show


def stopped_and_then_delivered() -> None:
    """The process that stopped it died right after; whoever gets the message hands the slot on."""
    _, sweeps = crash("stop_while_holding", Fault(3, "before"))
    assert sweeps == 0


def not_twice_at_work() -> None:
    no_sweep_needed("finish_with_a_doubled_message", "all deliveries")()


def old_leg_is_reported() -> None:
    """The leg that is at work is not disturbed by what became of the one before."""
    world = World()
    SCENARIOS["report_of_an_old_leg_while_the_next_is_at_work"](world)(world.process())
    world.settle()
    world.check()
    assert {run.attempt for run in world.all_runs()} == {1}


def lost_leg_is_swept() -> None:
    _, sweeps = crash("sweep_of_a_lost_leg", None)
    assert sweeps <= 1


def queued_too_late_and_died() -> None:
    """Whoever held the slots was gone before the starter joined the queue, and the starter died before it looked again."""
    world = World()
    starting = Coroutine(world, "start", SCENARIOS["start_when_full"](world))
    while starting.process.requests[-1:] != ["update_item SEMAPHORE"]:
        starting.step()
    world.deliver_all()
    starting.step()
    assert starting.process.requests[-1] == "put_item QUEUE"
    starting.kill()
    world.settle()
    world.check()


@broken(shown_by=no_sweep_needed("start_when_full", "all deliveries"))
def the_starter_does_not_look_again_after_queueing(patch: pytest.MonkeyPatch) -> None:
    serve, join = slots.serve, queue.join
    queued: list[bool] = []
    patch.setattr(queue, "join", lambda *args: (join(*args), queued.append(True))[0])
    patch.setattr(slots, "serve", lambda *args: 0 if queued and queued.pop() else serve(*args))


@broken(shown_by=lambda: crash("finish_with_nobody_waiting", None))
def a_release_is_ignored(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(semaphores, "release", lambda *args: True)


@broken(shown_by=lambda: crash("finish_with_nobody_waiting", None))
def a_release_leaves_the_counter(patch: pytest.MonkeyPatch) -> None:
    update = semaphores._update

    def without_counting(table: Any, name: str, change: str, *args: Any, **values: Any) -> None:
        update(table, name, change.replace("REMOVE holders.#run ADD active :minus", "REMOVE holders.#run"), *args, **values)

    patch.setattr(semaphores, "_update", without_counting)


@broken(shown_by=no_sweep_needed("finish_with_nobody_waiting", "a heavy start"))
def nobody_looks_at_the_queue_after_a_release(patch: pytest.MonkeyPatch) -> None:
    serve, release = slots.serve, semaphores.release
    released: list[bool] = []
    patch.setattr(semaphores, "release", lambda *args: (release(*args), released.append(True))[0])
    patch.setattr(slots, "serve", lambda *args: 0 if released and released.pop() else serve(*args))


@broken(shown_by=lambda: crash("start_when_full", None))
def the_limit_is_not_asked(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(semaphores, "_room", lambda limit, slots: 1000)


@broken(shown_by=every_fault_of("start_with_a_free_slot"))
def a_holder_acquires_again(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(semaphores, "ROOM_FOR_NEWCOMER", "active <= :room")


@broken(shown_by=lambda: crash("lost_attempt_comes_back", None))
def the_fence_is_gone(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(runs, "CURRENT", "attribute_exists(pk) AND :attempt = :attempt AND :running = :running")


@broken(shown_by=lambda: crash("lost_attempt_comes_back_last", None))
def the_end_is_not_fenced(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(runs, "CURRENT", "attribute_exists(pk) AND :attempt = :attempt AND :running = :running")
    patch.setattr(closing, "AS_SEEN", "follows = :follows AND :seen = :seen AND :attempt = :attempt AND :seen_seq = :seen_seq")


@broken(shown_by=not_twice_at_work)
def a_running_run_is_claimed_again(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(runs, "CLAIMABLE", "(#status = :queued OR #status = :running) AND attempt = :attempt")


@broken(shown_by=stopped_and_then_delivered)
def a_dead_claim_keeps_its_slot(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(runner, "hand_on", lambda services, run: None)


@broken(shown_by=every_fault_of("finish_with_nobody_waiting"))
def the_sweeper_leaves_slots_of_the_dead(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(sweeper, "hand_on", lambda services, run: None)


@broken(shown_by=every_fault_of("start_with_a_free_slot"))
def the_sweeper_leaves_lost_runs(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(sweeper, "_move_along", lambda *args: None)


@broken(shown_by=lambda: crash("sweep_of_lapsed_leases", None))
def the_sweeper_does_not_look_at_leases(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(sweeper, "_attempt_is_dead", lambda *args: "nothing")


@broken(shown_by=lambda: crash("stop_while_running", None))
def a_stop_frees_the_slot_of_a_running_run(patch: pytest.MonkeyPatch) -> None:
    stop = starter.stop

    def stop_and_free(services: Any, run_id: str) -> Any:
        run = stop(services, run_id)
        slots.hand_on(services, run)
        return run

    patch.setattr(starter, "stop", stop_and_free)


@broken(shown_by=every_fault_of("finish_with_much_output_and_a_follower"))
def events_are_replaced_before_they_lie_in_a_chunk(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("chalicelib.store.events.put_chunk", lambda *args: None)


@broken(shown_by=no_answer_fails_no_run)
def a_flush_without_an_answer_is_forgotten(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("tests.faults.stepped.SteppedPublisher.flush_rest", lambda self, leave=0: None)


@broken(shown_by=queued_too_late_and_died)
def the_sweeper_does_not_look_at_queues(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(sweeper, "_sweep_queue", lambda *args: None)


@broken(shown_by=lambda: overlap_all("retry_queued_for_later_with_nobody_waiting"))
def a_requeued_run_joins_before_its_slot_goes_on(patch: pytest.MonkeyPatch) -> None:
    hand_on, join = requeue.hand_on, queue.join

    def join_first(services: Any, run: Any) -> None:
        join(services.table, run.path[0], queue.entry_of(run))
        hand_on(services, run)

    patch.setattr(requeue, "hand_on", join_first)


@broken(shown_by=no_sweep_needed("go_on_with_a_doubled_message", "all deliveries"))
def the_leg_is_no_part_of_the_claim(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(runs, "LATER_LEG", ":leg = :leg")
    patch.setattr(runs, "UNCLAIMED", "attribute_exists(pk)")


@broken(shown_by=lost_leg_is_swept)
def the_sweeper_does_not_call_a_lost_leg(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(sweeper, "_invoke_leg", lambda *args: "nothing")


@broken(shown_by=old_leg_is_reported)
def a_report_of_any_leg_ends_the_attempt(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(sweeper, "_began_as", lambda run, attempt, leg: True)


@broken(shown_by=lambda: crash("report_of_the_other_one_of_a_doubled_message", None))
def a_report_is_believed_at_once(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(sweeper, "_moved", lambda before, after: False)


@pytest.fixture(autouse=True)
def _stepped() -> Iterator[None]:
    with stepped():
        yield


@pytest.mark.parametrize("name", BREAKS)
def test_the_proofs_fail_without(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    change, shown_by = BREAKS[name]
    shown_by()  # as it is, nothing is wrong
    with monkeypatch.context() as patch:
        change(patch)
        with pytest.raises(AssertionError):
            shown_by()
