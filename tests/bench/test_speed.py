"""From a start to its first line, and how many starts a second."""

from __future__ import annotations

import json
import os
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from websockets.sync.client import connect

from tests.bench.conftest import Note, Stacks
from tests.bench.measures import at, bare_call, bare_request, cpu, ms, seconds

STARTS, RUNS, LIMIT = 30, 300, 10


def test_start_to_first_line_at_a_follower(stacks: Stacks, note: Note) -> None:
    with stacks() as stack, httpx.Client(base_url=stack.url, headers=stack.auth, timeout=30) as http:

        def once() -> None:
            run = http.post("/task/speak/_start", json={"args": {}}).json()
            with connect(run["websocket_url"], compression=None) as socket:
                while not any(e["type"] == "line" for e in json.loads(socket.recv(20)).get("events", [])):
                    pass

        for _ in range(3):
            once()
        took = seconds(once, STARTS)
        request, call = bare_request(stack), bare_call(stack)
        note("a bare DynamoDB request, from a client with boto3", ms(request), "", "")
        note("a bare call of a warm worker, with boto3", ms(call), "", "")
        # start: API call, 3 requests; connect: call, 2 requests; follow: call, 3 requests - one after the other
        floor = f"{ms(3 * call + 8 * request)}: 3 calls and 8 requests, one after the other"
        note(f"start -> first line at a follower, fastest of {STARTS}", ms(took[0]), "", "")
        note(f"start -> first line at a follower, p50 of {STARTS}", ms(at(took, 0.5)), "100 ms", floor)
        note(f"start -> first line at a follower, p95 of {STARTS}", ms(at(took, 0.95)), "150 ms", "")


@pytest.mark.timeout(180)
def test_many_starts_under_a_limit(stacks: Stacks, note: Note) -> None:
    with stacks(TASK_MAX_CONCURRENT=str(LIMIT)) as stack:
        clients = [httpx.Client(base_url=stack.url, headers=stack.auth, timeout=60) for _ in range(8)]
        for client in clients:
            client.post("/task/short/_run", json={"args": {}})
        marker, before = stack.marker(), cpu(stack.tree())
        began = time.perf_counter()
        with ThreadPoolExecutor(len(clients)) as pool:
            answers = list(pool.map(lambda n: clients[n % 8].post("/task/short/_start", json={"args": {}}), range(RUNS)))
        started = time.perf_counter() - began
        assert {answer.status_code for answer in answers} == {202}
        listed = {"status": "completed", "limit": 500}
        while len(clients[0].get("/task/short/runs", params=listed).json()["runs"]) < RUNS + 8:
            assert time.perf_counter() - began < 120
            time.sleep(0.1)
        took = time.perf_counter() - began
        requests, used = stack.requests(marker)["total"], (cpu(stack.tree()) - before) / RUNS
        for client in clients:
            client.close()
    cores = len(os.sched_getaffinity(0))
    floor = f"at most {LIMIT / 0.05:.0f} by the limit, {cores / used:.0f} by the CPU time of {cores} free cores"
    note(f"{RUNS} starts of 50 ms under a limit of {LIMIT}", f"{RUNS / took:.1f} runs/s", "30 runs/s", floor)
    note("  until all starts were answered", f"{RUNS / started:.1f} starts/s", "", "")
    note("  CPU time for each run, cold starts among it", ms(used), "", "")
    note("  AWS requests for each run", f"{requests / RUNS:.1f}", "", "")
