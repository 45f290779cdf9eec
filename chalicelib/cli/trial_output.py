"""How `run` shows a pipeline at work, and what it would do."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from chalicelib.cli.output import STATUS_STYLES, Output, plain
from chalicelib.cli.terminal import EXIT_CODES, live_bar

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text
    from rich.tree import Tree

    from chalicelib.engine.preview import StepPreview
    from chalicelib.engine.trial import Trial

SIGNS = {"completed": "✓", "failed": "✗", "stopped": "■", "skipped": "–"}
ANSWERS = {True: ("it holds", "green"), False: ("it does not: skipped", "yellow"), None: ("known in the run", "dim")}
TITLES = {"on_success": "when all is well", "on_failure": "when a step has failed", "always": "in any case"}


def show_trial(trial: Trial, output: Output) -> int:
    """Run it, and print what it says, step by step; the exit code tells how it ended. As JSON only the outcome."""
    from chalicelib.engine.trial import run_trial

    if output.as_json:
        outcome = run_trial(trial, lambda _: None)
        output.document(outcome.as_json())
        return EXIT_CODES[outcome.status]
    output.console.file = sys.stdout  # while the pipeline runs, sys.stdout is the pipeline's
    printer = _Printer(output.console)
    with live_bar(output, {"status": "running"}) as bar:

        def show(event: Mapping[str, Any]) -> None:
            printer.show(event)
            bar.show(event)

        outcome = run_trial(trial, show)
    _print_outcome(outcome.as_json(), trial.pipeline.name, output.console)
    return EXIT_CODES[outcome.status]


def show_preview(trial: Trial, output: Output) -> int:
    """Print what every step would do; 1 when a problem is seen."""
    from chalicelib.engine.preview import preview

    lists = preview(trial)
    found = any(_has_problem(step) for steps in lists.values() for step in steps)
    if output.as_json:
        output.document({name: [step.as_json() for step in steps] for name, steps in lists.items()})
        return int(found)
    from rich.text import Text
    from rich.tree import Tree

    tree = Tree(Text.assemble((trial.pipeline.name, "bold"), ("  would do this; nothing is done", "dim")))
    for name, steps in lists.items():
        branch = tree.add(Text(TITLES[name], style="italic")) if name in TITLES else tree
        for number, step in enumerate(steps, 1):
            _add(branch, step, number)
    output.console.print(tree)
    return int(found)


def _has_problem(step: StepPreview) -> bool:
    return bool(step.problems) or any(_has_problem(inner) for steps in step.steps.values() for inner in steps)


def _add(tree: Tree, step: StepPreview, number: int) -> None:
    from rich.text import Text

    head = Text.assemble(f"{number}. ", (step.name, "bold"))
    if step.name != step.processor:
        head.append(f"  {step.processor}", "cyan")
    for name, value in step.options.items():
        head.append(f"  {name} {value}", "dim")
    branch = tree.add(head)
    branch.add(Text(plain(step.says), style="dim" if step.runs is False else ""))
    if step.when is not True:
        answer, style = ANSWERS[step.runs]
        branch.add(Text.assemble("when ", (_value(step.when), "magenta"), "  ", (answer, style)))
    for key, value in step.config.items():
        branch.add(Text.assemble((f"{key}: ", "cyan"), plain(_value(value))))
    for problem in step.problems:
        branch.add(Text(f"✗ {plain(problem)}", style="red"))
    for where, steps in step.steps.items():
        inner = branch.add(Text(f"{where}:", style="cyan"))
        for index, each in enumerate(steps, 1):
            _add(inner, each, index)


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


class _Printer:
    """Prints events, the lines below the step that says them."""

    def __init__(self, console: Console) -> None:
        self._console, self._depth = console, 0

    def show(self, event: Mapping[str, Any]) -> None:
        from rich.text import Text

        if event.get("type") == "step":
            self._depth = int(event.get("depth") or 0)
            self._print(_step(event))
        elif event.get("type") == "line":
            line = _line(str(event.get("text", "")), self._console)
            if style := "yellow" if event.get("level") == "warning" else "red" if _is_bad(event) else "":
                line.stylize(style)
            step = f"{plain(str(event.get('step', '')))}: "
            said_by = step if event.get("step") and not line.plain.startswith(step) else ""
            self._print(Text.assemble("  ", (said_by, "dim"), line))

    def _print(self, text: Text) -> None:
        from rich.text import Text

        self._console.print(Text("  " * self._depth) + text, soft_wrap=True)


def _is_bad(event: Mapping[str, Any]) -> bool:
    return event.get("stream") == "stderr" or event.get("level") == "error"


def _line(text: str, console: Console) -> Text:
    """With its colours on a terminal that shows them."""
    from rich.text import Text

    return Text.from_ansi(text) if console.is_terminal and not console.no_color else Text(plain(text))


def _step(event: Mapping[str, Any]) -> Text:
    """`▶ dump  exec` when it begins, `✓ dump  1.2s` when it has ended."""
    from rich.text import Text

    status, name = str(event.get("status")), plain(str(event.get("name")))
    if status == "running":
        shown = Text.assemble(("▶ ", "bold blue"), (name, "bold"))
        return shown.append(f"  {event.get('processor')}", "cyan") if event.get("processor") != name else shown
    style = STATUS_STYLES.get(status, "dim")
    shown = Text.assemble((f"{SIGNS.get(status, '·')} ", style), name)
    shown.append(f"  {event.get('duration') or status}", "dim")
    return shown.append(f"  {plain(str(event['error']))}", "red") if event.get("error") else shown


def _print_outcome(outcome: Mapping[str, Any], name: str, console: Console) -> None:
    from rich.text import Text

    status = str(outcome["status"])
    console.print(
        Text.assemble("\n", (name, "bold"), " ", (status, STATUS_STYLES.get(status, "")), f" after {outcome['duration']}")
    )
    if error := outcome["error"]:
        where = f"in step {error['step']}: " if error.get("step") else ""
        console.print(Text(f"{where}{error['type']}: {plain(str(error['message']))}", style="red"), soft_wrap=True)
    elif outcome["result"] is not None:
        console.print(Text(plain(json.dumps(outcome["result"], indent=2, ensure_ascii=False, default=str))), soft_wrap=True)
