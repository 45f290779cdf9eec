"""Ten thousand tasks of which some are due at once, on the laptop's own store. Prints what a dispatch did, as JSON.

A program of its own: that store changes moto for the whole process.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

from chalicelib.engine.dispatcher import dispatch
from chalicelib.engine.timetable import spec_of
from chalicelib.store import timetable as plans
from infra.local.memory import MemoryDynamoDB
from tests.unit.timetable.conftest import HOUR, MONDAY, World

TASKS, DUE = 10_000, 500
TEMPLATE = Path(__file__).parents[3] / "infra" / "resources.yaml"


class CountingClient:
    """Counts requests by operation."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.asked: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        self.asked[name] += 1
        return getattr(self.client, name)


def main() -> None:
    memory = MemoryDynamoDB()
    client = CountingClient(memory)
    tasks = {f"t{n}": {"schedule": "0 1 * * *" if n < DUE else "0 13 * * *"} for n in range(TASKS)}
    world = World(client, memory.create_table(TEMPLATE, "many"), tasks, max_concurrent_tasks=100)
    for n, task in enumerate(world.services.catalog.tasks.values()):
        due = MONDAY + HOUR if n < DUE else MONDAY + 13 * HOUR
        plans.put_plan(world.table, task.id, spec_of(world.services, task), due, "planned", "")
    client.asked.clear()
    idle = {"outcome": dispatch(world.services), "asked": dict(client.asked)}
    client.asked.clear()
    world.now = MONDAY + HOUR
    began = time.monotonic()
    outcome = dispatch(world.services)
    took = time.monotonic() - began
    busy = {"outcome": outcome, "asked": client.asked, "seconds": took, "invoked": len(world.invoked)}
    print(json.dumps({"idle": idle, "busy": busy}))


if __name__ == "__main__":
    main()
