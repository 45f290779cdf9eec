"""A past for a stack that has just begun: fires that ran, failed or were skipped, with their runs, ledger and statistics."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable
from typing import Any

from chalicelib.domain.clock import iso
from chalicelib.domain.ids import run_id_of
from chalicelib.domain.model import Catalog, CatalogTask
from chalicelib.domain.run import RunRecord
from chalicelib.domain.stats import bucket_of
from chalicelib.domain.timetable import fires_between, has_schedule
from chalicelib.store.codec import encode_item, to_json
from chalicelib.store.records import run_item
from chalicelib.store.tasks import RECENT, recent_text
from infra.local.testing import LocalStack

TABLE = "nightshift-local"
DAY_MS = 86_400_000
ERROR = {"type": "ConnectionError", "message": "the other side hung up", "step": None, "traceback": None}


def past_fires(catalog: Catalog, zone: str, now: int, days: int, most: int) -> list[tuple[int, CatalogTask]]:
    """The newest fires of all tasks that have a schedule, oldest first."""
    found = []
    for task in catalog.tasks.values():
        if has_schedule(task):
            found += [(fire.at, task) for fire in fires_between(task, zone, now - days * DAY_MS, now - 60_000)]
    return sorted(found, key=lambda pair: pair[0])[-most:]


def seed(stack: LocalStack, fires: Iterable[tuple[int, CatalogTask]], now: int) -> list[str]:
    """Write what would be there had these fires ended as chance has it. The ids of the runs, oldest first."""
    chance = random.Random(7)
    items: list[dict[str, Any]] = []
    days: dict[tuple[str, str], dict[str, Any]] = {}
    tasks: dict[str, dict[str, Any]] = {}
    ids = []
    for at, task in fires:
        entry = {"pk": f"FIRES#{task.id}", "sk": f"{at:015d}", "outcome": "ran", "reason": "", "decided_at": at}
        if chance.random() < 0.02:
            items.append(entry | {"outcome": "skipped", "reason": "a run of it was still active"})
            continue
        usual = 0.4 * 3 ** (sum(map(ord, task.id)) % 7)
        seconds = round(usual * math.exp(chance.gauss(0, 0.4)), 3)
        status = "failed" if chance.random() < (0.25 if len(task.id) % 5 == 0 else 0.015) else "completed"
        started, ended = at + 120, at + 120 + round(seconds * 1000)
        if ended >= now:
            continue
        run = RunRecord(run_id_of(at, task.id), task.id, status, "schedule", at, started_at=started, finished_at=ended, fire_at=at)
        ids.append(run.id)
        error = {"error": to_json(ERROR)} if status == "failed" else {}
        items += [entry | {"run_id": run.id}, run_item(run) | error]
        day = days.setdefault((iso(ended)[:10], task.id), {})
        state = tasks.setdefault(task.id, {"recent": []})
        for counted in (day, state):
            for name, value in ((status, 1), ("runs", 1), ("total_seconds", seconds)):
                counted[name] = round(counted.get(name, 0) + value, 3)
        day[bucket_of(seconds)] = day.get(bucket_of(seconds), 0) + 1
        state["recent"] = [recent_text(status, seconds), *state["recent"]][:RECENT]
        state |= {"last_run_id": run.id, "last_status": status, "last_started_at": started, "last_seconds": seconds}
    items += [{"pk": f"STATS#{date}", "sk": task_id, **counts} for (date, task_id), counts in days.items()]
    for task_id, state in tasks.items():
        recent = {f"r{n}": text for n, text in enumerate(state.pop("recent"))}
        items.append({"pk": "TASK", "sk": task_id} | state | recent)
    client = stack.client("dynamodb")
    for start in range(0, len(items), 25):
        requests = [{"PutRequest": {"Item": encode_item(item)}} for item in items[start : start + 25]]
        client.batch_write_item(RequestItems={TABLE: requests})
    return ids
