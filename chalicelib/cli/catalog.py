"""`validate` and `compile`: the definitions under `chalicelib/tasks`, checked and written down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from chalicelib.cli.command import CommandError, complain, output

if TYPE_CHECKING:
    from chalicelib.cli.output import Output
    from chalicelib.domain.errors import Problem


def validate(
    ctx: typer.Context,
    path: Annotated[Path | None, typer.Argument(help="The project, or a folder in it.", show_default="working directory")] = None,
) -> None:
    """Check every definition and say where what is wrong; writes nothing."""
    from chalicelib.catalog.compile import compile_catalog
    from chalicelib.domain.errors import DefinitionErrors

    out = output(ctx)
    try:
        catalog = compile_catalog(_project(path), write=False).catalog
    except DefinitionErrors as errors:
        print_problems(errors.problems, out)
        raise typer.Exit(1) from None
    if out.as_json:
        out.document({"tasks": len(catalog.tasks), "pipelines": len(catalog.pipelines), "problems": []})
    else:
        out.text(f"{_count(len(catalog.tasks), 'task')}, {_count(len(catalog.pipelines), 'pipeline')}: all valid")


def compile(
    ctx: typer.Context,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; fail when the files are stale.")] = False,
) -> None:
    """Write chalicelib/catalog.json, .chalice/config.json and the policies beside it from the definitions."""
    from chalicelib.catalog.compile import compile_catalog
    from chalicelib.domain.errors import DefinitionErrors

    out, project = output(ctx), _project(None)
    try:
        report = compile_catalog(project, write=not check)
    except DefinitionErrors as errors:
        print_problems(errors.problems, out)
        raise typer.Exit(1) from None
    changed = [str(path.relative_to(project)) for path in report.changed]
    if out.as_json:
        out.document({"changed": changed, "digest": report.catalog.digest, "problems": []})
    elif not changed:
        out.text(f"{_count(len(report.catalog.tasks), 'task')}: nothing has changed")
    elif not check:
        out.text("\n".join(f"wrote {path}" for path in changed))
    if check and changed:
        raise CommandError(f"stale: {', '.join(changed)}; run nightshift compile")


def _project(path: Path | None) -> Path:
    from chalicelib.cli.project import find_project

    return find_project(path)


def print_problems(problems: Sequence[Problem], out: Output) -> None:
    """`file:line: key: message (hint)` for each, ready to be clicked in an editor's terminal, and how many."""
    if out.as_json:
        out.document({"problems": [asdict(problem) for problem in problems]})
        return
    from rich.text import Text

    for problem in problems:
        place = f"{problem.file}:{problem.line}" if problem.line else problem.file
        text = Text.assemble((place, "cyan"), ": ", (problem.key, "bold"), ": ", (problem.message, "red"))
        if problem.hint:
            text.append(f" ({problem.hint})", "dim")
        out.console.print(text, soft_wrap=True)
    complain(_count(len(problems), "problem"))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
