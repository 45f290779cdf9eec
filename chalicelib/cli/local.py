"""`up`: the whole product on this machine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote

import typer

from chalicelib.cli.command import CommandError, UsageProblem, global_options, output

if TYPE_CHECKING:
    from rich.console import Console


def up(
    ctx: typer.Context,
    port: Annotated[int, typer.Option(envvar="PORT", min=0, max=65535, help="Where to listen; 0 for any free.")] = 8400,
    token: Annotated[
        str | None, typer.Option(envvar="TOKEN", help="Login token; else one made up and kept.", show_default=False)
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="Where history is kept; else .nightshift in the project.", show_default=False)
    ] = None,
    chaos: Annotated[
        bool, typer.Option("--chaos", help="Double, delay, lose and kill things on purpose; see /_stack/chaos.")
    ] = False,
    chaos_seed: Annotated[int | None, typer.Option(envvar="CHAOS", help="The same, repeatable.", show_default=False)] = None,
    chaos_rate: Annotated[list[str] | None, typer.Option(help="How much of what, like kill=0.2.", show_default=False)] = None,
    reload: Annotated[bool, typer.Option("--reload/--no-reload", help="Take up changed code by itself.")] = True,
) -> None:
    """Serve everything on this machine: pages, API, WebSocket, schedules, tasks."""
    from chalicelib.cli.project import find_project
    from chalicelib.client.session import Session, write_session
    from chalicelib.domain.errors import SettingsError
    from chalicelib.settings import load_settings
    from infra.local import Options, StackError, serve

    out = output(ctx)
    try:
        load_settings(None, os.environ)
    except SettingsError as error:
        raise UsageProblem(error.message) from None

    def announce(url: str) -> None:
        token = options.token or ""
        write_session(options.data, Session(url, token))
        admin = f"{url}/admin/task?token={quote(token, safe='')}"
        if out.as_json:
            out.row({"url": url, "token": token, "admin_url": admin})
        else:
            _greet(out.console, admin)

    options = Options(
        project_dir=find_project(),
        port=port,
        token=token or global_options(ctx).token,
        data_dir=data_dir,
        reload=reload,
        chaos_seed=_chaos_seed(chaos, chaos_seed),
        chaos_rates=_rates(chaos_rate or []),
        before_load="chalicelib.cli.project:compile_for_stack",
        on_ready=announce,
    )
    # Not the committed file: serving a half-written change should not touch what gets deployed.
    options.env = {"NIGHTSHIFT_CATALOG": str(options.data / "catalog.json")}
    try:
        serve(options)
    except StackError as error:
        # One line, but for an app that does not load: there the lines before the last are its traceback.
        *traceback, message = str(error).splitlines()
        if traceback:
            typer.echo("\n".join(traceback), err=True)
        raise CommandError(message) from error


def _chaos_seed(wanted: bool, seed: int | None) -> int | None:
    """None: no chaos. Without a seed one is made up, and printed with what is done."""
    import random

    return random.randrange(10_000) if wanted and seed is None else seed


def _rates(pairs: list[str]) -> dict[str, float]:
    try:
        return {name: float(rate) for name, _, rate in (pair.partition("=") for pair in pairs)}
    except ValueError as error:
        raise CommandError("a chaos rate is written like kill=0.2") from error


def _greet(console: Console, admin: str) -> None:
    from rich.text import Text

    console.print()
    console.print(Text.assemble(("  Nightshift", "bold"), " is up"), Text("Ctrl-C ends it", style="dim"), sep="   ")
    # On a line of its own and never wrapped: terminals and people take it as one link.
    console.print(Text.assemble("  ", (admin, "cyan underline")), soft_wrap=True)
    console.print()
