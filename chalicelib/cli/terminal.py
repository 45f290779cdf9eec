"""A run's output: as a stream of lines, or live, with its progress at the bottom of the terminal."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from chalicelib.cli.output import STATUS_STYLES, Output, note, plain

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from chalicelib.client import Client

EXIT_CODES = {"completed": 0, "failed": 1, "stopped": 3}
DETACHED = 130

Event = Mapping[str, Any]


class Bar(Protocol):
    """What shows where a run stands, beside its lines."""

    def show(self, event: Event) -> None: ...


class NoBar:
    """For pipes and files: lines only."""

    def show(self, event: Event) -> None:
        pass


class LiveBar:
    """Spinner, status, step, progress and time since the run started, on the last line."""

    def __init__(self, progress: Progress, run: Mapping[str, Any]) -> None:
        self._progress = progress
        self._row: TaskID = progress.add_task("", total=None, status="")
        self._set_status(str(run.get("status") or ""), run.get("started_at"))
        self._set_progress(run.get("progress") or {})

    def show(self, event: Event) -> None:
        match event.get("type"):
            case "progress":
                self._set_progress(event)
            case "step" if event.get("status") == "running":
                self._progress.update(self._row, description=_escape(event.get("name") or ""))
            case "status":
                self._set_status(str(event.get("status") or ""), event.get("at"))

    def _set_progress(self, progress: Mapping[str, Any]) -> None:
        if isinstance(fraction := progress.get("fraction"), (int, float)):
            self._progress.update(self._row, total=1.0, completed=fraction)
        if message := progress.get("message"):
            self._progress.update(self._row, description=_escape(message))

    def _set_status(self, status: str, since: str | None) -> None:
        """Show a status; the clock shows the time since `running` began, also for one who joins later."""
        style = STATUS_STYLES.get(status, "none")
        self._progress.update(self._row, status=f"[{style}]{_escape(status)}[/]")
        if status == "running" and since:
            elapsed = (datetime.now(UTC) - datetime.fromisoformat(since)).total_seconds()
            self._progress.tasks[0].start_time = time.monotonic() - max(0.0, elapsed)


def follow_run(client: Client, run_id: str, output: Output, *, after: int = 0, timestamps: bool = False) -> int:
    """Print a run until it is done; returns the exit code that tells how it ended. Ctrl-C leaves the run running."""
    status = None
    try:
        events = client.follow(run_id, after)
        if output.as_json:
            for event in events:
                output.row(event)
                status = _end(event) or status
            return _exit_code(client, run_id, status)
        run = client.get_run(run_id)
        with live_bar(output, run) as bar:
            for event in events:
                print_event(event, output, timestamps=timestamps)
                bar.show(event)
                status = _end(event) or status
        return _summarize(client.get_run(run_id), output)
    except KeyboardInterrupt:
        note(f"\nDetached; the run goes on. Watch: nightshift logs -f {run_id}   Stop: nightshift stop {run_id}")
        return DETACHED


def wait_for_run(client: Client, run_id: str, output: Output) -> int:
    """Wait for a run in silence, then print how it ended; the exit code says it too."""
    try:
        for _ in client.follow(run_id):
            pass
    except KeyboardInterrupt:
        note(f"\nNo longer waiting; the run goes on. Stop it: nightshift stop {run_id}")
        return DETACHED
    run = client.get_run(run_id)
    if output.as_json:
        output.document(run)
        return EXIT_CODES.get(run["status"], 1)
    return _summarize(run, output)


def print_log(events: Iterable[Event], output: Output, *, timestamps: bool = False) -> None:
    """Print what has been recorded: the lines, or with JSON every event."""
    for event in events:
        if output.as_json:
            output.row(event)
        else:
            print_event(event, output, timestamps=timestamps)


def print_event(event: Event, output: Output, *, timestamps: bool = False) -> None:
    """Print the text of a line, `at` before it if asked for. Other events have no text of their own."""
    if event.get("type") == "line":
        text = str(event.get("text", ""))
        output.text(f"{event.get('at', '')}  {text}" if timestamps else text)


@contextmanager
def live_bar(output: Output, run: Mapping[str, Any]) -> Iterator[Bar]:
    """A live bar on a terminal that can draw one; while it lives, lines are printed above it."""
    if not output.console.is_terminal or output.console.is_dumb_terminal:
        yield NoBar()
        return
    from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
    from rich.table import Column

    columns = (
        SpinnerColumn(),
        TextColumn("{task.fields[status]}"),
        BarColumn(bar_width=30),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}", table_column=Column(no_wrap=True, overflow="ellipsis")),
    )
    with Progress(*columns, console=output.console, transient=True) as progress:
        yield LiveBar(progress, run)


def _summarize(run: Mapping[str, Any], output: Output) -> int:
    """One line on stderr about how a run ended; the exit code."""
    status = str(run.get("status"))
    text = f"{run.get('task_id')} {status}"
    if run.get("duration"):
        text += f" after {run['duration']}"
    if error := run.get("error"):
        where = f" in step {error['step']}" if error.get("step") else ""
        text += f"{where}: {error.get('type')}: {error.get('message')}"
    note(f"{plain(text)}   ({run.get('id')})")
    return EXIT_CODES.get(status, 1)


def _exit_code(client: Client, run_id: str, status: str | None) -> int:
    return EXIT_CODES.get(status or client.get_run(run_id)["status"], 1)


def _end(event: Event) -> str | None:
    return event.get("status") if event.get("type") == "done" else None


def _escape(text: str) -> str:
    from rich.markup import escape

    return escape(text)
