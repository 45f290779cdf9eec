"""The command itself: its global options and its subcommands."""

from __future__ import annotations

from typing import Annotated

import typer

from chalicelib.cli import catalog, deploy, local, pause, runs, schedule, stats, tasks, token, trace, trial
from chalicelib.cli.command import Command, Group

app = typer.Typer(
    name="nightshift",
    cls=Group,
    help="Scheduled and on-demand tasks with live progress.",
    no_args_is_help=True,
    rich_markup_mode=None,  # plain help: importing rich costs more than everything else
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def options(
    url: Annotated[
        str | None, typer.Option(help="Server; else NIGHTSHIFT_URL, else the local stack's.", show_default=False)
    ] = None,
    token: Annotated[str | None, typer.Option(help="Login token; else NIGHTSHIFT_TOKEN.", show_default=False)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs, and nothing else.")] = False,
    no_color: Annotated[bool, typer.Option("--no-color", help="No colours, as with NO_COLOR.")] = False,
) -> None:
    """These stand before or after the subcommand; see `chalicelib.cli.command`."""


for command in (
    local.up,
    tasks.tasks,
    tasks.show,
    tasks.start,
    tasks.stop,
    runs.runs,
    runs.logs,
    trace.trace,
    stats.stats,
    pause.pause,
    pause.resume,
    schedule.simulate,
    trial.run,
    catalog.validate,
    catalog.compile,
    token.token,
    deploy.provision,
    deploy.deploy,
    deploy.destroy,
):
    app.command(cls=Command)(command)
app.command("next", cls=Command)(schedule.next_fires)
