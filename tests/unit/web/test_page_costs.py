"""A page costs the same few requests however much there is, and neither time nor bytes get out of hand."""

from __future__ import annotations

import gzip
import time
from collections import Counter
from typing import Any

import pytest

from chalicelib.domain.clock import iso
from chalicelib.domain.ids import run_id_of
from chalicelib.domain.model import Catalog
from chalicelib.domain.run import RunRecord
from chalicelib.domain.stats import bucket_of
from chalicelib.engine.services import Services
from chalicelib.store.codec import encode_item
from chalicelib.store.records import run_item
from chalicelib.store.table import Table
from chalicelib.store.tasks import recent_text
from tests.unit.web.conftest import Ask, task

FEW, MANY = 5, 120
RUNS = 220
SECONDS = 1.5  # of processor time, moto's included; what is promised is measured on the stack
BYTES = 150_000  # compressed

PAGES: list[tuple[str, dict[str, str], dict[str, str], int]] = [
    ("/admin/task", {}, {}, 6),
    ("/admin/task", {}, {"all": "1"}, 6),
    ("/admin/task/{key}", {"key": "t1"}, {}, 10),
    ("/admin/task/{key}", {"key": "t1"}, {"status": "failed", "since": "week"}, 10),
    ("/admin/runs", {}, {}, 3),
    ("/admin/schedule", {}, {}, 14),
    ("/admin/schedule", {}, {"day": "today"}, 14),
    ("/admin/stats", {}, {"days": "30"}, 9),
    ("/admin/stats", {}, {"days": "30", "task": "t1"}, 3),
]


class Counting:
    """A client that counts its requests."""

    def __init__(self, client: Any) -> None:
        self.client, self.counts = client, Counter[str]()

    def __getattr__(self, name: str) -> Any:
        self.counts[name] += 1
        return getattr(self.client, name)


def fill(services: Services, tasks: int) -> None:
    """So many daily tasks, each with its counters, the newest runs, and statistics of a month."""
    now = services.now()
    known = {f"t{n}": task(id=f"t{n}", title=f"Task {n}", schedule=f"{n % 60} {n % 24} * * *", category=f"c{n % 9}",
                           depends_on=[f"t{n - 1}"] if n % 3 == 1 else []) for n in range(tasks)}  # fmt: skip
    pipelines = services.catalog.model_dump()["pipelines"]
    services.catalog = Catalog.model_validate({"digest": str(tasks), "pipelines": pipelines, "tasks": known})
    recent = {f"r{n}": recent_text("completed", 1 + n) for n in range(20)}
    items: list[dict[str, Any]] = [
        {"pk": "TASK", "sk": name, "runs": 20, "completed": 20, "total_seconds": 99.5, "last_status": "completed",
         "last_seconds": 1.5, "last_started_at": now, "last_run_id": run_id_of(now, "x"), **(recent if n < 20 else {})} for n, name in enumerate(known)
    ]  # fmt: skip
    for n in range(RUNS if tasks > FEW else FEW):
        at = now - n * 60_000
        run = RunRecord(
            run_id_of(at, str(n)), f"t{n % tasks}", "failed" if n % 9 == 0 else "completed", "schedule", at, started_at=at
        )
        items.append(run_item(run) | {"finished_at": at + 5000})
    for back in range(30):
        day = iso(now - back * 86_400_000)[:10]
        items += [{"pk": f"STATS#{day}", "sk": name, "completed": 3, "total_seconds": 3, bucket_of(1): 3} for name in [*known][:4]]
    client = services.table.client
    for start in range(0, len(items), 25):
        requests = [{"PutRequest": {"Item": encode_item(item)}} for item in items[start : start + 25]]
        client.batch_write_item(RequestItems={services.table.name: requests})


@pytest.fixture
def measured(services: Services, ask: Ask) -> Any:
    """Asks for every page, twice; requests, seconds and compressed bytes of the second time."""

    def measure() -> dict[str, tuple[int, float, int]]:
        counting = Counting(services.table.client)
        services.table = Table(counting, services.table.name)
        today = iso(services.now())[:10]
        found = {}
        for resource, params, query, _most in PAGES:
            wanted = {k: today if v == "today" else v for k, v in query.items()}
            ask("GET", resource, params, query=wanted)
            counting.counts.clear()
            services.registry._read_at = 0
            began = time.process_time()
            reply = ask("GET", resource, params, query=wanted)
            took = time.process_time() - began
            assert reply.status == 200
            found[f"{resource} {query}"] = (counting.counts.total(), took, len(gzip.compress(reply.body.encode(), 6)))
        services.table = Table(counting.client, services.table.name)
        return found

    return measure


def test_requests_do_not_grow_with_tasks_and_runs(services: Services, measured: Any) -> None:
    fill(services, FEW)
    few = measured()
    fill(services, MANY)
    many = measured()
    for (name, (requests, seconds, size)), page in zip(many.items(), PAGES, strict=True):
        print(f"{name:70} {few[name][0]:3} {requests:3} requests {1000 * seconds:6.0f} ms {size / 1000:6.1f} kB")
        assert requests <= page[3], f"{name}: {requests} requests"
        assert seconds < SECONDS, name
        assert size < BYTES, name
