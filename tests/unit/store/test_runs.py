"""A run's life in the table: one claim, one writer, one end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from chalicelib.domain.errors import FenceLostError, KeyReusedError, NewerFormatError, UnknownRunError
from chalicelib.domain.run import Event, RunRecord
from chalicelib.store import runs
from chalicelib.store.closing import Ending, FollowersChanged, close_run
from chalicelib.store.events import put_chunk, read_events, read_result
from chalicelib.store.records import FORMAT, run_key
from chalicelib.store.table import Table
from chalicelib.store.tasks import get_task_state
from tests.unit.store.conftest import NOW, new_run

Make = Callable[..., RunRecord]


def claim(store: Table, run: RunRecord, attempt: int = 1, claimant: str = "me") -> bool:
    return runs.claim(store, run.id, attempt, claimant, NOW, NOW + 20_000)[1]


def lines(first: int, last: int) -> list[Event]:
    return [{"seq": n, "at": "t", "type": "line", "text": f"line {n}", "stream": "stdout"} for n in range(first, last + 1)]


def publish(store: Table, run: RunRecord, tail: list[Event]) -> runs.Published:
    seq = tail[-1]["seq"] if tail else run.seq
    told = runs.publish(store, run, seq, tail, None, NOW, NOW + 20_000)
    run.seq, run.tail = seq, tail
    return told


def ending(run: RunRecord, status: Any = "completed", **values: Any) -> Ending:
    done = {"seq": run.seq + 1, "at": "t", "type": "done", "status": status}
    return Ending(status, NOW + 5_000, [*run.tail, done], **values)


# ---- making ----


def test_a_new_run_is_read_as_it_was_written(store: Table) -> None:
    run = new_run(args={"rate": 0.1, "name": "ä"}, slots=2, priority=-3, path=["task:x", "global"], retry_of="r")
    runs.put_new_run(store, run)
    assert runs.get_run(store, run.id) == run


def test_a_run_of_an_older_format_is_read_and_one_of_a_newer_is_refused(store: Table, queued: Make) -> None:
    run = queued()
    store.update(run_key(run.id), "REMOVE version")
    assert runs.get_run(store, run.id).id == run.id
    store.update(run_key(run.id), "SET version = :newer", newer=FORMAT + 1)
    with pytest.raises(NewerFormatError, match="newer release"):
        runs.get_run(store, run.id)


def test_the_same_key_gives_the_same_run(store: Table) -> None:
    first = runs.put_new_run(store, new_run(args={"a": 1}), "key")
    again = runs.put_new_run(store, new_run(args={"a": 1}), "key")
    other = runs.put_new_run(store, new_run(task_id="other", args={"a": 1}), "key")
    assert again.id == first.id != other.id


def test_a_key_that_was_used_with_other_arguments_is_refused(store: Table) -> None:
    runs.put_new_run(store, new_run(args={"a": 1}), "key")
    second = new_run(args={"a": 2})
    with pytest.raises(KeyReusedError):
        runs.put_new_run(store, second, "key")
    with pytest.raises(UnknownRunError):
        runs.get_run(store, second.id)


def test_putting_the_same_run_twice_changes_nothing(store: Table) -> None:
    run = runs.put_new_run(store, new_run())
    claim(store, run)
    assert runs.put_new_run(store, run).status == "running"


# ---- claiming ----


def test_a_message_that_comes_twice_claims_once(store: Table, queued: Make) -> None:
    run = queued()
    assert claim(store, run, claimant="first")
    assert not claim(store, run, claimant="second")
    claimed = runs.get_run(store, run.id)
    assert (claimed.status, claimed.started_at, claimed.lease_until) == ("running", NOW, NOW + 20_000)
    assert [h["status"] for h in claimed.history] == ["queued", "running"]


def test_a_claim_whose_answer_was_lost_is_its_claimants_when_sent_again(store: Table, queued: Make) -> None:
    run = queued()
    assert claim(store, run)
    assert claim(store, run)
    assert len(runs.get_run(store, run.id).history) == 2


@pytest.mark.parametrize("attempt", [0, 2])
def test_another_attempt_than_the_current_one_claims_nothing(store: Table, queued: Make, attempt: int) -> None:
    run = queued()
    assert not claim(store, run, attempt)
    assert runs.get_run(store, run.id).status == "queued"


def test_a_run_that_is_over_is_not_claimed(store: Table, queued: Make) -> None:
    run = queued()
    close_run(store, run, 0, ending(run, "stopped"), "stopper", 30)
    found, mine = runs.claim(store, run.id, 1, "me", NOW, NOW)
    assert found.terminal
    assert not mine


def test_claiming_a_run_that_is_not_there_says_so(store: Table) -> None:
    with pytest.raises(UnknownRunError):
        runs.claim(store, "nobody", 1, "me", NOW, NOW)


# ---- the fence ----


def test_a_flush_keeps_the_lease_and_brings_news_back(store: Table, running: Make) -> None:
    run = running()
    runs.follow(store, run.id, "connection")
    runs.request_stop(store, run.id)
    told = runs.publish(store, run, 1, run.tail, {"fraction": 0.5, "message": "half"}, NOW, NOW + 99_000)
    assert told == runs.Published(True, frozenset({"connection"}), 1)
    now = runs.get_run(store, run.id)
    assert (now.lease_until, now.progress) == (NOW + 99_000, {"fraction": 0.5, "message": "half"})


@pytest.mark.parametrize("what", ["publish", "next_attempt", "queue_again", "close"])
def test_a_lost_attempt_writes_nothing(store: Table, running: Make, what: str) -> None:
    lost = running()
    runs.queue_again(store, lost, {"attempt": 1}, NOW, None)
    runs.claim(store, lost.id, 2, "another", NOW, NOW + 20_000)
    before = runs.get_run(store, lost.id)
    writes: dict[str, Callable[[], Any]] = {
        "publish": lambda: publish(store, lost, lines(2, 3)),
        "next_attempt": lambda: runs.next_attempt(store, lost, {}, NOW, NOW),
        "queue_again": lambda: runs.queue_again(store, lost, {}, NOW, NOW),
        "close": lambda: close_run(store, lost, 0, ending(lost), "me", 30),
    }
    with pytest.raises(FenceLostError):
        writes[what]()
    assert runs.get_run(store, lost.id) == before


def test_a_queued_run_goes_back_with_its_next_attempt(store: Table, running: Make) -> None:
    again = runs.queue_again(store, running(), {"attempt": 1, "status": "failed"}, NOW, NOW + 60_000)
    assert (again.status, again.attempt, again.not_before, again.lease_until) == ("queued", 2, NOW + 60_000, None)
    assert again.attempts == [{"attempt": 1, "status": "failed"}]
    assert runs.touch(store, again, NOW + 1)
    claim(store, again, 2)
    assert not runs.touch(store, again, NOW + 2)


# ---- events: complete at any moment ----


def test_events_are_complete_at_any_moment_and_from_any_seq(store: Table, running: Make) -> None:
    """What the publisher does, request by request; a reader between any two misses nothing and reads nothing twice."""
    run = running()

    def check() -> None:
        seen = runs.get_run(store, run.id)
        for after in range(seen.seq + 1):
            assert [e["seq"] for e in read_events(store, seen, after)] == list(range(after + 1, seen.seq + 1))
            assert [e["seq"] for e in read_events(store, seen, after, 2)] == list(range(after + 1, seen.seq + 1))[:2]

    check()
    publish(store, run, [*run.tail, *lines(2, 4)])  # grows in place
    check()
    for first in (5, 8, 11):
        put_chunk(store, run.id, run.tail, 2_000_000_000)
        check()
        publish(store, run, lines(first, first + 2))
        check()
    close_run(store, run, 0, ending(run), "me", 30)
    check()


def test_a_flush_whose_answer_was_lost_leaves_no_gap_and_no_repeat(store: Table, running: Make) -> None:
    run = running()
    runs.publish(store, run, 3, [*run.tail, *lines(2, 3)], None, NOW, NOW)  # the process does not learn of it
    put_chunk(store, run.id, run.tail, 2_000_000_000)
    publish(store, run, lines(2, 6))
    put_chunk(store, run.id, run.tail, 2_000_000_000)
    publish(store, run, lines(7, 7))
    assert [e["seq"] for e in read_events(store, runs.get_run(store, run.id), 0)] == list(range(1, 8))


def test_texts_that_no_utf8_can_carry_are_kept_readable(store: Table, running: Make) -> None:
    run = running()
    publish(store, run, [*run.tail, {"seq": 2, "type": "line", "text": "half \udc80 ü 🚀"}])
    assert read_events(store, runs.get_run(store, run.id), 1)[0]["text"] == "half ? ü 🚀"


# ---- the end ----


def test_an_end_is_the_run_its_events_and_the_statistics(store: Table, running: Make) -> None:
    run = running()
    close_run(store, run, 0, ending(run, result={"rows": 4.5}, attempt={"attempt": 1}, usage={"cpu_seconds": 0.1}), "me", 30)
    over = runs.get_run(store, run.id)
    assert (over.status, over.result, over.duration, over.seq) == ("completed", {"rows": 4.5}, 5.0, 2)
    assert read_events(store, over, 0)[-1]["type"] == "done"
    state = get_task_state(store, "task")
    assert (state.runs, state.completed, state.last_run_id, state.last_seconds) == (1, 1, run.id, 5.0)


def test_a_run_that_never_began_counts_in_no_statistics(store: Table, queued: Make) -> None:
    run = queued()
    close_run(store, run, 0, ending(run, "stopped"), "me", 30)
    assert get_task_state(store, "task").runs == 0


def test_a_large_result_lies_beside_the_run(store: Table, running: Make) -> None:
    run = running()
    result = {"rows": ["x" * 100] * 100}
    close_run(store, run, 0, ending(run, result=result), "me", 30)
    over = runs.get_run(store, run.id)
    assert over.result is None
    assert read_result(store, over) == result


def test_an_end_that_is_sent_twice_is_counted_once(store: Table, running: Make) -> None:
    run = running()
    end = ending(run)
    close_run(store, run, 0, end, "me", 30)
    close_run(store, run, 0, end, "me", 30)
    assert get_task_state(store, "task").runs == 1


def test_only_the_first_of_two_ends(store: Table, running: Make) -> None:
    run = running()
    close_run(store, run, 0, ending(run), "me", 30)
    with pytest.raises(FenceLostError):
        close_run(store, run, 0, ending(run, "failed"), "sweeper", 30)
    assert runs.get_run(store, run.id).status == "completed"


def test_an_end_learns_of_a_follower_who_came_last(store: Table, running: Make) -> None:
    run = running()
    runs.follow(store, run.id, "late")
    with pytest.raises(FollowersChanged) as changed:
        close_run(store, run, 0, ending(run), "me", 30)
    assert changed.value.followers == {"late"}
    close_run(store, run, changed.value.follows, ending(run), "me", 30)
    assert runs.get_run(store, run.id).terminal


def test_an_end_as_somebody_who_missed_events_is_refused(store: Table, running: Make) -> None:
    run = running()
    before = runs.get_run(store, run.id)
    publish(store, run, [*run.tail, *lines(2, 2)])
    with pytest.raises(FenceLostError):
        close_run(store, before, 0, ending(before), "me", 30)


def test_nobody_follows_or_stops_a_run_that_is_over(store: Table, running: Make) -> None:
    run = running()
    close_run(store, run, 0, ending(run), "me", 30)
    assert runs.follow(store, run.id, "c").followers == frozenset()
    assert not runs.request_stop(store, run.id).stop_requested
    runs.unfollow(store, run.id, {"c"})
    with pytest.raises(UnknownRunError):
        runs.request_stop(store, "nobody")
