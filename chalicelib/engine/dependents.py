"""Dependencies: a task starts once all it depends on have succeeded since its last start.

The run's id follows from the runs that caused it: whoever finds the condition true makes the same run, so it is started once.
"""

from __future__ import annotations

from chalicelib.domain.ids import run_id_of
from chalicelib.domain.model import CatalogTask
from chalicelib.domain.run import RunRecord
from chalicelib.engine.services import Services
from chalicelib.engine.slots import admit
from chalicelib.engine.starter import new_run
from chalicelib.store import runs
from chalicelib.store.listing import latest_run_at
from chalicelib.store.tasks import TaskState, get_task_states


def start_dependents(services: Services, task_id: str) -> list[str]:
    """A run of this task succeeded: start what waited for it. The ids of the runs."""
    waiting = [t for t in services.catalog.tasks.values() if task_id in t.depends_on]
    return [run.id for task in waiting if (run := _start_if_due(services, task)) is not None]


def start_all_due(services: Services) -> list[str]:
    """What a crash between an end and its dependents left; also tasks made at run time."""
    waiting = [t for t in services.registry.tasks().values() if t.depends_on]
    return [run.id for task in waiting if (run := _start_if_due(services, task)) is not None]


def _start_if_due(services: Services, task: CatalogTask) -> RunRecord | None:
    task = services.registry.known(task.id) or task
    if not task.enabled or services.registry.paused(task):
        return None
    states = get_task_states(services.table, task.depends_on)
    causes = [states.get(upstream, TaskState()) for upstream in task.depends_on]
    if any(c.completed_at is None or c.completed_run is None for c in causes):
        return None
    last = latest_run_at(services.table, task.id)
    if any((c.completed_at or 0) <= last for c in causes):
        return None
    caused_by = sorted(c.completed_run or "" for c in causes)
    at = max(c.completed_at or 0 for c in causes)
    run = new_run(services, task, {}, "dependency", run_id=run_id_of(at, task.id, *caused_by), caused_by=caused_by)
    there = runs.put_new_run(services.table, run)
    if there.touched_at == run.touched_at and there.status == "queued":
        admit(services, run)
    return run
