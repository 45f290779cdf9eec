"""Turns fires into runs. Woken by cadence rules, and by the sweeper for what a lost wake-up left.

Each fire of each task ends in the ledger exactly once: as ran, skipped or missed, with its reason. What is decided before a fire's
transaction may be decided twice; only one decision is written.
"""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from chalicelib.domain import timetable as rules_of_time
from chalicelib.domain.clock import iso
from chalicelib.domain.errors import RateLimitedError, UnknownTaskError
from chalicelib.domain.ids import run_id_of
from chalicelib.domain.model import CatalogTask
from chalicelib.domain.timetable import Fire
from chalicelib.engine import starter
from chalicelib.engine.rates import check_rates
from chalicelib.engine.services import Services
from chalicelib.engine.slots import admit
from chalicelib.engine.timetable import spec_of
from chalicelib.store import semaphores
from chalicelib.store import timetable as plans
from chalicelib.store.listing import active_runs
from chalicelib.store.records import moment, run_of
from chalicelib.store.timetable import Due, Outcome

AT_A_TIME = 1_000
THREADS = 8
ON_TIME_MS = 5 * 60_000  # a fire that is taken later than this is a missed one for `catch_up: none`
MOST_MISSED = 2_000  # fires of one task that one dispatch goes through; the next goes on


def dispatch(services: Services) -> Counter[str]:
    """Everything that is due; what became of it, counted."""
    done: Counter[str] = Counter()
    due = list(plans.due_until(services.table, services.now(), AT_A_TIME))
    if not due:
        return done
    services.registry.tasks()  # read what changed once, not in each thread
    if len(due) == 1:
        done.update(_take(services, due[0]))
        return done
    with ThreadPoolExecutor(min(THREADS, len(due))) as threads:
        for outcomes in threads.map(lambda d: _take(services, d), due):
            done.update(outcomes)
    return done


def _take(services: Services, due: Due) -> list[str]:
    try:
        if due.run_id is not None:
            return [_wake(services, due.run_id)]
        assert due.task_id is not None
        return _take_fires(services, due.task_id, due.at)
    except Exception:
        # One task's trouble is not the others': it stays due, and the next dispatch tries again.
        services.log.exception("a fire could not be taken", extra={"task_id": due.task_id, "run_id": due.run_id})
        return ["trouble"]


def _wake(services: Services, run_id: str) -> str:
    """A run that was asked for at an instant."""
    now = services.now()
    item = plans.wake_run(services.table, run_id, now, moment(now, "queued", 1))
    if item is None:
        return "taken_elsewhere"
    admit(services, run_of(item))
    return "woken"


def _take_fires(services: Services, task_id: str, first: int) -> list[str]:
    """All overdue fires of a task, in order, up to now."""
    now = services.now()
    try:
        task = services.registry.task(task_id)
    except UnknownTaskError:
        plans.drop_plan(services.table, task_id)
        return ["dropped"]
    if not spec_of(services, task):
        plans.drop_plan(services.table, task_id)
        return ["dropped"]
    zone = services.settings.time_zone
    # The fire at hand is read from the timetable like those after it; a schedule that changed at this very moment may not know it.
    known = rules_of_time.next_fire(task, zone, first - 1)
    overdue = [known if known is not None and known.at == first else Fire(first, None)]
    following = rules_of_time.next_fire(task, zone, first)
    while following is not None and following.at <= now and len(overdue) < MOST_MISSED:
        overdue.append(following)
        following = rules_of_time.next_fire(task, zone, following.at)
    complete = following is None or following.at > now
    outcomes: list[str] = []
    for position, fire in enumerate(overdue):
        behind = len(overdue) - 1 - position if complete else MOST_MISSED
        after = overdue[position + 1] if position + 1 < len(overdue) else following
        outcome = _take_fire(services, task, fire, after.at if after else None, behind)
        if outcome is None:
            return [*outcomes, "taken_elsewhere"]
        outcomes.append(outcome)
    return outcomes


def _take_fire(services: Services, task: CatalogTask, fire: Fire, following: int | None, behind: int) -> str | None:
    """One fire, `behind` of its task's being overdue after it. None: another dispatcher took it."""
    outcome, reason = _decide(services, task, fire, behind)
    now = services.now()
    if outcome != "ran":
        return outcome if plans.record_fire(services.table, task.id, fire.at, following, outcome, reason, now) else None
    if task.overlap == "replace":
        for run_id in _at_work(services, task.id):
            starter.stop_quietly(services, run_id)
    run = starter.new_run(services, task, {}, "schedule", run_id=run_id_of(fire.at, task.id), fire_at=fire.at)
    if not plans.record_fire(services.table, task.id, fire.at, following, "ran", reason, now, run):
        return None
    admit(services, run)
    return "ran"


def _decide(services: Services, task: CatalogTask, fire: Fire, behind: int) -> tuple[Outcome, str]:
    late = services.now() - fire.at
    if services.registry.paused(task):
        return "skipped", "paused"
    if fire.blackout:
        return "skipped", f"blackout: {fire.blackout}"
    if behind:
        if task.catch_up == "none":
            return "missed", "nobody took it in time, and catch_up is none"
        if task.catch_up == "latest":
            return "missed", "nobody took it in time; a later fire stands for it"
        if behind >= task.catch_up_limit:
            return "missed", f"nobody took it in time, and only the latest {task.catch_up_limit} are caught up with"
    elif task.catch_up == "none" and late > ON_TIME_MS:
        return "missed", "nobody took it in time, and catch_up is none"
    if task.overlap == "skip" and _is_active(services, task):
        return "skipped", "overlap: the run before is still active"
    try:
        check_rates(services, task, run_id_of(fire.at, task.id))
    except RateLimitedError as error:
        return "skipped", f"rate limited: {error.message}"
    return "ran", "" if late <= ON_TIME_MS else f"caught up, {iso(services.now())}"


def _is_active(services: Services, task: CatalogTask) -> bool:
    """Whether the task's own semaphore is taken, which is never out of date; or a run waits before it."""
    return bool(semaphores.read_semaphore(services.table, f"task:{task.id}").holders or _at_work(services, task.id))


def _at_work(services: Services, task_id: str) -> list[str]:
    """A task's queued and running runs; one that was asked for at a later instant is in nobody's way yet."""
    return [run_id for run_id, _task, status in active_runs(services.table, task_id) if status != "scheduled"]
