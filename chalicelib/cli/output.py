"""What commands print: JSON for programs, tables for people."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

STATUS_STYLES = {
    "scheduled": "cyan",
    "queued": "yellow",
    "running": "bold blue",
    "completed": "green",
    "failed": "bold red",
    "stopped": "magenta",
    "disabled": "dim",
}
ICONS = {
    "database": "🗄",
    "archive": "📦",
    "backup": "💾",
    "broom": "🧹",
    "chart": "📊",
    "clock": "⏰",
    "heart": "💚",
    "mail": "✉",
    "search": "🔍",
    "server": "🖥",
    "sync": "🔄",
    "trash": "🗑",
    "upload": "⬆",
}
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s"))


class Output:
    """Standard output, as JSON or for people. Colours only on a terminal, and never with `color` off or NO_COLOR."""

    def __init__(self, as_json: bool, color: bool) -> None:
        self.as_json = as_json
        self._color = color

    @cached_property
    def console(self) -> Console:
        """Wide when nobody's window limits it, so that pipes get whole rows."""
        from rich.console import Console

        wide = None if sys.stdout.isatty() else 240
        return Console(highlight=False, no_color=None if self._color else True, width=wide)

    def document(self, value: Any) -> None:
        """One JSON document, indented."""
        print(json.dumps(value, indent=2, ensure_ascii=False), flush=True)

    def row(self, value: Any) -> None:
        """One JSON value on one line, at once: for streams."""
        print(json.dumps(value, ensure_ascii=False, separators=(",", ":")), flush=True)

    def text(self, text: str) -> None:
        """Text as it is, with its ANSI colours where the terminal shows them."""
        if self.console.is_terminal and not self.console.no_color:
            from rich.text import Text

            self.console.print(Text.from_ansi(text), soft_wrap=True)
        else:
            print(plain(text), flush=True)


def plain(text: str) -> str:
    """Text without its escape sequences."""
    return _ESCAPES.sub("", text)


def note(text: str) -> None:
    """A remark for people on stderr, where it disturbs no pipe."""
    print(text, file=sys.stderr, flush=True)


def status(value: str | None) -> str:
    """Console markup of a status."""
    value = value or "-"
    style = STATUS_STYLES.get(value)
    return f"[{style}]{value}[/]" if style else value


def relative(instant: str | None, now: datetime | None = None) -> str:
    """`3h ago`, `in 12m`, from an ISO 8601 instant; `-` for none."""
    if not instant:
        return "-"
    seconds = round(((now or datetime.now(UTC)) - datetime.fromisoformat(instant)).total_seconds())
    size, unit = next((pair for pair in _UNITS if abs(seconds) >= pair[0]), (1, "s"))
    count = abs(seconds) // size
    return "now" if count == 0 else f"{count}{unit} ago" if seconds > 0 else f"in {count}{unit}"


def tasks_table(tasks: Iterable[Mapping[str, Any]]) -> Table:
    """One row per task."""
    table = new_table("Task", "Title", "Status", "Schedule", "Last run", "Next run")
    for task in tasks:
        last = relative(task.get("last_run"))
        if task.get("last_run") and task.get("duration"):
            last += f" [dim]({task['duration']})[/]"
        table.add_row(
            f"{ICONS.get(task.get('icon') or '', '•')} {_safe(task['id'])}",
            _safe(task.get("title") or task.get("name")),
            status(task.get("status")),
            _safe(task.get("schedule_text") or task.get("schedule")),
            last,
            relative(task.get("next_run")),
        )
    return table


def runs_table(runs: Iterable[Mapping[str, Any]]) -> Table:
    """One row per run, with what it waits for or failed of."""
    table = new_table("Run", "Task", "Status", "Trigger", "Started", "Duration", "")
    for run in runs:
        error = run.get("error") or {}
        remark = f"{error.get('type')}: {error.get('message')}" if error else run.get("waiting_for") or ""
        table.add_row(
            _safe(run["id"]),
            _safe(run.get("task_id")),
            status(run.get("status")),
            _safe(run.get("trigger")) + (f" [dim]by {_safe(run['started_by'])}[/]" if run.get("started_by") else ""),
            relative(run.get("started_at") or run.get("created_at")),
            _safe(run.get("duration")),
            _safe(remark if isinstance(remark, str) else json.dumps(remark, ensure_ascii=False)) if remark else "",
        )
    return table


def parameters_table(parameters: Iterable[Mapping[str, Any]]) -> Table:
    """One row per parameter of a task."""
    table = new_table("Parameter", "Type", "Required", "Default", "Choices", "Help")
    for parameter in parameters:
        default = parameter.get("default")
        table.add_row(
            _safe(parameter["name"]),
            _safe(parameter.get("type")),
            "yes" if parameter.get("required") else "",
            "" if default is None else _safe(json.dumps(default, ensure_ascii=False)),
            _safe(", ".join(str(choice["value"]) for choice in parameter.get("choices") or []) or " "),
            _safe(parameter.get("help") or parameter.get("title") or " "),
        )
    return table


def definition_table(task: Mapping[str, Any]) -> Table:
    """What a task is, one property per row; without those that are not set."""
    from rich.table import Table

    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for key, value in task.items():
        if key in ("id", "name", "title", "description", "parameters", "danger") or value in (None, "", [], {}):
            continue
        if key == "status":
            shown = status(value)
        elif key in ("last_run", "next_run"):
            shown = f"{_safe(value)} [dim]({relative(value)})[/]"
        elif isinstance(value, list) and all(isinstance(part, str) for part in value):
            shown = _safe(", ".join(value))
        else:
            shown = _safe(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
        table.add_row(key.replace("_", " "), shown)
    return table


def new_table(*headings: str) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    for heading in headings:
        # Identifiers are there to be copied: never cut.
        table.add_column(heading, no_wrap=heading in ("Task", "Run"), overflow="fold")
    return table


def _safe(value: Any) -> str:
    """Text of others, with neither markup nor escape sequences of its own; `-` for none."""
    from rich.markup import escape

    return escape(plain(str(value))) if value not in (None, "") else "-"
