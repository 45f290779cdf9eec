"""`run`: a pipeline tried out on this machine, without a server and without keeping anything."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chalicelib.cli.command import UsageProblem, output

if TYPE_CHECKING:
    from chalicelib.domain.model import Catalog, CatalogTask, Pipeline

DEFAULT_TIMEOUT = 900.0  # seconds; of a pipeline that is run without a task


def run(
    ctx: typer.Context,
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", exists=True, dir_okay=False, help="YAML with pipelines, and tasks if it likes.", show_default=False
        ),
    ],
    pipeline: Annotated[
        str | None, typer.Option("--pipeline", "-p", metavar="NAME", help="Which one; else the file's only one, or the task's.")
    ] = None,
    task: Annotated[
        str | None,
        typer.Option("--task", "-t", metavar="ID", help="Task whose parameters hold; else the only one that uses the pipeline."),
    ] = None,
    arg: Annotated[
        list[str] | None,
        typer.Option("--arg", "-a", metavar="NAME=VALUE", help="An argument; NAME=@PATH for a file. May come often."),
    ] = None,
    args_file: Annotated[str | None, typer.Option(metavar="FILE", help="Arguments as JSON or YAML; - is stdin.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Only show what each step would do.")] = False,
    workspace: Annotated[
        Path | None,
        typer.Option(file_okay=False, help="Folder to work in, which stays; else one that is removed.", show_default=False),
    ] = None,
) -> None:
    """Try out one pipeline of a file in this process: no server, no table, nothing is kept.

    Its steps do what they do: files are copied, messages sent. The exit code is 0 for completed, 1 for failed, 3 for stopped
    (Ctrl-C). With --dry-run nothing is done, and it is 1 when something is seen that would fail.
    """
    from chalicelib.catalog.compile import read_file
    from chalicelib.cli.arguments import read_arguments
    from chalicelib.cli.catalog import print_problems
    from chalicelib.cli.project import find_project
    from chalicelib.cli.trial_output import show_preview, show_trial
    from chalicelib.domain.arguments import validate_arguments
    from chalicelib.domain.errors import DefinitionErrors, InvalidArgumentsError
    from chalicelib.engine.trial import Trial

    out, project = output(ctx), find_project(file.parent)
    try:
        catalog = read_file(project, file)
    except DefinitionErrors as errors:
        print_problems(errors.problems, out)
        raise typer.Exit(1) from None
    chosen, used_by = choose(catalog, str(file), pipeline, task)
    parameters = used_by.parameters if used_by else []
    args = read_arguments([p.model_dump() for p in parameters], arg or [], args_file)
    if used_by:
        try:
            args = validate_arguments(parameters, args)
        except InvalidArgumentsError as error:
            fields = [{"field": field.field, "message": field.message} for field in error.errors]
            raise UsageProblem("invalid arguments", fields) from None
    timeout = used_by.timeout if used_by and used_by.timeout else DEFAULT_TIMEOUT
    trial = Trial(catalog, chosen, used_by, args, _secrets(project), timeout, workspace)
    raise typer.Exit(show_preview(trial, out) if dry_run else show_trial(trial, out))


def choose(catalog: Catalog, file: str, name: str | None, task_id: str | None) -> tuple[Pipeline, CatalogTask | None]:
    """The pipeline that is meant, and the task whose parameters hold."""
    own = {known: each for known, each in catalog.pipelines.items() if not known.startswith("python:")}
    task = None
    if task_id is not None:
        task = catalog.tasks.get(task_id) or _nothing("task", task_id, catalog.tasks)
        if name is not None and task.pipeline != name:
            raise UsageProblem(f"the task '{task_id}' runs the pipeline '{task.pipeline}', not '{name}'")
        if task.pipeline not in catalog.pipelines:
            raise UsageProblem(f"{file} has no pipeline '{task.pipeline}', which the task '{task_id}' runs: give the file that has")
        return catalog.pipelines[task.pipeline], task
    if name is None and len(own) != 1:
        raise UsageProblem(f"say which with --pipeline: {file} has {', '.join(own) or 'none'}")
    chosen = next(iter(own.values())) if name is None else own.get(name) or _nothing("pipeline", name, own)
    users = [each for each in catalog.tasks.values() if each.pipeline == chosen.name]
    return chosen, users[0] if len(users) == 1 else None


def _nothing(kind: str, name: str, known: Sequence[str] | Mapping[str, Any]) -> Any:
    from chalicelib.catalog.faults import suggestion

    raise UsageProblem(f"there is no {kind} '{name}' ({suggestion(name, [k for k in known if not k.startswith('python:')])})")


def _secrets(project: Path) -> Callable[[str], str]:
    """A developer's own secrets first, and AWS for those that are not among them."""
    from chalicelib.bootstrap import client
    from chalicelib.domain.errors import StepError
    from chalicelib.engine.secrets import Secrets, part_of
    from infra.local.secrets import read_secrets, secrets_file

    file = secrets_file(project)
    own, aws = read_secrets(file), Secrets(client)

    def secret(name: str) -> str:
        stored, _, key = name.partition("#")
        if stored not in own:
            try:
                return aws(name)
            except StepError as error:
                raise StepError(f"{error.message} (for a trial it may stand in {file})") from None
        return part_of(own[stored], key, stored) if key else own[stored]

    return secret
