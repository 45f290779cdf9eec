"""Processes that die: the run ends all the same, soon, with what it said so far and with its slot given back."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import pytest

from tests.stack.conftest import Door, eventually, whole

TOLD = 30.0  # seconds until a dead process is known to be dead


@pytest.fixture(scope="module", autouse=True)
def reports(door: Door) -> None:
    """Lambda is told whom to tell: the first sweep after a start does that."""
    functions = door.stack.client("lambda")

    def configured() -> bool:
        try:
            functions.get_function_event_invoke_config(FunctionName="nightshift-local-task_victim")
        except functions.exceptions.ResourceNotFoundException:
            return False
        return True

    eventually(configured)


def pid_at_work(door: Door, task: str) -> int:
    return next(worker["pid"] for worker in door.stack.workers(f"task_{task}") if worker["busy"])


def crashed(door: Door, run_id: str, capsys: pytest.CaptureFixture[str], what: str) -> dict[str, Any]:
    began = time.monotonic()
    run = door.wait(run_id, seconds=TOLD)
    with capsys.disabled():
        print(f"\n  {what}: {run['status']} after {time.monotonic() - began:.1f} s, {(run['error'] or {}).get('message')}")
    eventually(lambda: run_id not in door.slots())
    assert whole(door.events(run_id))
    return run


def test_killed_worker_fails_its_run(door: Door, capsys: pytest.CaptureFixture[str]) -> None:
    run_id = door.start("victim")["run_id"]
    door.says(run_id, "waiting for the end")
    os.kill(pid_at_work(door, "victim"), signal.SIGKILL)
    run = crashed(door, run_id, capsys, "kill -9")
    assert run["status"] == "failed"
    assert run["error"]["type"] == "Crashed"
    assert "killed" in run["error"]["message"]
    assert door.lines(run_id) == ["waiting for the end"]
    assert door.done("victim", seconds=0.1)["status"] == "completed"


def test_killed_worker_of_a_task_with_retries_is_tried_again(door: Door, capsys: pytest.CaptureFixture[str]) -> None:
    run_id = door.start("phoenix")["run_id"]
    door.says(run_id, "attempt 1")
    os.kill(pid_at_work(door, "phoenix"), signal.SIGKILL)
    run = crashed(door, run_id, capsys, "kill -9 with retry_count 1")
    assert (run["status"], run["attempt"], run["result"]) == ("completed", 2, {"attempt": 2})
    assert [attempt["status"] for attempt in run["attempts"]] == ["failed", "completed"]
    assert door.lines(run_id) == ["attempt 1", "attempt 2"]


def test_process_that_exits_fails_its_run(door: Door, capsys: pytest.CaptureFixture[str]) -> None:
    run_id = door.start("exits")["run_id"]
    run = crashed(door, run_id, capsys, "os._exit")
    assert (run["status"], run["error"]["type"]) == ("failed", "Crashed")
    assert "exit status 3" in run["error"]["message"]
    assert door.lines(run_id) == ["last words"]


def test_run_that_hangs_past_its_lambdas_limit_is_failed(door: Door, capsys: pytest.CaptureFixture[str]) -> None:
    run_id = door.start("stuck")["run_id"]
    run = crashed(door, run_id, capsys, "native code that never returns")
    assert (run["status"], run["error"]["type"]) == ("failed", "Timeout")
    assert "timed out" in run["error"]["message"]
    assert door.lines(run_id) == ["stuck"]


def test_module_that_cannot_be_imported_fails_its_run(door: Door, capsys: pytest.CaptureFixture[str]) -> None:
    run_id = door.start("unimportable")["run_id"]
    run = crashed(door, run_id, capsys, "import error")
    assert (run["status"], run["error"]["type"]) == ("failed", "ModuleNotFoundError")
    assert "a_package_that_is_not_there" in run["error"]["message"]
    files = [line for line in run["error"]["traceback"].splitlines() if line.strip().startswith("File ")]
    assert len(files) == 1, "the user's own lines alone"
    assert "unimportable.py" in files[0]
