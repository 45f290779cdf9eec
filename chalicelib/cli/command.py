"""What all subcommands share: the global options on either side of the subcommand, and errors of one line."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperCommand, TyperGroup

if TYPE_CHECKING:
    from chalicelib.cli.output import Output
    from chalicelib.client import Client


@dataclass
class Options:
    """The global options; what stands after the subcommand wins."""

    url: str | None = None
    token: str | None = None
    as_json: bool = False
    no_color: bool = False


SHARED = tuple(field.name for field in fields(Options))


class CommandError(Exception):
    """A command cannot do what it should; the message is for the user."""

    exit_code = 1
    errors: Sequence[dict[str, str]] = ()


class UsageProblem(CommandError):
    """The user asked for something that cannot be. `errors` may name fields."""

    exit_code = 2

    def __init__(self, message: str, errors: Sequence[dict[str, str]] = ()) -> None:
        super().__init__(message)
        self.errors = errors


def connect(ctx: typer.Context) -> Client:
    """The client that the options ask for."""
    from chalicelib.client import Client
    from chalicelib.domain.run import COMMAND_AGENT

    options = global_options(ctx)
    return Client(options.url, options.token, agent=COMMAND_AGENT)


def latest_run(client: Client, run: str) -> str:
    """The run that was named, or of a named task the latest. Raises CommandError."""
    from chalicelib.domain.ids import is_run_id

    if is_run_id(run):
        return run
    latest = next(client.runs(run, limit=1), None)
    if latest is None:
        raise CommandError(f"{run} has not run yet")
    return str(latest["id"])


def output(ctx: typer.Context) -> Output:
    """Where to print, and how."""
    from chalicelib.cli.output import Output

    options = global_options(ctx)
    return Output(as_json=options.as_json, color=not options.no_color)


def global_options(ctx: typer.Context) -> Options:
    """The options given on either side of the subcommand."""
    return ctx.ensure_object(Options)


class Command(TyperCommand):
    """A subcommand that also takes the global options, unless it has one of the same name."""

    def get_params(self, ctx: Any) -> list[Any]:
        own = super().get_params(ctx)
        names = {param.name for param in own}
        group = ctx.find_root().command
        return [*own, *(param for param in group.params if param.name in SHARED and param.name not in names)]

    def invoke(self, ctx: Any) -> Any:
        own = {param.name for param in self.params}
        _remember(ctx, {name: ctx.params.pop(name) for name in SHARED if name in ctx.params and name not in own})
        return super().invoke(ctx)


class Group(TyperGroup):
    """The command as a whole. Nothing escapes as a traceback unless NIGHTSHIFT_DEBUG=1 asks for it."""

    def invoke(self, ctx: Any) -> Any:
        _remember(ctx, ctx.params)
        return super().invoke(ctx)

    def main(self, args: Any = None, prog_name: Any = None, *_: Any, **extra: Any) -> Any:
        standalone = extra.pop("standalone_mode", True)
        try:
            code = super().main(args, prog_name, standalone_mode=False, **extra) or 0
        except Exception as error:
            code = _report(error)
        if standalone:
            sys.exit(code)
        return code


def _remember(ctx: Any, given: dict[str, Any]) -> None:
    options = ctx.ensure_object(Options)
    for name, value in given.items():
        if value:
            setattr(options, name, value)


def _report(error: Exception) -> int:
    """Say on stderr what is wrong, one line and one more per wrong field; returns the exit code."""
    from chalicelib.client.errors import ClientError, ProblemError
    from chalicelib.domain.errors import NightshiftError

    errors: Sequence[dict[str, str]] = ()
    code = 1
    match error:
        case typer.Abort():
            message = "aborted"
        case typer.TyperException():
            code, message = error.exit_code, _usage(error)
        case CommandError():
            code, message, errors = error.exit_code, str(error), error.errors
        case ProblemError(status=400 | 422) if error.errors:
            # HTTP's own words say less than the fields below them.
            plain = error.title in ("Bad Request", "Unprocessable Content")
            code, message, errors = 2, "this is not accepted" if plain else error.title, error.errors
        case ClientError() | NightshiftError():
            message = str(error)
        case OSError():
            message = f"{error.strerror}: {error.filename}" if error.filename else str(error)
        case _:
            message = f"{type(error).__name__}: {error} (NIGHTSHIFT_DEBUG=1 shows where)"
    if os.environ.get("NIGHTSHIFT_DEBUG") == "1" and not isinstance(error, (typer.Abort, typer.TyperException)):
        raise error
    if message:
        complain(message)
    for field in errors:
        typer.echo(f"  {field['field']}: {field['message']}", err=True)
    return code


def complain(message: str) -> None:
    """One line on stderr: `error: …`."""
    colored = sys.stderr.isatty() and "NO_COLOR" not in os.environ
    prefix = typer.style("error:", fg="red", bold=True) if colored else "error:"
    typer.echo(f"{prefix} {' '.join(message.split())}", err=True)


def _usage(error: Any) -> str:
    """The message with where to read on. Asking for help by giving no arguments prints the help instead."""
    ctx = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError" and ctx:
        typer.echo(ctx.get_help(), err=True)
        return ""
    message = str(error.format_message()).rstrip(".")
    return f"{message}; see {ctx.command_path} --help" if ctx else message
