"""`stats`: how it went, how long it took, what it cost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chalicelib.cli.command import connect, output

if TYPE_CHECKING:
    from rich.table import Table

SHOWN_DAYS = 14


def stats(
    ctx: typer.Context,
    task: Annotated[str | None, typer.Argument(metavar="TASK", help="Only this task's.", show_default=False)] = None,
    days: Annotated[int, typer.Option(min=1, max=90, help="How many days back, today included.")] = 7,
) -> None:
    """Finished runs by task, or of one task by day: success, durations (estimated), cost."""
    out = output(ctx)
    found = connect(ctx).stats(days, task)
    if out.as_json:
        out.document(found)
        return
    from chalicelib.cli.output import note

    if not found["total"]["runs"]:
        note(f"Nothing has ended from {found['from']} to {found['to']}.")
        return
    rows = [("Day (UTC)", day["date"], day) for day in found["by_day"][-SHOWN_DAYS:] if day["runs"]] if task else [
        ("Task", row["task_id"], row) for row in found["by_task"]]  # fmt: skip
    out.console.print(_table([*rows, ("", "all", found["total"])]))


def _table(rows: Iterable[tuple[str, str, Mapping[str, Any]]]) -> Table:
    from rich.markup import escape

    from chalicelib.cli.output import new_table

    known = list(rows)
    table = new_table(known[0][0], "Runs", "Failed", "Success", "Half within", "95 % within", "In all", "Cost, about")
    for _head, name, row in known:
        rate = "-" if row["success_rate"] is None else f"{100 * row['success_rate']:.1f} %"
        failed = f"[red]{row['failed']}[/]" if row["failed"] else "0"
        times = (row["p50"] or "-", row["p95"] or "-", row["total"])
        table.add_row(escape(name), str(row["runs"]), failed, rate, *times, f"${row['dollars']:.4f}")
    return table
