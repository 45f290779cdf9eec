"""What it takes to do nothing."""

from __future__ import annotations

import time

import httpx
import pytest

from tests.bench.conftest import Note, Stacks
from tests.bench.measures import cpu, memory

SECONDS = 20.0


@pytest.mark.timeout(180)
def test_idle(stacks: Stacks, note: Note) -> None:
    with stacks() as stack:
        httpx.get(f"{stack.url}/tasks/", headers=stack.auth)
        while any(w["state"] != "idle" for w in stack.workers()):
            time.sleep(0.1)
        # one sweep a minute is part of being idle, but measured apart: twenty seconds hold one or none
        until_minute = 60 - time.time() % 60
        if until_minute < SECONDS + 2:
            time.sleep(until_minute + 2)
        tree = stack.tree()
        before, began = cpu(tree), time.perf_counter()
        time.sleep(SECONDS)
        used = cpu(tree) - before
        took = memory(tree)
        main, server, *workers = tree
        parts = f"{memory([main]):.0f} main, {memory([server]):.0f} fork server, {memory(workers):.0f} in {len(workers)} workers"
        before = cpu(tree)
        minute = time.strftime("%Y-%m-%dT%H:%M:00Z", time.gmtime())
        stack.tick(minute)
        time.sleep(2.0)
        sweep = cpu(stack.tree()) - before
    note(f"idle memory (PSS); after {time.perf_counter() - began:.0f} s", f"{took:.0f} MB", "250 MB", parts)
    note(f"idle CPU over {SECONDS:.0f} s", f"{used:.2f} s", "0.2 s", "0")
    note("  and the sweep of each minute", f"{sweep:.2f} s", "", "")
