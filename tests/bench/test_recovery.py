"""A worker is killed: when is its run over, or begun again, and its slot free?"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from typing import Any

import httpx

from infra.local.testing import LocalStack
from tests.bench.conftest import Note, Stacks

TERMINAL = ("completed", "failed", "stopped")


def test_after_a_kill_9(stacks: Stacks, note: Note) -> None:
    with stacks() as stack, httpx.Client(base_url=stack.url, headers=stack.auth, timeout=30) as http:
        failed = _killed(stack, http, "victim", "failed")
        retried = _killed(stack, http, "phoenix", "completed")
    note("worker killed -> run failed and slot back", f"{failed:.2f} s", "30 s", "one call of the sweeper")
    note("worker killed -> second attempt done and slot back", f"{retried:.2f} s", "30 s", "and a cold start")


def _killed(stack: LocalStack, http: httpx.Client, task: str, outcome: str) -> float:
    """Seconds from the kill of a run's worker until the run is over and its slot free."""
    run = http.post(f"/task/{task}/_start", json={"args": {}}).json()["run_id"]

    def status() -> str:
        return str(http.get(f"/run/{run}").json()["status"])

    _until(lambda: status() == "running")
    time.sleep(2.0)  # its worker is well inside the task
    pid = next(w["pid"] for w in stack.workers(f"task_{task}") if w["busy"])
    os.kill(pid, signal.SIGKILL)
    began = time.perf_counter()
    _until(lambda: status() in TERMINAL)
    _until(lambda: run not in _holders(stack))
    took = time.perf_counter() - began
    assert status() == outcome
    return took


def _until(what: Callable[[], Any], most: float = 60.0) -> None:
    ends = time.monotonic() + most
    while not what():
        assert time.monotonic() < ends
        time.sleep(0.02)


def _holders(stack: LocalStack) -> set[str]:
    key = {"pk": {"S": "SEMAPHORE"}, "sk": {"S": "global"}}
    item = stack.client("dynamodb").get_item(TableName="nightshift-local", Key=key)["Item"]
    return set(item["holders"]["M"])
