"""`tasks`, `show`, `start`, `stop`: what there is, and setting it going."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from chalicelib.cli.command import UsageProblem, connect, output

TaskId = Annotated[str, typer.Argument(metavar="TASK", help="Id of the task.", show_default=False)]


def tasks(
    ctx: typer.Context,
    q: Annotated[str | None, typer.Option("--q", "-q", help="Words to look for.")] = None,
    category: Annotated[str | None, typer.Option(help="Only this category.")] = None,
    tag: Annotated[str | None, typer.Option(help="Only with this tag.")] = None,
    status: Annotated[str | None, typer.Option(help="Only with this status.")] = None,
) -> None:
    """List tasks with their schedule, last and next run."""
    out = output(ctx)
    found = connect(ctx).tasks(q, category, tag, status)
    if out.as_json:
        out.document({"tasks": found})
        return
    from chalicelib.cli.output import note, tasks_table

    if not found:
        note("No task matches." if q or category or tag or status else "There are no tasks yet.")
        return
    out.console.print(tasks_table(found))


def show(ctx: typer.Context, task: TaskId) -> None:
    """Show one task: definition, parameters, last runs."""
    out, client = output(ctx), connect(ctx)
    found = client.task(task)
    runs = list(client.runs(task, limit=5))
    if out.as_json:
        out.document({"task": found, "runs": runs})
        return
    from rich.text import Text

    from chalicelib.cli.output import definition_table, parameters_table, runs_table

    console = out.console
    title = found.get("title") or found.get("name") or ""
    console.print(Text.assemble((found["id"], "bold"), "  ", title))
    if found.get("description"):
        console.print(Text(str(found["description"])))
    if found.get("danger"):
        console.print(Text(f"⚠ {found['danger']}", style="bold yellow"))
    console.print()
    console.print(definition_table(found))
    if found.get("parameters"):
        console.print(parameters_table(found["parameters"]))
    if runs:
        console.print(runs_table(runs))


def start(
    ctx: typer.Context,
    task: TaskId,
    arg: Annotated[
        list[str] | None,
        typer.Option("--arg", "-a", metavar="NAME=VALUE", help="An argument; NAME=@PATH for a file. May come often."),
    ] = None,
    args_file: Annotated[str | None, typer.Option(metavar="FILE", help="Arguments as JSON or YAML; - is stdin.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Watch the run; its end sets the exit code.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait in silence; its end sets the exit code.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before something dangerous.")] = False,
) -> None:
    """Start a run of a task.

    With --follow or --wait the exit code is 0 for completed, 1 for failed, 3 for stopped. Ctrl-C only stops watching.
    """
    from chalicelib.cli.arguments import read_arguments

    out, client = output(ctx), connect(ctx)
    definition = client.task(task)
    arguments = read_arguments(definition.get("parameters") or [], arg or [], args_file)
    _confirm(definition, yes)
    started = client.start(task, arguments)
    run_id = started["run_id"]
    if follow or wait:
        from chalicelib.cli.terminal import follow_run, wait_for_run

        raise typer.Exit((follow_run if follow else wait_for_run)(client, run_id, out))
    if out.as_json:
        out.document(started)
    else:
        out.text(f"{run_id} {started['status']}   watch it: nightshift logs -f {run_id}")


def stop(
    ctx: typer.Context,
    target: Annotated[str, typer.Argument(metavar="TASK|RUN", help="A task (all its runs) or a run.", show_default=False)],
) -> None:
    """Stop a run, or every active run of a task."""
    from chalicelib.domain.ids import is_run_id

    out, client = output(ctx), connect(ctx)
    if is_run_id(target):
        answer: dict[str, Any] = client.stop_run(target)
        stopped = [target]
    else:
        stopped = client.stop(target)
        answer = {"stopped": stopped}
    if out.as_json:
        out.document(answer)
    else:
        for run_id in stopped:
            out.text(f"{run_id} is told to stop")


def _confirm(task: dict[str, Any], yes: bool) -> None:
    """Ask before a dangerous task; where nobody can answer, `--yes` has to have been given."""
    danger = task.get("danger")
    if not danger or yes:
        return
    if not sys.stdin.isatty():
        raise UsageProblem(f"{task['id']} asks for confirmation ({danger}): add --yes")
    typer.confirm(f"{task['id']}: {danger}\nStart it?", abort=True, err=True)
