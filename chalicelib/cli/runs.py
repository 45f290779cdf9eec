"""`runs` and `logs`: what has happened, and what it said."""

from __future__ import annotations

from typing import Annotated

import typer

from chalicelib.cli.command import connect, latest_run, output


def runs(
    ctx: typer.Context,
    task: Annotated[str | None, typer.Argument(metavar="TASK", help="Only of this task.", show_default=False)] = None,
    status: Annotated[str | None, typer.Option(help="Only with this status.")] = None,
    since: Annotated[str | None, typer.Option(help="Only from this instant (UTC) on: 2025-01-31T10:00Z.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 20,
) -> None:
    """List runs, newest first."""
    out = output(ctx)
    found = list(connect(ctx).runs(task, status, since, limit))
    if out.as_json:
        out.document({"runs": found})
        return
    from chalicelib.cli.output import note, runs_table

    if not found:
        note("No run matches." if task or status or since else "Nothing has run yet.")
        return
    out.console.print(runs_table(found))


def logs(
    ctx: typer.Context,
    run: Annotated[str, typer.Argument(metavar="RUN|TASK", help="A run, or a task: its latest.", show_default=False)],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until it is done; sets the exit code.")] = False,
    after: Annotated[int, typer.Option(min=0, help="Only what comes after this event number.")] = 0,
    timestamps: Annotated[bool, typer.Option("--timestamps", "-t", help="Put the time (UTC) before each line.")] = False,
) -> None:
    """Print what a run has said."""
    from chalicelib.cli.terminal import follow_run, print_log

    out, client = output(ctx), connect(ctx)
    run_id = latest_run(client, run)
    if follow:
        raise typer.Exit(follow_run(client, run_id, out, after=after, timestamps=timestamps))
    print_log(client.log(run_id, after), out, timestamps=timestamps)
