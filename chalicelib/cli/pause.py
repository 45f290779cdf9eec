"""`pause`, `resume`: whether fires become runs."""

from __future__ import annotations

from typing import Annotated

import typer

from chalicelib.cli.command import connect, output

MaybeTask = Annotated[str | None, typer.Argument(metavar="TASK", help="Only this task; else all of them.", show_default=False)]


def pause(ctx: typer.Context, task: MaybeTask = None) -> None:
    """Skip every fire, of one task or of all, until resumed; runs at work go on."""
    connect(ctx).pause(task)
    _say(ctx, task, True, f"Fires of {task or 'all tasks'} are skipped from now on. Go on with: nightshift resume {task or ''}")


def resume(ctx: typer.Context, task: MaybeTask = None) -> None:
    """Take fires again, of one task or of all."""
    still = bool(connect(ctx).resume(task)["paused"])
    more = ", once all tasks are resumed (nightshift resume)" if still else " again"
    _say(ctx, task, still, f"Fires of {task or 'all tasks'} are taken{more}.")


def _say(ctx: typer.Context, task: str | None, paused: bool, words: str) -> None:
    out = output(ctx)
    if out.as_json:
        out.document({"task_id": task, "paused": paused})
    else:
        out.console.print(words.strip(), markup=False)
