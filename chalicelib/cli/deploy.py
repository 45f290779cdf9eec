"""`provision`, `deploy` and `destroy`: the product in an AWS account."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chalicelib.cli.command import CommandError, output
from chalicelib.cli.output import note

if TYPE_CHECKING:
    from chalicelib.cli.output import Output
    from infra.deploy.deploy import Deployed
    from infra.deploy.plan import Plan
    from infra.deploy.stage import Stage

StageName = Annotated[str, typer.Option("--stage", "-s", help="Which deployment: all its names carry this one.")]
Region = Annotated[str | None, typer.Option(help="AWS region; else the environment's or the profile's.", show_default=False)]
Profile = Annotated[str | None, typer.Option(help="Profile of ~/.aws/config.", show_default=False)]
OnlyPlan = Annotated[bool, typer.Option("--plan", help="Say what would change, and change nothing in the account.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Monitoring = Annotated[
    bool | None, typer.Option("--monitoring/--no-monitoring", help="Alarms and dashboard; on at first.", show_default=False)
]
AlertEmail = Annotated[str | None, typer.Option(help="Who is told of failed runs and alarms; '' for nobody.", show_default=False)]

SIGNS = {"add": ("+", "green"), "change": ("~", "yellow"), "replace": ("!", "red"), "remove": ("-", "red")}
ASK = "Go on?"


def provision(
    ctx: typer.Context,
    stage: StageName = "dev",
    region: Region = None,
    profile: Profile = None,
    plan: OnlyPlan = False,
    yes: Yes = False,
    monitoring: Monitoring = None,
    alert_email: AlertEmail = None,
) -> None:
    """Make table, bucket, topic and alarms of a stage, and prepare .chalice/config.json: `chalice deploy` works then."""
    from infra.deploy.deploy import Wishes, prepare
    from infra.deploy.deploy import provision as do_provision
    from infra.deploy.stack import discard

    out = output(ctx)
    with plainly():
        place = _stage(stage, region, profile)
        _, planned = prepare(place, Wishes(monitoring=monitoring, alert_email=alert_email))
        planned.changes, planned.code = [], False
        if not _agreed(out, place, planned, only_plan=plan, yes=yes):
            discard(place, planned.stack)
            return
        with _told(out) as told:
            do_provision(place, planned, told)
    _say(out, {"stage": stage, "changed": not planned.is_empty}, f"stage {stage} is provisioned: chalice deploy --stage {stage}")


def deploy(
    ctx: typer.Context,
    stage: StageName = "dev",
    region: Region = None,
    profile: Profile = None,
    plan: OnlyPlan = False,
    yes: Yes = False,
    arch: Annotated[str | None, typer.Option(help="arm64 or x86_64, of the functions.", show_default=False)] = None,
    monitoring: Monitoring = None,
    alert_email: AlertEmail = None,
    force: Annotated[bool, typer.Option("--force", help="Deploy the code although it is what is deployed.")] = False,
    check: Annotated[bool, typer.Option("--check/--no-check", help="Knock at the deployed doors afterwards.")] = True,
) -> None:
    """Deploy a stage, or bring it up to date: compile, provision, chalice deploy, sync, and a look whether it works."""
    from infra.deploy.config import ARCHITECTURES
    from infra.deploy.deploy import Wishes, prepare
    from infra.deploy.deploy import deploy as do_deploy
    from infra.deploy.doors import check_doors
    from infra.deploy.stack import discard

    out = output(ctx)
    if arch is not None and arch not in ARCHITECTURES:
        raise CommandError(f"--arch {arch}: {' or '.join(ARCHITECTURES)}")
    with plainly():
        place = _stage(stage, region, profile)
        _, planned = prepare(place, Wishes(arch, monitoring, alert_email, force))
        if not _agreed(out, place, planned, only_plan=plan, yes=yes):
            discard(place, planned.stack)
            return
        with _told(out) as told:
            done = do_deploy(place, planned, told)
            if check:
                told("knocking at the doors")
                check_doors(done.api_url, done.websocket_url if done.streams else "", done.token, told)
    _show(out, place, done)


def destroy(
    ctx: typer.Context,
    stage: Annotated[str, typer.Option("--stage", "-s", help="Which deployment.")],
    region: Region = None,
    profile: Profile = None,
    plan: OnlyPlan = False,
    yes: Yes = False,
    keep_data: Annotated[bool, typer.Option("--keep-data", help="Keep table and bucket, for a later deploy.")] = False,
) -> None:
    """Remove a stage from the account: functions, roles, rules, APIs, logs, and its data."""
    from infra.deploy.destroy import destroy as do_destroy
    from infra.deploy.destroy import look

    out = output(ctx)
    with plainly():
        place = _stage(stage, region, profile)
        remains = look(place)
        if remains.is_empty:
            _say(out, {"stage": stage, "removed": False}, f"there is nothing of stage {stage} in {place.account}, {place.region}")
            return
        kept = " (kept)" if keep_data else " (gone for good)"
        note(f"Stage {stage} in account {place.account}, {place.region}: {len(remains.found.functions)} functions,")
        note(f"their logs and roles, {len(remains.found.rules)} rules, the APIs; data: {', '.join(remains.data) or 'none'}{kept}")
        if plan:
            return
        _ask_for_name(stage, yes)
        with _told(out) as told:
            do_destroy(place, keep_data, told)
    _say(
        out, {"stage": stage, "removed": True}, f"stage {stage} is gone" + (", its table and bucket are kept" if keep_data else "")
    )


def _stage(name: str, region: str | None, profile: str | None) -> Stage:
    from chalicelib.cli.project import find_project
    from infra.deploy.stage import Stage

    return Stage.find(name, find_project(), region, profile)


@contextmanager
def plainly() -> Iterator[None]:
    """What goes wrong in the account, as a message for people."""
    from botocore.exceptions import BotoCoreError, ClientError

    from infra.deploy.stage import DeployError

    try:
        yield
    except DeployError as error:
        *details, last = str(error).splitlines()
        for line in details:
            note(line)
        raise CommandError(last) from error
    except ClientError as error:
        told = error.response["Error"]
        raise CommandError(f"AWS refuses {error.operation_name}: {told['Code']}: {told.get('Message')}") from error
    except BotoCoreError as error:
        raise CommandError(f"AWS cannot be reached: {error}") from error


def _agreed(out: Output, stage: Stage, plan: Plan, *, only_plan: bool, yes: bool) -> bool:
    """Show the plan; whether to go on. Only people are asked, a program has decided by calling."""
    if out.as_json and only_plan:
        changes = [vars(change) for change in plan.all]
        out.document({"stage": stage.name, "account": stage.account, "region": stage.region, "changes": changes, "code": plan.code})
        return False
    _print_plan(out, stage, plan)
    if only_plan:
        return False
    return yes or plan.is_empty or not sys.stdin.isatty() or typer.confirm(ASK, default=True, err=True)


def _print_plan(out: Output, stage: Stage, plan: Plan) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=True, highlight=False, no_color=out.console.no_color or None)
    console.print(f"Stage {stage.name} in account {stage.account}, {stage.region}", style="bold")
    for change in plan.all:
        sign, color = SIGNS[change.action]
        text = Text.assemble((f"  {sign} ", color), (change.name, "bold"), f"  {change.kind}")
        if change.detail:
            text.append(f"  {change.detail}", "dim")
        console.print(text, soft_wrap=True)
    if plan.code:
        console.print("  ~ the code or its settings", style="yellow")
    if plan.is_empty:
        console.print("  nothing would change", style="dim")


@contextmanager
def _told(out: Output) -> Iterator[Callable[[str], None]]:
    """What is being done: the last line of a terminal, or a line each on stderr."""
    if out.as_json or not sys.stderr.isatty():
        yield lambda text: None if out.as_json else note(f"  {text}")
        return
    from rich.console import Console
    from rich.markup import escape

    with Console(stderr=True).status("") as status:
        yield lambda text: status.update(escape(text))


def _ask_for_name(stage: str, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise CommandError("this removes a whole stage: say --yes when you mean it")
    if typer.prompt(f"Type the stage's name ({stage}) to remove it", default="", show_default=False, err=True) != stage:
        raise CommandError("aborted")


def _show(out: Output, stage: Stage, done: Deployed) -> None:
    page = f"{done.api_url}/admin/task"
    if out.as_json:
        out.document({"stage": stage.name, **vars(done)})
        return
    rows: list[tuple[str, str]] = [("Pages", page), ("API", done.api_url), ("WebSocket", done.websocket_url)]
    if done.token:
        rows.append(("Token", done.token))
        note("This token is shown once; nightshift token makes others.")
    for name, value in rows:
        out.text(f"{name:10} {value}")


def _say(out: Output, document: dict[str, Any], text: str) -> None:
    if out.as_json:
        out.document(document)
    else:
        out.text(text)
