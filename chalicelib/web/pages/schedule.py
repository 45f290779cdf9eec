"""The timetable: a week, or one day of it, with what became of past fires and where slots run out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from chalicelib.api.http import Reply
from chalicelib.api.schedule import conflict_view, conflicts_among, fires_of, pause_all, resume_all
from chalicelib.domain.conflicts import Conflict
from chalicelib.domain.errors import FieldError, InvalidRequestError
from chalicelib.domain.ids import instant_of, run_id_of
from chalicelib.domain.timetable import Fire, has_schedule
from chalicelib.domain.zones import zone_of
from chalicelib.engine.services import Services
from chalicelib.store.listing import run_ids_between, run_outcomes
from chalicelib.store.statistics import read_tasks_days
from chalicelib.store.tasks import list_task_states
from chalicelib.store.timetable import fires_recorded
from chalicelib.web.calendar import OFTEN_SHOWN, Entry, Row, day_begins, entry_view, grid, split, week_of
from chalicelib.web.forms import read_form
from chalicelib.web.pause import pause_shown
from chalicelib.web.visit import View, Visit, redirect

LOOKED_UP = 300  # past fires whose outcome is asked for: three batches of runs, three of the ledger
FAILURES = 500  # of a week: one query, so that they are seen first
CONFLICTS = 8  # listed below the calendar
JUST_NOW_MS = 120_000  # a fire that is in no ledger yet may still come
KEPT_WEEKS = 3
EVERY_MINUTE = 7 * 24 * 60 + 60  # fires of a week
ALL_FIRES = 40_000  # worked out in full; of what comes then, a few per task
FEW = 100

BACK = {"schedule": "/admin/schedule", "tasks": "/admin/task"}

_weeks: dict[tuple[str, int, int], dict[str, list[Fire]]] = {}  # working out a week of a thousand tasks takes a while
_tight: dict[tuple[str, str, int, int, int], list[Conflict]] = {}


def show(visit: Visit) -> View:
    """`?week=` and `?day=` are dates, `?task=` one task's id. JSON: what the page shows."""
    services = visit.services
    zone = zone_of(services.settings.time_zone)
    now = services.now()
    today = datetime.fromtimestamp(now / 1000, zone).date()
    chosen_day = _date(visit, "day")
    week = week_of(chosen_day or _date(visit, "week") or today)
    days = [chosen_day] if chosen_day else week
    begin, end = day_begins(days[0], zone), day_begins(days[-1] + timedelta(days=1), zone)
    chosen = visit.request.query.get("task", "")
    services.registry.refresh()  # whoever has just paused everything sees that
    tasks = services.registry.tasks()
    if chosen:
        services.registry.task(chosen)
    fires = _fires(services, begin, end)
    over = _conflicts(services, fires, begin, end, now)
    wanted = {chosen: fires.get(chosen, [])} if chosen else fires
    rare, often = split(wanted, zone)
    lines = _often(services, often, days, today)
    tight = {task_id: [c for c in over if task_id in c.tasks] for c in over for task_id in c.tasks}
    rows = grid(
        days, rare, zone, now, failed=_failed(services, rare, begin, end),
        over=lambda task_id, at: any(c.begins <= at <= c.ends for c in tight.get(task_id, ())),
        resolve=lambda entries: _resolve(services, entries, now),
    )  # fmt: skip
    data = {
        "week": week[0].isoformat(),
        "day": chosen_day.isoformat() if chosen_day else None,
        "time_zone": services.settings.time_zone,
        "task_id": chosen or None,
        "days": _days_view(days, rows),
        "often": lines,
        "conflicts": [conflict_view(c) for c in over if not chosen or chosen in c.tasks],
    }
    extra: dict[str, Any] = {
        "columns": [_column(day, today) for day in days],
        "tabs": [_column(day, today) for day in week],
        "shown_day": chosen_day or (today if today in week else week[0]),
        "rows": rows,
        "zone": zone,
        "titles": {task_id: task.title for task_id, task in sorted(tasks.items(), key=lambda t: t[1].title.lower())},
        "scheduled": {task_id: task.title for task_id, task in tasks.items() if has_schedule(task)},
        "before": (week[0] - timedelta(days=7)).isoformat(),
        "after": (week[0] + timedelta(days=7)).isoformat(),
        "this_week": today in week,
        "all_paused": pause_shown(services),
        "often_more": max(0, len(often) - OFTEN_SHOWN),
        "busiest": data["conflicts"][:CONFLICTS],  # type: ignore[index]
        "anything": bool(lines) or any(not row.blank for row in rows),
    }
    return View("schedule.html", data, extra)


def pause(visit: Visit) -> Reply:
    """Pause or resume all tasks: the field `paused` says which. Back to the page that asked."""
    form = read_form(visit.request)
    change = pause_all if form.text("paused") == "true" else resume_all
    reply = change(visit.request)
    return reply if visit.wants_json else redirect(visit, BACK.get(form.text("back"), BACK["schedule"]))


