"""`nightshift run`: one file, this process, nothing kept."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from chalicelib.cli.command import UsageProblem
from chalicelib.cli.trial import choose
from chalicelib.domain.model import Catalog, CatalogTask, Pipeline, Step
from tests.unit.test_cli_catalog import nightshift, project

__all__ = ["project"]

FILE = """\
pipelines:
  - name: greet
    processors:
      - parrot: {text: "hello ${args.name}, ${secret:token}"}
        name: first
      - exec: {command: [sh, -c, "echo out; exit ${args.code}"]}
tasks:
  - {id: greeting, pipeline: greet, parameters: {name: {default: world}, code: {type: number, default: 0}}}
"""


@pytest.fixture
def file(project: Path) -> Path:
    """A file outside of chalicelib/tasks, and a developer's secrets."""
    (project / "secrets.yaml").write_text("token: t0ken\n")
    path = project / "trial.yaml"
    path.write_text(FILE)
    return path


def test_run_prints_each_step_with_its_lines_and_says_how_it_ended(project: Path, file: Path) -> None:
    done = nightshift(project, "run", "trial.yaml", "--arg", "name=moon")
    assert done.returncode == 0, done.stdout + done.stderr
    begin, said, end, *rest = done.stdout.splitlines()
    assert (begin, said) == ("▶ first  parrot", "  hello moon, ***")
    assert end.startswith("✓ first  ")
    assert rest[:2] == ["▶ exec", "  out"]
    assert "greet completed after" in done.stdout
    assert not (project / ".nightshift").exists()


def test_a_dry_run_shows_and_does_nothing(project: Path, file: Path) -> None:
    done = nightshift(project, "run", "trial.yaml", "--dry-run")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "text: hello world, ***" in done.stdout
    assert 'command: ["sh", "-c", "echo out; exit 0"]' in done.stdout
    assert "▶" not in done.stdout
    assert "t0ken" not in done.stdout


def test_a_reference_to_nothing_is_told_with_its_place_and_nothing_runs(project: Path, file: Path) -> None:
    file.write_text(FILE.replace("${args.name}", "${args.nmae}"))
    done = nightshift(project, "run", "trial.yaml")
    assert done.returncode == 1
    place = "trial.yaml:4: pipelines[0].processors[0].parrot.text"
    assert done.stdout.startswith(f"{place}: ${{args.nmae}}: the task 'greeting' has no parameter 'nmae' (did you mean 'name'?)")
    assert "▶" not in done.stdout


TASK = {"function": "task_t", "pipeline": "greet"}
CATALOG = Catalog(
    pipelines={name: Pipeline(name=name, steps=[Step(processor="echo")]) for name in ("greet", "other", "python:f")},
    tasks={
        "greeting": CatalogTask(id="greeting", **TASK),
        "lost": CatalogTask(id="lost", **TASK | {"pipeline": "elsewhere"}),
    },
)


@pytest.mark.parametrize(
    ("pipeline", "task", "says"),
    [
        (None, None, "say which with --pipeline: f.yaml has greet, other"),
        ("gret", None, "there is no pipeline 'gret' (did you mean 'greet'?)"),
        (None, "greting", "there is no task 'greting' (did you mean 'greeting'?)"),
        ("other", "greeting", "the task 'greeting' runs the pipeline 'greet', not 'other'"),
        (None, "lost", "f.yaml has no pipeline 'elsewhere', which the task 'lost' runs"),
    ],
)
def test_what_is_not_there_cannot_be_chosen(pipeline: str | None, task: str | None, says: str) -> None:
    with pytest.raises(UsageProblem) as raised:
        choose(CATALOG, "f.yaml", pipeline, task)
    assert says in str(raised.value)


def test_the_only_task_that_uses_a_pipeline_comes_with_it() -> None:
    assert choose(CATALOG, "f.yaml", "greet", None) == (CATALOG.pipelines["greet"], CATALOG.tasks["greeting"])
    assert choose(CATALOG, "f.yaml", "other", None) == (CATALOG.pipelines["other"], None)
    assert choose(CATALOG, "f.yaml", None, "greeting")[1] is CATALOG.tasks["greeting"]


def test_ctrl_c_stops_the_run_and_what_always_runs_still_does(project: Path, file: Path) -> None:
    pipeline = FILE.replace("exit ${args.code}", "sleep 30")
    file.write_text(pipeline.replace("tasks:", "    always:\n      - parrot: {text: bye}\ntasks:"))
    command = [sys.executable, "-m", "chalicelib.cli", "run", "trial.yaml"]
    environment = os.environ | {"PYTHONPATH": str(project), "PYTHONDONTWRITEBYTECODE": "1"}
    with subprocess.Popen(command, cwd=project, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "out" in line:
                process.send_signal(signal.SIGINT)
                break
        rest = process.stdout.read()
        assert process.wait(20) == 3
    assert "  bye" in rest
    assert "greet stopped" in rest
