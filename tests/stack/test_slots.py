"""Three slots, and forty runs that want one."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from tests.stack.conftest import Door, eventually

LIMIT, STARTS = 3, 40
START = 4.0  # seconds that a process may take to start on a busy machine; the last would begin after five and more


def test_limit_is_never_exceeded_and_first_come_is_first_served(
    narrow: Door, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "stamps"
    eventually(lambda: not narrow.slots())
    runs = [narrow.start("stamped", file=str(file), name=str(n), seconds=0.3)["run_id"] for n in range(STARTS)]
    in_use = []

    def last_has_ended() -> bool:
        last = narrow.run(runs[-1])
        if last["status"] == "queued" and last["waiting_for"]:
            in_use.append(last["waiting_for"]["active"])
        return last["status"] == "completed"

    eventually(last_has_ended, 60)
    assert {narrow.wait(run)["status"] for run in runs} == {"completed"}
    eventually(lambda: not narrow.slots())

    stamps = [(float(at), what, int(name)) for at, what, name in map(str.split, file.read_text().splitlines())]
    stamps.sort()
    assert len(stamps) == 2 * STARTS
    running, most, busy = 0, 0, 0.0
    for (at, what, _name), (following, _, _) in pairwise(stamps):
        running += 1 if what == "begin" else -1
        most = max(most, running)
        busy += running * (following - at)
    begins = [at for name, at in sorted((name, at) for at, what, name in stamps if what == "begin")]
    overtaken = max(max(begins[: n + 1]) - at for n, at in enumerate(begins))
    seconds = stamps[-1][0] - stamps[0][0]
    with capsys.disabled():
        print(
            f"\n  {STARTS} runs of 0.3 s on {LIMIT} slots in {seconds:.1f} s: at most {most} at once, {busy / seconds:.2f} on"
            f" average; nobody began more than {overtaken:.2f} s before one who came earlier; slots in use while somebody"
            f" waited: {sorted(set(in_use))}"
        )
    assert most == LIMIT
    # Slots are handed over in one step, from the first to wait to the last: while somebody waits none is free.
    assert in_use
    assert set(in_use) == {LIMIT}
    # Those that get their slots one after the other start their processes side by side: only by that they may change places.
    assert overtaken < START


def test_queue_moves_on_when_a_waiting_run_is_stopped(narrow: Door) -> None:
    eventually(lambda: not narrow.slots())
    holders = [narrow.start("sleeper")["run_id"] for _ in range(LIMIT)]
    first, second = narrow.start("hello")["run_id"], narrow.start("hello")["run_id"]
    assert narrow.run(second)["waiting_for"]["ahead"] == 1
    narrow.stop(first)
    assert narrow.run(first)["status"] == "stopped"
    assert narrow.run(second)["waiting_for"]["ahead"] == 0
    narrow.stop(holders[0])
    assert narrow.wait(second)["status"] == "completed"
    assert narrow.run(first)["started_at"] is None
    answer = narrow.http.post("/task/sleeper/_stop")
    assert answer.status_code == 202
    assert set(answer.json()["stopped"]) >= set(holders[1:])
    for holder in holders:
        assert narrow.wait(holder)["status"] == "stopped"
    eventually(lambda: not narrow.slots())


def test_stopping_a_task_stops_the_running_and_the_waiting(narrow: Door) -> None:
    eventually(lambda: not narrow.slots())
    runs = [narrow.start("sleeper")["run_id"] for _ in range(LIMIT + 2)]
    for run in runs[:LIMIT]:
        narrow.wait(run, "running")
    assert [narrow.run(run)["status"] for run in runs[LIMIT:]] == ["queued", "queued"]
    answer = narrow.http.post("/task/sleeper/_stop")
    assert answer.status_code == 202
    assert set(answer.json()["stopped"]) == set(runs)
    for run in runs:
        assert narrow.wait(run)["status"] == "stopped"
    eventually(lambda: not narrow.slots())
    assert narrow.done("hello")["status"] == "completed"
