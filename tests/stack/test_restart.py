"""The stack ends and starts again on the same folder."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.stack.conftest import Door, eventually, make_stack, whole


def tick(door: Door) -> None:
    """Let the minute's sweep happen now."""
    door.stack.tick(datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:00Z"))


def test_after_a_crash_everything_is_there_and_what_was_at_work_ends(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with make_stack(project, tmp_path / "data") as stack:
        before = Door(stack)
        assert before.http.put("/task/made-here", json={"pipeline": "three_steps"}).status_code == 201
        finished = before.done("lines", count=50)
        events = before.events(finished["id"])
        lost, again = before.start("victim")["run_id"], before.start("phoenix")["run_id"]
        before.says(lost, "waiting for the end")
        before.says(again, "attempt 1")
        time.sleep(0.5)  # what is in the table is on the disk within a moment
        stack.kill()
        before.http.close()
        stack.restart()
        began = time.monotonic()
        door = Door(stack)
        kept = door.run(finished["id"])
        assert {k: kept[k] for k in ("status", "result", "seq", "history")} == {
            k: finished[k] for k in ("status", "result", "seq", "history")
        }
        assert door.events(finished["id"]) == events
        assert door.get("/task/made-here")["pipeline"] == "three_steps"
        assert [run["id"] for run in door.get("/runs")["runs"]] == [again, lost, finished["id"]]
        assert door.done("hello")["status"] == "completed"

        def ended() -> bool:
            tick(door)
            time.sleep(0.5)
            return all(door.run(run)["status"] in ("failed", "completed") for run in (lost, again))

        eventually(ended, 40)
        with capsys.disabled():
            print(f"\n  what a crash of the stack left at work is over {time.monotonic() - began:.0f} s after the restart")
        run = door.run(lost)
        assert (run["status"], run["error"]["type"]) == ("failed", "Lost")
        assert door.lines(lost) == ["waiting for the end"]
        assert door.run(again)["result"] == {"attempt": 2}
        assert whole(door.events(lost))
        assert whole(door.events(again))
        eventually(lambda: not door.slots())
        door.http.close()


def test_after_sigterm_short_runs_have_been_let_finish(project: Path, tmp_path: Path) -> None:
    with make_stack(project, tmp_path / "data") as stack:
        door = Door(stack)
        short = door.start("sleeper", seconds=2.0)["run_id"]
        door.says(short, "sleeping")
        door.http.close()
        assert stack.stop() == 0
        stack.restart()
        door = Door(stack)
        run = door.run(short)
        assert (run["status"], run["result"]) == ("completed", {"slept": 2.0})
        assert whole(door.events(short))
        assert not door.slots()
        door.http.close()
