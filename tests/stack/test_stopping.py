"""Stopping: soon, with all that the run has started, and with its slot given back."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from tests.stack.conftest import Door, alive, eventually

SOON = 6.0  # seconds; on a machine that has nothing else to do it is under three


def stopped(door: Door, run_id: str, capsys: pytest.CaptureFixture[str], what: str) -> dict[str, object]:
    """The run after a stop that came in time."""
    began = time.monotonic()
    door.stop(run_id)
    run = door.wait(run_id)
    took = time.monotonic() - began
    with capsys.disabled():
        print(f"\n  stopped after {took:.2f} s: {what}")
    assert run["status"] == "stopped"
    assert took < SOON
    eventually(lambda: run_id not in door.slots(), 2 * SOON)
    last = door.events(run_id)[-1]
    assert (last["type"], last["status"]) == ("done", "stopped")
    return run


def test_sleeping_run_stops(door: Door, capsys: pytest.CaptureFixture[str]) -> None:
    run_id = door.start("sleeper")["run_id"]
    door.says(run_id, "sleeping")
    stopped(door, run_id, capsys, "a sleeping Python task")


def test_step_of_a_pipeline_stops(door: Door, capsys: pytest.CaptureFixture[str]) -> None:
    run_id = door.start("long_step")["run_id"]
    eventually(lambda: any(event["type"] == "step" for event in door.events(run_id)))
    run = stopped(door, run_id, capsys, "a step of a pipeline")
    assert [step["status"] for step in run["steps"]] == ["stopped"]  # type: ignore[attr-defined]


def test_busy_loop_stops(door: Door, capsys: pytest.CaptureFixture[str]) -> None:
    run_id = door.start("busy")["run_id"]
    door.says(run_id, "busy")
    stopped(door, run_id, capsys, "a busy loop that swallows exceptions")


def test_child_and_grandchild_end_with_their_run(door: Door, capsys: pytest.CaptureFixture[str]) -> None:
    run_id = door.start("family")["run_id"]
    lines = door.says(run_id, "grandchild")
    pids = [int(match[1]) for line in lines if (match := re.search(r"child (\d+)", line))]
    assert len(pids) == 2
    assert all(map(alive, pids))
    stopped(door, run_id, capsys, "a command with a child that has left its group")
    assert not any(map(alive, pids))


def test_run_that_is_just_starting_stops(door: Door, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(5):
        stopped(door, door.start("sleeper")["run_id"], capsys, "a run that was starting")


def test_workspace_is_gone_after_a_stop(door: Door, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    note = tmp_path / "workspace"
    run_id = door.start("shelter", note=str(note))["run_id"]
    workspace = Path(eventually(lambda: note.exists() and note.read_text()))
    assert workspace.is_dir()
    stopped(door, run_id, capsys, "a run with a folder of its own")
    assert not workspace.exists()


def test_task_goes_on_working_after_a_stop(door: Door) -> None:
    run_id = door.start("sleeper")["run_id"]
    door.says(run_id, "sleeping")
    door.stop(run_id)
    door.wait(run_id)
    assert door.done("sleeper", seconds=0.1)["status"] == "completed"


def test_run_ends_at_its_own_timeout(door: Door) -> None:
    run = door.done("slow")
    assert (run["status"], run["error"]["type"]) == ("failed", "Timeout")
    assert "2s" in run["error"]["message"]
    assert 1.9 < run["duration_seconds"] < 2 + SOON
    assert door.lines(run["id"])[0] == "slow"