def _date(visit: Visit, name: str) -> date | None:
    text = visit.request.query.get(name)
    if not text:
        return None
    try:
        found = date.fromisoformat(text)
        if not 1971 <= found.year <= 2190:
            raise ValueError
    except ValueError:
        says = f"has to be a date like 2026-01-31, not '{text}'"
        raise InvalidRequestError(f"{name} {says}", [FieldError(name, says)]) from None
    return found


def _fires(services: Services, begin: int, end: int) -> dict[str, list[Fire]]:
    """Every task's fires between two instants, also of what is switched off: its past ones are in the ledger."""
    key = (services.registry.version, begin, end)
    if key not in _weeks:
        while len(_weeks) >= KEPT_WEEKS:
            _weeks.pop(next(iter(_weeks)))
        found: dict[str, list[Fire]] = {}
        left = ALL_FIRES
        for task in services.registry.tasks().values():
            if has_schedule(task):
                found[task.id] = fires_of(services, task, begin, end, max(FEW, min(left, EVERY_MINUTE)))
                left -= len(found[task.id])
        _weeks[key] = found
    return _weeks[key]


def _conflicts(services: Services, fires: dict[str, list[Fire]], begin: int, end: int, now: int) -> list[Conflict]:
    """Where the fires to come need more slots than there are; for a minute it is what it was."""
    key = (services.table.name, services.registry.version, begin, end, now // 60_000)
    if key not in _tight:
        while len(_tight) >= KEPT_WEEKS:
            _tight.pop(next(iter(_tight)))
        tasks = [task for task in services.registry.tasks().values() if task.enabled and task.id in fires]
        coming = {task.id: [f for f in fires[task.id] if f.at >= now] for task in tasks}
        found = conflicts_among(services, tasks, coming, list_task_states(services.table)) if any(coming.values()) else []
        _tight[key] = [conflict for conflict in found if conflict.over]
    return _tight[key]


def _failed(services: Services, fires: dict[str, Sequence[Fire]], begin: int, end: int) -> set[tuple[str, int]]:
    """(task id, instant) of the fires whose run failed."""
    ids = set(run_ids_between(services.table, "failed", begin, end, FAILURES))
    instants = {instant_of(run_id) for run_id in ids}
    wanted = ((task_id, fire.at) for task_id, mine in fires.items() for fire in mine if fire.at in instants)
    return {(task_id, at) for task_id, at in wanted if run_id_of(at, task_id) in ids}


def _resolve(services: Services, entries: list[Entry], now: int) -> Collection[int]:
    """What became of past fires: their runs say it, and the ledger of those that made none. Those in neither never were."""
    disabled = {task.id for task in services.registry.tasks().values() if not task.enabled}
    gone = {id(e) for e in entries if e.at[0] > now and e.task_id in disabled}
    past = [e for e in entries if e.at[0] <= now][-LOOKED_UP:]
    runs = {run_id_of(e.told, e.task_id): e for e in past}
    statuses = run_outcomes(services.table, list(runs))
    rest = []
    for run_id, entry in runs.items():
        entry.skipped = None  # whether it was skipped says the ledger, not today's definition
        if run_id in statuses:
            entry.run_id = run_id
            entry.state = entry.state or statuses[run_id]
        else:
            rest.append(entry)
    ledger = fires_recorded(services.table, [(e.task_id, e.told) for e in rest])
    for entry in rest:
        record = ledger.get((entry.task_id, entry.told))
        if record:
            entry.state, entry.reason = record["outcome"], record.get("reason", "")
        elif now - entry.told < JUST_NOW_MS and entry.task_id not in disabled:
            entry.state = "due"
        else:
            gone.add(id(entry))
    return gone


def _often(services: Services, often: dict[str, Counter[date]], days: Sequence[date], today: date) -> list[dict[str, Any]]:
    """Tasks that fire often: per day how many fires, and of past days how many runs ended how."""
    enabled = {task.id for task in services.registry.tasks().values() if task.enabled}
    shown = sorted(often, key=lambda task_id: (-sum(often[task_id].values()), task_id))[:OFTEN_SHOWN]
    past = [day.isoformat() for day in days if day <= today]
    tallies = read_tasks_days(services.table, past, shown) if past and shown else {}
    found = []
    for task_id in shown:
        line = []
        for day in days:
            tally = tallies.get((day.isoformat(), task_id))
            line.append(
                {
                    "date": day.isoformat(),
                    "fires": often[task_id][day] if tally or task_id in enabled else 0,
                    "runs": tally.runs if tally else 0,
                    "failed": tally.failed if tally else 0,
                    "past": day <= today,
                }
            )
        if any(one["fires"] for one in line):
            found.append({"task_id": task_id, "days": line})
    return found


def _days_view(days: Sequence[date], rows: Sequence[Row]) -> list[dict[str, Any]]:
    found = []
    for place, day in enumerate(days):
        cells = [row.cells[place] for row in rows]
        entries = [entry_view(entry) for cell in cells for entry in cell.entries]
        found.append({"date": day.isoformat(), "fires": entries, "more": sum(cell.more for cell in cells)})
    return found


def _column(day: date, today: date) -> dict[str, Any]:
    return {"date": day, "name": day.strftime("%a"), "number": day.day, "today": day == today}
