"""A world with a clock of its own: services over a table, whose invokes are noted, not sent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from chalicelib.domain.clock import parse_iso
from chalicelib.domain.model import Catalog
from chalicelib.domain.run import RunRecord
from chalicelib.engine.ending import close, final_events
from chalicelib.engine.services import Services
from chalicelib.engine.slots import hand_on
from chalicelib.settings import Settings
from chalicelib.store import runs
from chalicelib.store.closing import Ending
from chalicelib.store.table import Table

MONDAY = parse_iso("2026-01-05T00:00:00Z")
MINUTE, HOUR = 60_000, 3_600_000


class World:
    """Tasks by id (`{"schedule": "0 * * * *"}`) on a table; `now` is moved by hand."""

    def __init__(self, client: Any, name: str, tasks: dict[str, dict[str, Any]], **settings: Any) -> None:
        self.now = MONDAY
        self.invoked: list[tuple[str, int]] = []
        self.table = Table(client, name)
        self.settings = Settings(**settings)
        self.services = self.services_with(tasks)

    def services_with(self, tasks: dict[str, dict[str, Any]]) -> Services:
        """Another process's services over the same table, with a catalog of its own."""
        compiled = {i: {"id": i, "pipeline": "p", "function": f"task_{i}"} | t for i, t in tasks.items()}
        catalog = Catalog.model_validate(
            {
                "digest": str(hash(str(tasks))),
                "tasks": compiled,
                "pipelines": {"p": {"name": "p", "steps": [{"processor": "echo"}]}},
            }
        )
        return Services(
            table=self.table,
            catalog=catalog,
            settings=self.settings,
            invoke=lambda function, payload: self.invoked.append((payload["run_id"], payload["attempt"])),
            post=lambda connection, text: True,
            s3=lambda: None,
            now=lambda: self.now,
        )

    def claim(self, run_id: str) -> RunRecord:
        """The run's Lambda begins."""
        run, mine = runs.claim(self.table, run_id, 1, "test", self.now, self.now + HOUR)
        assert mine
        return run

    def finish(self, run: RunRecord, status: Any = "completed") -> None:
        """The run ends, and hands its slots on."""
        from chalicelib.engine.dependents import start_dependents

        events = final_events(run, status, self.now, run.tail, None)
        close(self.services, run, Ending(status, self.now, events), "test")
        hand_on(self.services, run)
        if status == "completed":
            start_dependents(self.services, run.task_id)

    def live(self, task_id: str) -> list[RunRecord]:
        """The task's runs, oldest first."""
        from chalicelib.store.listing import list_runs

        return list_runs(self.table, task_id=task_id, limit=500)[0][::-1]


MakeWorld = Callable[..., World]


@pytest.fixture
def world(moto_table: Any) -> MakeWorld:
    """Makes a world on moto."""
    return lambda tasks, **settings: World(*moto_table, tasks, **settings)


@pytest.fixture
def atomic_world(local_table: Any) -> MakeWorld:
    """Makes a world on DynamoDB Local."""
    return lambda tasks, **settings: World(*local_table, tasks, **settings)
