"""Who started, stopped and changed what: the name of the token that asked for it."""

from __future__ import annotations

import httpx
import pytest

from chalicelib.domain.clock import now_ms
from chalicelib.store.table import Table
from chalicelib.store.tokens import put_token
from tests.stack.conftest import Door


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
