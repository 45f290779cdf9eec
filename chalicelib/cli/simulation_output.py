"""A simulation's report as tables; before and after side by side."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.table import Table

from chalicelib.cli.output import new_table
from chalicelib.domain.durations import text_of


def simulation_tables(reports: dict[str, dict[str, Any]]) -> Iterator[Table]:
    """The whole, then each task. `reports` is {"after"} or {"before", "after"}."""
    columns = list(reports) if len(reports) > 1 else [""]
    shown = list(reports.values())
    whole = new_table("", *columns)
    whole.add_row("days", *(str(r["days"]) for r in shown))
    whole.add_row("runs", *(str(r["runs"]) for r in shown))
    for outcome in sorted({o for r in shown for o in r["fires"]}):
        whole.add_row(f"fires {outcome}", *(str(r["fires"].get(outcome, 0)) for r in shown))
    whole.add_row("runs that waited", *(str(r["waited"]) for r in shown))
    whole.add_row("longest wait", *(_seconds(r["longest_wait_seconds"]) for r in shown))
    for name in sorted({n for r in shown for n in r["peak_slots"]}):
        whole.add_row(f"peak slots, {name}", *(_peak(r["peak_slots"].get(name)) for r in shown))
    whole.add_row("time at work", *(_seconds(r["busy_seconds"]) for r in shown))
    whole.add_row("cost", *(f"${r['dollars']:.2f}" for r in shown))
    yield whole
    tasks = new_table(
        "Task", *(f"{heading} {column}".strip() for column in columns for heading in ("Runs", "Skipped", "Longest wait"))
    )
    for task_id in sorted({t for r in shown for t in r["tasks"]}):
        cells: list[str] = []
        for report in shown:
            found = report["tasks"].get(task_id)
            if found is None:
                cells += ["-", "-", "-"]
                continue
            skipped = ", ".join(f"{count} {reason}" for reason, count in found["skipped"].items())
            cells += [str(found["runs"]), skipped or "0", _seconds(found["longest_wait_seconds"])]
        tasks.add_row(task_id, *cells)
    yield tasks


def _seconds(value: float) -> str:
    return text_of(value) if value else "0s"


def _peak(found: dict[str, int] | None) -> str:
    return f"{found['slots']} of {found['limit']}" if found else "-"
