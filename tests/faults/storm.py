"""The processes of the storm: each with its own client and many threads, all at the same runs.

A thread does what a task's Lambda does (claim, work, close, hand on), with a few milliseconds of work. Messages are lost and doubled.
"""

from __future__ import annotations

import logging
import queue as queues
import random
import threading
import time
import uuid
from typing import Any

from chalicelib.domain.errors import FenceLostError
from chalicelib.domain.model import Catalog, CatalogTask, Pipeline, Step
from chalicelib.engine import starter, sweeper
from chalicelib.engine.ending import close, final_events
from chalicelib.engine.services import Services
from chalicelib.engine.slots import hand_on
from chalicelib.settings import Settings
from chalicelib.store import runs
from chalicelib.store.closing import Ending
from chalicelib.store.table import Table
from tests.support.dynamodb_local import connect

LIMIT, POOL = 50, 7
LOST, DOUBLED = 0.01, 0.03
LEASE_MS = 30_000
GRACE_MS = 8_000
TASKS = {
    "light": CatalogTask(id="light", pipeline="p", function="f"),
    "heavy": CatalogTask(id="heavy", pipeline="p", function="f", slots=5),
    "pooled": CatalogTask(id="pooled", pipeline="p", function="f", pool="pool", slots=2),
    "fifo": CatalogTask(id="fifo", pipeline="p", function="f", pool="fifo"),
}


class Stormy:
    """One process's services; its invokes go into the queue that all processes share."""

    def __init__(self, endpoint: str, table: str, inbox: Any, limit: int = LIMIT) -> None:
        self.inbox = inbox
        quiet = logging.getLogger("storm")
        quiet.disabled = True
        self.services = Services(
            table=Table(connect(endpoint), table),
            catalog=Catalog(tasks=TASKS, pipelines={"p": Pipeline(name="p", steps=[Step(processor="p")])}),
            settings=Settings(max_concurrent_tasks=limit, pools={"pool": POOL, "fifo": 3}),
            invoke=self.invoke,
            post=lambda connection, text: True,
            s3=lambda: None,
            log=quiet,
        )

    def invoke(self, function: str, payload: dict[str, Any]) -> None:
        luck = random.random()
        if luck < LOST:
            return
        self.inbox.put(payload)
        if luck > 1 - DOUBLED:
            self.inbox.put(payload)

    def work(self, message: dict[str, Any]) -> None:
        """What a task's function does."""
        services, claimant, now = self.services, uuid.uuid4().hex, self.services.now()
        run, mine = runs.claim(services.table, message["run_id"], message["attempt"], claimant, now, now + LEASE_MS)
        if not mine:
            if run.terminal:
                hand_on(services, run)
            return
        time.sleep(random.uniform(0, 0.02))
        at = services.now()
        try:
            close(services, run, Ending("completed", at, final_events(run, "completed", at, run.tail, None)), claimant)
        except FenceLostError:
            return
        hand_on(services, run)


def work_until_told(endpoint: str, table: str, inbox: Any, gate: Any, over: Any, threads: int, seed: int) -> None:
    """A process full of Lambdas; they begin when the gate opens."""
    random.seed(seed)
    stormy = Stormy(endpoint, table, inbox)

    def go_on() -> None:
        gate.wait()
        while not over.is_set():
            try:
                message = inbox.get(timeout=0.2)
            except queues.Empty:
                continue
            stormy.work(message)

    workers = [threading.Thread(target=go_on) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def start_many(endpoint: str, table: str, inbox: Any, tasks: list[str], seed: int) -> None:
    """A process that starts runs, some of which it stops again."""
    random.seed(seed)
    stormy = Stormy(endpoint, table, inbox)
    for task in tasks:
        run = starter.start(stormy.services, task, {})
        if task != "fifo" and random.random() < 0.03:
            starter.stop_quietly(stormy.services, run.id)


def sweep_until_told(endpoint: str, table: str, inbox: Any, over: Any) -> None:
    """The sweeper, more often than a minute, with a grace to match."""
    sweeper.GRACE_MS, sweeper.HAND_ON_GRACE_MS = GRACE_MS, GRACE_MS
    stormy = Stormy(endpoint, table, inbox)
    while not over.wait(1.0):
        sweeper.sweep(stormy.services)
