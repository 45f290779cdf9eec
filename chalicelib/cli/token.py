"""`token`: who may log in, on the laptop or in a deployed stage."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chalicelib.cli.command import CommandError, UsageProblem, global_options, output

if TYPE_CHECKING:
    from chalicelib.store.table import Table

LOCAL = "local"


def token(
    ctx: typer.Context,
    name: Annotated[str | None, typer.Argument(help="Whose the new token is.", show_default=False)] = None,
    list_all: Annotated[bool, typer.Option("--list", "-l", help="List the tokens that let in, never their text.")] = False,
    revoke: Annotated[
        str | None, typer.Option(help="Let this one (its id, or all of a name) in no more.", show_default=False)
    ] = None,
    stage: Annotated[str, typer.Option("--stage", "-s", help="Where; the running local stack unless it is named.")] = LOCAL,
    region: Annotated[str | None, typer.Option(help="AWS region of the stage.", show_default=False)] = None,
    profile: Annotated[str | None, typer.Option(help="Profile of ~/.aws/config.", show_default=False)] = None,
) -> None:
    """Make a login token, list or revoke them. A token is shown once: only its hash is stored."""
    from chalicelib.cli.deploy import plainly
    from chalicelib.store.tokens import drop_tokens, list_tokens, put_token

    if sum((name is not None, list_all, revoke is not None)) != 1:
        raise UsageProblem("say whose token to make (nightshift token NAME), --list, or --revoke ID")
    out = output(ctx)
    with plainly(), _table(global_options(ctx).url, stage, region, profile) as (table, now):
        if name is not None:
            made = secrets.token_urlsafe(32)
            put_token(table, made, name, now)
            out.document({"name": name, "token": made}) if out.as_json else out.text(made)
        elif revoke is not None:
            gone = drop_tokens(table, revoke)
            if not gone:
                raise CommandError(f"there is no token '{revoke}': nightshift token --list names them")
            out.document({"revoked": gone}) if out.as_json else out.text(f"revoked {', '.join(gone)}; within a minute it is known")
        else:
            _print(out, list_tokens(table))


@contextmanager
def _table(url: str | None, stage: str, region: str | None, profile: str | None) -> Iterator[tuple[Table, int]]:
    """(the stage's table, now)."""
    from chalicelib.domain.clock import now_ms

    if stage == LOCAL:
        yield _local_table(url), now_ms()
        return
    from chalicelib.cli.project import find_project
    from chalicelib.store.table import Table
    from infra.deploy.stage import Stage

    place = Stage.find(stage, find_project(), region, profile)
    yield Table(place.client("dynamodb"), place.app), now_ms()


def _local_table(url: str | None) -> Table:
    """The table of the local stack that runs in this folder."""
    import urllib.error
    import urllib.request

    import boto3

    from chalicelib.client.session import find_session
    from chalicelib.store.table import Table

    url = find_session(url).url
    try:
        with urllib.request.urlopen(f"{url}/healthz", timeout=5):
            pass
    except OSError:
        raise CommandError(f"no local stack answers at {url}: start it (nightshift up), or name a --stage") from None
    keys: dict[str, Any] = {"aws_access_key_id": LOCAL, "aws_secret_access_key": LOCAL}
    return Table(boto3.client("dynamodb", endpoint_url=url, region_name="us-east-1", **keys), "nightshift-local")


def _print(out: Any, found: list[dict[str, Any]]) -> None:
    from rich.markup import escape

    from chalicelib.cli.output import new_table, relative
    from chalicelib.domain.clock import iso

    rows = [token | {"created_at": iso(token["created_at"])} for token in found]
    if out.as_json:
        out.document({"tokens": rows})
        return
    table = new_table("Id", "Name", "Made")
    for row in rows:
        table.add_row(row["id"], escape(row["name"]), relative(row["created_at"]))
    out.console.print(table)
