"""Many processes at once on DynamoDB Local: never over the limit at any moment, all ends, nothing is left, first come first served."""

from __future__ import annotations

import multiprocessing
import random
import time
from typing import Any

import pytest

from chalicelib.store.listing import list_runs
from chalicelib.store.queue import waiting
from chalicelib.store.semaphores import read_semaphores
from chalicelib.store.table import Table
from tests.faults import storm
from tests.support.dynamodb_local import connect

WORKERS, THREADS, STARTERS = 2, 24, 2
SPAWN = multiprocessing.get_context("spawn")


def all_runs(table: Table) -> list[Any]:
    found, cursor = [], None
    while True:
        page, cursor = list_runs(table, limit=100, cursor=cursor)
        found += page
        if cursor is None:
            return found


def overtaken(order: list[str], started: list[str]) -> int:
    """By how many that came later anybody was overtaken, at most."""
    place = {run: n for n, run in enumerate(order)}
    return max(sum(place[other] > place[run] for other in started[: started.index(run)]) for run in order)


def rage(endpoint: str, name: str, count: int, seconds: float, seed: int) -> None:
    random.seed(seed)
    table = Table(connect(endpoint), name)
    inbox, gate, over = SPAWN.Queue(), SPAWN.Event(), SPAWN.Event()
    limits = {"global": storm.LIMIT, "pool:pool": storm.POOL, "pool:fifo": 3}
    others = [random.choice(["light", "light", "light", "heavy", "pooled"]) for _ in range(count * 4 // 5)]
    lots = [others[n::STARTERS] for n in range(STARTERS)] + [["fifo"] * (count - len(others))]
    processes = [
        SPAWN.Process(target=storm.work_until_told, args=(endpoint, name, inbox, gate, over, THREADS, seed + n), daemon=True)
        for n in range(WORKERS)
    ]
    processes.append(SPAWN.Process(target=storm.sweep_until_told, args=(endpoint, name, inbox, over), daemon=True))
    starters = [
        SPAWN.Process(target=storm.start_many, args=(endpoint, name, inbox, lot, seed + 100 + n), daemon=True)
        for n, lot in enumerate(lots)
    ]
    began = time.monotonic()
    for process in [*processes, *starters]:
        process.start()
    audits, most = 0, 0
    try:
        while True:
            assert time.monotonic() - began < seconds, "it does not end"
            semaphores = read_semaphores(table)
            for semaphore in semaphores:
                audits += 1
                assert semaphore.active == sum(h["slots"] for h in semaphore.holders.values()), semaphore
                assert semaphore.active <= limits[semaphore.name], semaphore
                most = max(most, semaphore.active)
            if most > storm.LIMIT - 5 or not any(p.is_alive() for p in starters):
                gate.set()  # all slots are taken, and a queue has begun
            if not any(p.is_alive() for p in starters) and not any(s.holders for s in semaphores):
                found = all_runs(table)
                if len(found) == count and all(run.terminal for run in found):
                    break
            time.sleep(0.01)
    finally:
        gate.set()
        over.set()
        for process in [*processes, *starters]:
            process.join(20)
            if process.is_alive():
                process.kill()
    took = time.monotonic() - began
    print(
        f"{count} runs in {took:.0f} s, {count / took:.0f} a second; {audits} audits; at most {most} slots of {storm.LIMIT} taken"
    )
    assert all(p.exitcode == 0 for p in starters)
    assert [list(waiting(table, name)) for name in limits] == [[], [], []]
    assert {run.status for run in found} <= {"completed", "stopped"}
    fifo = sorted((r for r in found if r.task_id == "fifo"), key=lambda r: r.created_at)
    retried = [r for r in fifo if r.started_at - r.created_at > storm.GRACE_MS and r.attempt == 1]
    order = [r.id for r in fifo if r not in retried]
    started = [r.id for r in sorted(fifo, key=lambda r: r.started_at) if r not in retried]
    # Who got a slot in order may still be overtaken on the way to its Lambda, by those that are on their way too.
    assert overtaken(order, started) <= WORKERS * THREADS


@pytest.mark.timeout(180)
def test_a_storm(dynamodb_local: str, local_table: Any) -> None:
    rage(dynamodb_local, local_table.name, count=300, seconds=120, seed=1)


@pytest.mark.proof
@pytest.mark.timeout(1800)
def test_a_long_storm(dynamodb_local: str, local_table: Any) -> None:
    rage(dynamodb_local, local_table.name, count=10_000, seconds=1700, seed=2)
