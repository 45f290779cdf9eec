"""Who started, stopped and changed what: the name of the token that asked for it."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import httpx
import pytest

from chalicelib.domain.clock import now_ms
from chalicelib.store.table import Table
from chalicelib.store.tokens import put_token
from tests.stack.conftest import ROOT, Door, eventually


@pytest.fixture(scope="module")
def people(door: Door) -> dict[str, httpx.Client]:
    """Doors of people with tokens of their own."""
    table = Table(door.stack.client("dynamodb"), "nightshift-local")
    for name in ("ada", "grace"):
        put_token(table, f"token-of-{name}", name, now_ms())
    return {
        name: httpx.Client(base_url=door.stack.url, headers={"Authorization": f"Bearer token-of-{name}"}, timeout=60)
        for name in ("ada", "grace")
    }


def test_a_run_says_who_started_and_who_stopped_it(door: Door, people: dict[str, httpx.Client]) -> None:
    run_id = people["ada"].post("/task/sleeper/_start", json={"args": {"seconds": 60}}).json()["run_id"]
    door.wait(run_id, "running")
    assert people["grace"].post(f"/run/{run_id}/_stop").status_code == 202
    people["ada"].post(f"/run/{run_id}/_stop")
    run = door.wait(run_id)
    assert (run["status"], run["started_by"], run["stopped_by"]) == ("stopped", "ada", "grace"), "whoever was the first"
    again = people["grace"].post(f"/run/{run_id}/_retry").json()["run_id"]
    assert (door.run(again)["started_by"], door.run(again)["stopped_by"]) == ("grace", None)
    assert people["ada"].post("/task/sleeper/_stop").json() == {"stopped": [again]}
    assert door.wait(again)["stopped_by"] == "ada"
    page = people["ada"].get(f"/admin/run/{run_id}").text
    assert "by ada" in page
    assert "by grace" in page
    listed = people["ada"].get("/task/sleeper/runs").json()["runs"]
    assert {r["id"]: r["started_by"] for r in listed}[run_id] == "ada"


def test_a_task_says_who_changed_it(door: Door, people: dict[str, httpx.Client]) -> None:
    assert (door.get("/task/hello")["changed_by"], door.get("/task/hello")["changed_at"]) == (None, None)
    changed = people["ada"].patch("/task/hello", json={"title": "Hello there"}).json()
    assert changed["changed_by"] == "ada"
    assert changed["changed_at"] > "2025"
    assert "by ada" in people["grace"].get("/admin/task/hello").text
    assert door.http.patch("/task/hello", json={"title": None}).json()["changed_by"] is None, "the stack's own token is nobody's"


def test_what_nobody_asked_for_names_nobody(door: Door) -> None:
    run = door.done("hello")
    assert (run["started_by"], run["stopped_by"]) == (None, None)


def test_everything_is_paused_from_the_page_and_says_by_whom(door: Door, people: dict[str, httpx.Client]) -> None:
    ada, form = people["ada"], {"Sec-Fetch-Site": "same-origin"}
    for page in ("/admin/schedule", "/admin/task"):
        assert "Everything is paused" not in ada.get(page).text
    answer = ada.post("/admin/schedule/paused", data={"paused": "true", "back": "schedule"}, headers=form)
    assert (answer.status_code, answer.headers["location"]) == (303, "../../admin/schedule")
    assert door.get("/task/hello")["paused"]
    assert re.search(r"Everything is paused</b>, <time.*</time> by ada\.", people["grace"].get("/admin/schedule").text)
    eventually(lambda: "Everything is paused" in people["grace"].get("/admin/task").text, 10)
    answer = ada.post("/admin/schedule/paused", data={"paused": "false", "back": "tasks"}, headers=form)
    assert (answer.status_code, answer.headers["location"]) == (303, "../../admin/task")
    assert not door.get("/task/hello")["paused"]
    assert "Everything is paused" not in ada.get("/admin/schedule").text


def test_the_command_pauses_one_task_or_all(door: Door) -> None:
    def command(*args: str) -> str:
        arguments = [sys.executable, "-m", "chalicelib.cli", "--url", door.stack.url, "--token", door.stack.token, *args]
        return subprocess.run(arguments, capture_output=True, text=True, cwd=ROOT, timeout=60, check=True).stdout.strip()

    assert command("pause", "hello").endswith("Go on with: nightshift resume hello")
    assert door.get("/task/hello")["paused"]
    assert not door.get("/task/lines")["paused"]
    assert json.loads(command("pause", "--json")) == {"task_id": None, "paused": True}
    assert door.get("/task/lines")["paused"]
    assert "once all tasks are resumed" in command("resume", "hello")
    assert command("resume") == "Fires of all tasks are taken again."
    assert not door.get("/task/hello")["paused"]
