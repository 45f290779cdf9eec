"""Keeps the timetable in step with the tasks: when each is due next, and the cadence rules that wake the dispatcher."""

from __future__ import annotations

import hashlib
import uuid

from chalicelib.domain import timetable as rules_of_time
from chalicelib.domain.model import CatalogTask
from chalicelib.engine.services import Services
from chalicelib.store import timetable as plans
from chalicelib.store.codec import to_json

SCHEDULE_FIELDS = ("schedule", "every", "at", "time_zone", "start", "end", "spread")
TRIES = 5


def spec_of(services: Services, task: CatalogTask) -> str:
    """What a task's fires depend on, short. Nothing for a task that has none."""
    if not task.enabled or not rules_of_time.has_schedule(task):
        return ""
    values = {name: getattr(task, name) for name in SCHEDULE_FIELDS} | {"zone": services.settings.time_zone}
    return hashlib.sha256(to_json(values).encode()).hexdigest()[:16]


def plan_task(services: Services, task_id: str) -> None:
    """Put one task's next fire into the timetable, if its schedule is not what it was planned for."""
    task = services.registry.tasks().get(task_id)
    for _try in range(TRIES):
        plan = plans.get_plan(services.table, task_id)
        if _planned(services, task_id, task, plan):
            return


def sync_timetable(services: Services) -> None:
    """Plan every task, make the rules."""
    from chalicelib.domain.cadence import rules_for
    from chalicelib.engine.rules import CadenceRules

    services.registry.refresh()
    tasks = services.registry.tasks()
    known = plans.list_plans(services.table)
    for task_id in sorted({*tasks, *known}):
        if not _planned(services, task_id, tasks.get(task_id), known.get(task_id)):
            plan_task(services, task_id)
    if services.clients is not None:
        rules = CadenceRules(services.clients, services.settings.function_prefix)
        rules(rules_for(list(tasks.values()), services.settings.time_zone))


def _planned(services: Services, task_id: str, task: CatalogTask | None, plan: plans.Plan | None) -> bool:
    """Whether the plan is right now. False: somebody else changed it at the same moment."""
    spec = spec_of(services, task) if task else ""
    if not spec:
        if plan is not None:
            plans.drop_plan(services.table, task_id)
        return True
    if plan is not None and plan.spec == spec:
        return True  # its next fire stands, even when it is overdue: what was missed is the dispatcher's to decide
    assert task is not None
    fire = rules_of_time.next_fire(task, services.settings.time_zone, services.now())
    seen = plan.planned if plan else ""
    return plans.put_plan(services.table, task_id, spec, fire.at if fire else None, uuid.uuid4().hex, seen)
