"""`trace`: where a run's time went."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import typer

from chalicelib.cli.command import connect, latest_run, output

WIDTH = 48  # characters of the line of time
STYLES = {"completed": "green", "failed": "red", "stopped": "magenta", "running": "blue"}
WAITING = "yellow"


def trace(
    ctx: typer.Context,
    run: Annotated[str, typer.Argument(metavar="RUN|TASK", help="A run, or a task: its latest.", show_default=False)],
) -> None:
    """Show where a run's time went: waits, attempts, steps. With --json in OpenTelemetry's format."""
    out, client = output(ctx), connect(ctx)
    found = client.trace(latest_run(client, run))
    if out.as_json:
        out.document(found)
        return
    from rich.markup import escape
    from rich.text import Text

    from chalicelib.cli.output import new_table
    from chalicelib.domain.durations import text_of

    rows = list(_rows(found))
    begin, end = rows[0][1], max(row[2] for row in rows)
    table = new_table("What", "After", "Took", "")
    for depth, start, stop, status, name in rows:
        left = round(WIDTH * (start - begin) / ((end - begin) or 1))
        long = max(1, round(WIDTH * (stop - start) / ((end - begin) or 1)))
        left = min(left, WIDTH - 1)
        bar = Text(" " * left + "━" * min(long, WIDTH - left), STYLES.get(status, WAITING))
        after = text_of((start - begin) / 1000) if start > begin else "-"
        table.add_row("  " * depth + escape(name), after, text_of((stop - start) / 1000), bar)
    out.console.print(table)


def _rows(document: Mapping[str, Any]) -> Iterator[tuple[int, int, int, str, str]]:
    """(depth, start and end in epoch ms, status, name) of each span, in order of time below the one around it."""
    spans = [span for part in document["resourceSpans"] for scope in part["scopeSpans"] for span in scope["spans"]]
    below: dict[str | None, list[dict[str, Any]]] = {}
    for span in spans:
        below.setdefault(span.get("parentSpanId"), []).append(span)

    def walk(parent: str | None, depth: int, above: str = "") -> Iterator[tuple[int, int, int, str, str]]:
        for span in sorted(below.get(parent, ()), key=lambda s: int(s["startTimeUnixNano"])):
            start, stop = (int(span[f"{which}TimeUnixNano"]) // 1_000_000 for which in ("start", "end"))
            whole = _told(span, "step")
            name = whole.removeprefix(f"{above}/") if whole else span["name"]
            yield depth, start, stop, _told(span, "status"), name
            yield from walk(span["spanId"], depth + 1, whole)

    return walk(None, 0)


def _told(span: Mapping[str, Any], name: str) -> str:
    return next((a["value"]["stringValue"] for a in span["attributes"] if a["key"] == f"nightshift.{name}"), "")
