"""Starting runs: what it costs, and how often it happens."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import httpx
import pytest

from tests.stack.conftest import SLOW, Door, eventually


def test_start_answers_with_where_to_look(door: Door) -> None:
    told = door.start("hello")
    assert told["status"] in ("queued", "running")
    assert told["url"] == f"{door.stack.url}/run/{told['run_id']}"
    assert told["websocket_url"].startswith(f"{door.stack.ws_url}/ws/task/{told['run_id']}?")
    assert door.http.get(told["url"]).json()["id"] == told["run_id"]
    door.wait(told["run_id"])


def test_start_makes_three_requests_when_warm(door: Door) -> None:
    def cost() -> dict[str, int]:
        door.done("hello")
        warm(door, "hello")
        before = door.stack.marker()
        run_id = door.start("hello")["run_id"]
        counts = dict(door.stack.requests(before, "api")["counts"])
        door.wait(run_id)
        return counts

    assert cheapest(cost) == {"dynamodb.PutItem": 1, "dynamodb.UpdateItem": 1, "lambda.Invoke": 1}


@pytest.mark.parametrize("seconds", [0.0, 0.9])
def test_short_unfollowed_run_costs_nine_requests_at_most(door: Door, seconds: float, capsys: pytest.CaptureFixture[str]) -> None:
    args = {"count": 3, "every": seconds / 3}

    def cost() -> dict[str, int]:
        door.done("lines", **args)
        idle_again(door, "task_lines")
        warm(door, "lines")
        before = door.stack.marker()
        run_id = door.start("lines", **args)["run_id"]
        served = [worker["served"] for worker in door.stack.workers("task_lines")]
        # Asking the API would cost requests: the worker is watched instead.
        eventually(lambda: [w["served"] for w in door.stack.workers("task_lines")] != served, SLOW)
        idle_again(door, "task_lines")
        counts = {
            f"{name} {what}": n for name in ("api", "task_lines") for what, n in door.stack.requests(before, name)["counts"].items()
        }
        assert door.run(run_id)["status"] == "completed"
        return counts

    counts = cheapest(cost)
    total = sum(counts.values())
    with capsys.disabled():
        print(f"\n  a run of {seconds} s costs {total} requests: {counts}")
    assert total <= 9


def cheapest(cost: Callable[[], dict[str, int]]) -> dict[str, int]:
    """Of three. On a busy machine a process that has to learn first what others know may come in between."""
    return min((cost() for _ in range(3)), key=lambda counts: sum(counts.values()))


def warm(door: Door, task: str) -> None:
    """A process of the API has just read what is changed of tasks, and is the one that answers next."""
    door.get(f"/task/{task}")
    idle_again(door, "api")


def idle_again(door: Door, function: str) -> None:
    eventually(lambda: all(worker["state"] == "idle" for worker in door.stack.workers(function)), SLOW)


def test_same_key_gives_the_same_run(door: Door) -> None:
    key = uuid4().hex
    first, second = door.start("forms", key, text="once"), door.start("forms", key, text="once")
    assert first["run_id"] == second["run_id"]
    door.wait(first["run_id"])
    assert door.start("forms", key, text="once")["run_id"] == first["run_id"]


def test_same_key_with_other_arguments_is_409(door: Door) -> None:
    key = uuid4().hex
    first = door.start("forms", key, text="once")
    answer = door.http.post("/task/forms/_start", json={"args": {"text": "twice"}}, headers={"Idempotency-Key": key})
    assert answer.status_code == 409
    newest = door.get("/task/forms/runs", limit=1)["runs"][0]
    assert newest["id"] == first["run_id"]
    door.wait(first["run_id"])


def test_same_key_of_another_task_is_another_run(door: Door) -> None:
    key = uuid4().hex
    assert door.start("hello", key)["run_id"] != door.start("lines", key)["run_id"]


def test_eight_starts_at_once_with_one_key_are_one_run(door: Door) -> None:
    key = uuid4().hex
    before = {run["id"] for run in door.get("/task/hello/runs", limit=500)["runs"]}
    with ThreadPoolExecutor(8) as threads:
        runs = set(threads.map(lambda _: door.start("hello", key)["run_id"], range(8)))
    assert len(runs) == 1
    assert {run["id"] for run in door.get("/task/hello/runs", limit=500)["runs"]} - before == runs
    assert door.wait(runs.pop())["attempt"] == 1


def test_run_answers_with_the_finished_run(door: Door) -> None:
    answer = door.http.post("/task/hello/_run", json={"args": {"name": "ann"}})
    assert answer.status_code == 200
    run = answer.json()
    assert (run["status"], run["result"]) == ("completed", {"greeting": "hello ann"})


def test_run_answers_with_a_failed_run_too(door: Door) -> None:
    answer = door.http.post("/task/failing/_run", json={})
    assert (answer.status_code, answer.json()["status"]) == (200, "failed")


def test_run_that_outlasts_the_wait_is_answered_with_202_and_goes_on(door: Door, outlasted: Callable[[], httpx.Response]) -> None:
    answer = outlasted()
    assert answer.status_code == 202
    run = answer.json()
    assert run["status"] == "running"
    assert 24 < answer.elapsed.total_seconds() < 29  # API Gateway waits no longer
    assert door.wait(run["id"])["result"] == {"slept": 27.0}
