"""The GitHub workflows: well formed, without secrets, and of commands that there are."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.package.build import ROOT

FILES = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
JOB_KEYS = {
    "name",
    "needs",
    "if",
    "runs-on",
    "timeout-minutes",
    "environment",
    "permissions",
    "env",
    "strategy",
    "steps",
    "uses",
    "with",
}
STEP_KEYS = {"name", "id", "if", "uses", "with", "run", "env", "working-directory"}
CONTEXTS = {"github", "inputs", "vars", "matrix", "env", "steps", "needs"}


def read(path: Path) -> dict[str, Any]:
    # YAML 1.1 takes the key `on` for true.
    return {"on" if key is True else key: value for key, value in yaml.safe_load(path.read_text()).items()}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_workflow_is_well_formed(path: Path) -> None:
    workflow = read(path)
    assert {"name", "on", "permissions", "jobs"} <= workflow.keys()
    assert set(workflow["permissions"].values()) <= {"read"}, "what may be written is said by the job that does it"
    for name, job in workflow["jobs"].items():
        assert job.keys() <= JOB_KEYS, name
        needs = job.get("needs", [])
        assert set([needs] if isinstance(needs, str) else needs) <= workflow["jobs"].keys()
        assert ("uses" in job) != ("steps" in job)
        if "uses" in job:
            assert (ROOT / job["uses"]).is_file()
            assert "workflow_call" in read(ROOT / job["uses"])["on"]
            continue
        assert job["timeout-minutes"] <= 60
        for step in job["steps"]:
            assert step.keys() <= STEP_KEYS, step
            assert ("uses" in step) != ("run" in step), step
            assert "uses" not in step or re.fullmatch(r"[\w-]+/[\w-]+@v\d+(\.\d+)*", step["uses"]), step


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_workflow_has_no_secret_and_puts_no_input_into_a_shell(path: Path) -> None:
    text = path.read_text()
    assert "secrets." not in text
    assert not re.search(r"AKIA|aws-access-key|aws-secret", text)
    for job in read(path)["jobs"].values():
        for step in job.get("steps", []):
            assert "${{" not in step.get("run", ""), "say it by env: an expression in a script is code"
    for expression in re.findall(r"\$\{\{ *(.*?) *\}\}", text):
        assert set(re.findall(r"\b([a-z]+)\.", expression)) <= CONTEXTS, expression


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_workflow_runs_commands_that_there_are(path: Path) -> None:
    import typer.main

    from chalicelib.cli.app import app

    targets = set(re.findall(r"^([\w./-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    commands: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    for job in read(path)["jobs"].values():
        for line in [line for step in job.get("steps", []) for line in step.get("run", "").splitlines()]:
            program, *words = line.split()
            if program == "make":
                assert set(words) <= targets, line
            else:
                assert program == ".venv/bin/nightshift", line
                known = {name for option in commands[words[0]].params for name in option.opts}
                assert {word for word in words[1:] if word.startswith("--")} <= known, line


def test_the_one_that_deploys_may_ask_github_who_it_is() -> None:
    job = read(ROOT / ".github" / "workflows" / "deploy.yml")["jobs"]["deploy"]
    assert job["permissions"] == {"contents": "read", "id-token": "write"}
    assert job["needs"] == "test"
    assert job["environment"]
