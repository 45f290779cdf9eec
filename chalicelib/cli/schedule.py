"""`next`, `simulate`: what is going to happen."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chalicelib.cli.command import UsageProblem, connect, output

if TYPE_CHECKING:
    from chalicelib.domain.model import Catalog
    from chalicelib.engine.simulation import Simulated

DAY_MS = 86_400_000


def next_fires(
    ctx: typer.Context,
    task: Annotated[str | None, typer.Argument(metavar="TASK", help="Only this task's.", show_default=False)] = None,
    days: Annotated[int, typer.Option(min=1, max=31, help="How far ahead.")] = 1,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 20,
) -> None:
    """List the fires to come, and where they would need more slots than there are."""
    out = output(ctx)
    found = connect(ctx).schedule(days, task)
    found["fires"] = found["fires"][:limit]
    if out.as_json:
        out.document(found)
        return
    from chalicelib.cli.output import new_table, note, relative

    if not found["fires"]:
        note(f"Nothing fires within {days} day{'s' * (days > 1)}.")
        return
    rows = new_table("When", "Fire", "Task", "Usually", "")
    for fire in found["fires"]:
        rows.add_row(relative(fire["at"]), fire["at"], fire["task_id"], fire["duration"], fire["skipped"] or "")
    out.console.print(rows)
    over = [c for c in found["conflicts"] if c["over"]]
    for conflict in over[:limit]:
        tasks = ", ".join(conflict["tasks"])
        needs = f"{conflict['slots_needed']} slots of {conflict['slots']} in {conflict['semaphore']}"
        out.console.print(f"[yellow]conflict[/] {conflict['from']} to {conflict['to']}: {tasks} need {needs}")


def simulate(
    ctx: typer.Context,
    days: Annotated[int, typer.Option(min=1, max=366, help="How long.")] = 30,
    before: Annotated[
        Path | None, typer.Option(help="Project or compiled catalog to compare with.", exists=True, show_default=False)
    ] = None,
    start: Annotated[str | None, typer.Option(help="First instant (ISO 8601); else now.", show_default=False)] = None,
    seconds: Annotated[float, typer.Option(min=0.001, help="How long runs last of tasks that never ran.")] = 60.0,
) -> None:
    """Let the dispatcher and the queue work through days to come on a virtual clock; nothing is run.

    Runs last as long as they usually did, as far as the server can be reached.
    """
    from chalicelib.cli.project import find_project
    from chalicelib.domain.clock import now_ms, parse_iso

    try:
        first = parse_iso(start) if start else now_ms()
    except ValueError as error:
        raise UsageProblem(f"--start: {error}") from None
    out = output(ctx)
    usual = _usual_seconds(ctx)
    project = find_project()
    reports = {"after": _simulated(project, first, days, usual, seconds, out.as_json)}
    if before is not None:
        reports = {"before": _simulated(before, first, days, usual, seconds, out.as_json)} | reports
    if out.as_json:
        out.document(reports if before else reports["after"])
        return
    from chalicelib.cli.simulation_output import simulation_tables

    for renderable in simulation_tables(reports):
        out.console.print(renderable)


def _usual_seconds(ctx: typer.Context) -> dict[str, float]:
    from chalicelib.client import ClientError

    try:
        tasks = connect(ctx).tasks()
    except ClientError:
        return {}
    return {t["id"]: t["usual_seconds"] for t in tasks if t.get("usual_seconds")}


def _simulated(where: Path, first: int, days: int, usual: dict[str, float], unknown: float, quiet: bool) -> dict[str, Any]:
    from chalicelib.catalog.compile import compile_catalog
    from chalicelib.catalog.load import load_catalog
    from chalicelib.cli.project import find_project
    from chalicelib.engine.simulation import Simulation
    from chalicelib.settings import load_settings
    from chalicelib.store.table import Table
    from infra.local.memory import MemoryDynamoDB

    catalog = load_catalog(where) if where.is_file() else compile_catalog(where, write=False).catalog
    memory = MemoryDynamoDB()
    name = memory.create_table(find_project() / "infra" / "resources.yaml", "simulation")
    known = {task_id: usual.get(task_id, unknown) for task_id in catalog.tasks}
    simulation = Simulation(Table(memory, name), catalog, load_settings(catalog.settings), known, first)
    with _bar(quiet) as told:
        return _report(simulation.run(first + days * DAY_MS, told), catalog)


class _bar:
    """A progress bar on a terminal's stderr; nothing elsewhere."""

    def __init__(self, quiet: bool) -> None:
        self.quiet = quiet
        self._progress: Any = None

    def __enter__(self) -> Callable[[float], None]:
        import sys

        if self.quiet or not sys.stderr.isatty():
            return lambda fraction: None
        from rich.console import Console
        from rich.progress import Progress

        self._progress = Progress(console=Console(stderr=True), transient=True)
        self._progress.start()
        bar = self._progress.add_task("simulating", total=1.0)
        shown = 0.0

        def told(fraction: float) -> None:
            nonlocal shown
            if time.monotonic() - shown > 0.1:
                shown = time.monotonic()
                self._progress.update(bar, completed=fraction)

        return told

    def __exit__(self, *_: object) -> None:
        if self._progress is not None:
            self._progress.stop()


def _report(done: Simulated, catalog: Catalog) -> dict[str, Any]:
    from chalicelib.domain.clock import iso
    from chalicelib.domain.price import Usage, price, usage_of_runs

    tasks = {}
    usage = Usage()
    for task_id in sorted({*done.runs, *done.skipped}):
        waits = sorted(done.waits.get(task_id, []))
        count, seconds = done.runs[task_id], done.busy_seconds[task_id]
        usage += usage_of_runs(count, seconds, catalog.tasks[task_id].memory)
        tasks[task_id] = {
            "runs": count,
            "skipped": dict(done.skipped.get(task_id, {})),
            "busy_seconds": round(seconds, 1),
            "longest_wait_seconds": waits[-1] if waits else 0.0,
        }
    waits = sorted(w for found in done.waits.values() for w in found)
    return {
        "from": iso(done.from_ms),
        "to": iso(done.to_ms),
        "days": (done.to_ms - done.from_ms) // DAY_MS,
        "fires": dict(done.fires),
        "runs": sum(done.runs.values()),
        "waited": sum(1 for w in waits if w > 0),
        "longest_wait_seconds": waits[-1] if waits else 0.0,
        "peak_slots": {name: {"slots": most, "limit": limit} for name, (most, limit) in sorted(done.peaks.items())},
        "busy_seconds": round(sum(done.busy_seconds.values()), 1),
        "dollars": round(price(usage), 4),
        "tasks": tasks,
    }
