"""What deploying meets while it works: doors that answer, runs that go on, alerts that are sent."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from chalicelib.cli.app import app
from infra.deploy import doors
from infra.deploy.stage import DeployError
from tests.stack.conftest import ROOT, Door, eventually, make_stack, whole

TASKS = Path(__file__).parent / "project" / "tasks"
TOPIC = "arn:aws:sns:us-east-1:123456789012:nightshift-local-alerts"


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """A stack that takes up changed code, on a copy of the project."""
    folder = tmp_path_factory.mktemp("running")
    project = folder / "project"
    ignored = shutil.ignore_patterns("__pycache__", "tasks", "catalog.json")
    shutil.copytree(ROOT / "chalicelib", project / "chalicelib", ignore=ignored)
    shutil.copytree(TASKS, project / "chalicelib" / "tasks", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "app.py", project)
    hook = "chalicelib.cli.project:compile_for_stack"
    with make_stack(project, folder / "data", hook, reload=True, env={"NIGHTSHIFT_TOPIC_ARN": TOPIC}) as stack:
        found = Door(stack)
        with found.http:
            yield found


def test_a_run_that_is_overtaken_by_a_deploy_ends_on_the_code_it_began_with(door: Door) -> None:
    running = door.start("upgraded")["run_id"]
    door.says(running, "old begins")
    generation = door.stack.ask("status")["generation"]
    code = door.stack.project_dir / "chalicelib" / "tasks" / "upgraded.py"
    code.write_text(code.read_text().replace('CODE = "old"', 'CODE = "new"'))
    eventually(lambda: door.stack.ask("status")["generation"] > generation)
    after = door.wait(door.start("upgraded", seconds=0)["run_id"])
    assert (after["status"], after["result"]) == ("completed", {"code": "new"})
    before = door.wait(running)
    assert (before["status"], before["result"], before["attempt"]) == ("completed", {"code": "old"}, 1)
    assert door.lines(running) == ["old begins", "old ends"]
    assert whole(door.events(running))
    assert not door.slots()


def test_a_failed_run_is_published_to_the_topic_and_a_good_one_is_not(door: Door) -> None:
    marker = door.stack.marker()
    door.done("upgraded", seconds=0)
    door.done("fails")

    def published() -> list[str]:
        calls = door.stack.requests(since=marker)["requests"]
        return [call["function"] for call in calls if call["service"] == "sns"]

    assert [name.rsplit("-", 1)[1] for name in eventually(published)] == ["task_fails"]


def test_the_doors_of_a_deployment_that_works_are_found_open(door: Door) -> None:
    told: list[str] = []
    doors.check_doors(door.stack.url, f"{door.stack.ws_url}/ws/task", door.stack.token, told.append)
    assert len(told) == 3


@pytest.mark.parametrize("wrong", ["api", "token", "websocket"])
def test_a_door_that_does_not_work_is_named(door: Door, monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    monkeypatch.setattr(doors, "PATIENCE", 0.0)
    api = door.stack.url + ("/nowhere" if wrong == "api" else "")
    socket = f"{door.stack.ws_url}/" + ("nowhere" if wrong == "websocket" else "ws/task")
    token = "wrong" if wrong == "token" else door.stack.token
    with pytest.raises(DeployError, match="the WebSocket does not work" if wrong == "websocket" else "the API does not work"):
        doors.check_doors(api, socket, token, lambda text: None)


def test_a_token_of_the_local_stack_lets_in(door: Door) -> None:
    result = CliRunner().invoke(app, ["--url", door.stack.url, "token", "ada"])
    assert result.exit_code == 0, result.output
    made = result.output.strip()
    assert httpx.get(f"{door.stack.url}/tasks/", headers={"Authorization": f"Bearer {made}"}).status_code == 200
    assert "ada" in CliRunner().invoke(app, ["--url", door.stack.url, "token", "--list"]).output
