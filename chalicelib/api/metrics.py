"""Route /metrics: what Prometheus and its like collect."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from chalicelib.api.http import Reply, Request
from chalicelib.domain.run import TERMINAL
from chalicelib.domain.timetable import has_schedule, next_fire
from chalicelib.engine.services import Services
from chalicelib.store.listing import active_runs
from chalicelib.store.semaphores import read_semaphores
from chalicelib.store.tasks import list_task_states

# Name -> what it says. Counters are of all runs ever, so they only grow.
COUNTERS = {
    "nightshift_runs": "Runs that have ended, by how",
    "nightshift_run_seconds": "Seconds that ended runs took, all together",
}
GAUGES = {
    "nightshift_active_runs": "Runs that are scheduled, queued or running",
    "nightshift_last_run_seconds": "Seconds that the last run took",
    "nightshift_last_success_timestamp_seconds": "When a run completed for the last time",
    "nightshift_next_run_timestamp_seconds": "When the task fires next",
    "nightshift_task_enabled": "1, or 0 of a disabled task",
    "nightshift_slots": "Slots that there are",
    "nightshift_slots_in_use": "Slots that runs hold",
}
Sample = tuple[str, dict[str, str], float]


def get_metrics(request: Request) -> Reply:
    """Every task's counters, what is active, and the slots in use. Five queries, however many tasks there are."""
    from prometheus_client import CollectorRegistry
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
    from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

    families: dict[str, Any] = {name: CounterMetricFamily(name, says) for name, says in COUNTERS.items()}
    families |= {name: GaugeMetricFamily(name, says) for name, says in GAUGES.items()}
    request.services.registry.refresh()
    for samples in (_of_tasks, _of_active_runs, _of_slots):
        for name, labels, value in samples(request.services):
            families[name].add_sample(f"{name}_total" if name in COUNTERS else name, labels, value)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Known(list(families.values())))
    return Reply(generate_latest(registry).decode(), headers={"Content-Type": CONTENT_TYPE_LATEST})


class _Known:
    """Metrics as they are now, as a registry wants them."""

    def __init__(self, families: list[Any]) -> None:
        self.families = families

    def collect(self) -> list[Any]:
        return self.families


def _of_tasks(services: Services) -> Iterator[Sample]:
    states, now = list_task_states(services.table), services.now()
    for task in services.registry.tasks().values():
        label = {"task": task.id}
        yield "nightshift_task_enabled", label, int(task.enabled)
        if task.enabled and has_schedule(task) and (fire := next_fire(task, services.settings.time_zone, now)):
            yield "nightshift_next_run_timestamp_seconds", label, fire.at / 1000
        state = states.get(task.id)
        for status in TERMINAL:
            yield "nightshift_runs", label | {"status": status}, getattr(state, status) if state else 0
        yield "nightshift_run_seconds", label, state.total_seconds if state else 0
        if state and state.last_seconds is not None:
            yield "nightshift_last_run_seconds", label, state.last_seconds
        if state and state.completed_at is not None:
            yield "nightshift_last_success_timestamp_seconds", label, state.completed_at / 1000


def _of_active_runs(services: Services) -> Iterator[Sample]:
    counts = Counter((task_id, str(status)) for _run, task_id, status in active_runs(services.table))
    for (task_id, status), count in counts.items():
        yield "nightshift_active_runs", {"task": task_id, "status": status}, count


def _of_slots(services: Services) -> Iterator[Sample]:
    for semaphore in read_semaphores(services.table):
        label = {"semaphore": semaphore.name}
        yield "nightshift_slots_in_use", label, semaphore.active
        yield "nightshift_slots", label, services.limit_of(semaphore.name)
