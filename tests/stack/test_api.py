"""What the REST API answers, right and wrong."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest

from tests.stack.conftest import Door, eventually

INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z")


def problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    """The problem that an answer is, after a look at what all problems have."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].partition(";")[0] == "application/problem+json"
    told = dict(answer.json())
    assert told["status"] == status
    assert told["title"]
    assert isinstance(told["detail"], str)
    return told


def fields(answer: httpx.Response, status: int = 422) -> set[str]:
    return {error["field"] for error in problem(answer, status)["errors"]}


def test_task_list_has_what_a_table_of_tasks_needs(door: Door) -> None:
    door.done("hello")
    answer = door.get("/tasks/")
    assert answer["next_cursor"] is None
    tasks = {task["id"]: task for task in answer["tasks"]}
    hello = tasks["hello"]
    assert hello["name"] == "Hello"
    assert hello["status"] == "completed"
    assert INSTANT.fullmatch(hello["last_run"])
    assert INSTANT.fullmatch(hello["next_run"])
    assert re.fullmatch(r"[\d.]+(ms|s)", hello["duration"])
    others = "title description category tags icon enabled schedule schedule_text time_zone pipeline danger expensive parameters"
    assert set(others.split()) <= set(hello)
    never_ran = tasks["broken_step"]
    assert (never_ran["status"], never_ran["last_run"], never_ran["next_run"], never_ran["duration"]) == ("scheduled", *[None] * 3)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"q": "polite greet"}, {"hello"}),
        ({"category": "steps"}, {"three_steps"}),
        ({"tag": "quick"}, {"hello"}),
        ({"status": "disabled"}, set()),
        ({"q": "nothing like it"}, set()),
    ],
)
def test_task_list_can_be_narrowed(door: Door, query: dict[str, str], found: set[str]) -> None:
    assert {task["id"] for task in door.get("/tasks/", **query)["tasks"]} == found


def test_one_task_is_told_with_its_parameters(door: Door) -> None:
    task = door.get("/task/forms")
    kinds = {parameter["name"]: parameter["type"] for parameter in task["parameters"]}
    assert kinds == {"text": "text", "size": "number", "kind": "select", "sure": "boolean"}
    assert [parameter["name"] for parameter in task["parameters"] if parameter["required"]] == ["text"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/task/nothing"),
        ("POST", "/task/nothing/_start"),
        ("POST", "/task/nothing/_run"),
        ("POST", "/task/nothing/_stop"),
        ("PATCH", "/task/nothing"),
        ("DELETE", "/task/nothing"),
        ("GET", "/task/nothing/runs"),
        ("GET", "/run/01ARZ3NDEKTSV4RRFFQ69G5FAV"),
        ("GET", "/run/nothing"),
        ("GET", "/run/nothing/log"),
        ("GET", "/run/nothing/result"),
        ("POST", "/run/nothing/_stop"),
        ("POST", "/run/nothing/_retry"),
        ("GET", "/no/such/path"),
        ("GET", "/taskss"),
    ],
)
def test_what_is_not_there_is_404(door: Door, method: str, path: str) -> None:
    problem(door.http.request(method, path), 404)


@pytest.mark.parametrize(("method", "path"), [("DELETE", "/tasks"), ("GET", "/task/hello/_start"), ("PUT", "/runs")])
def test_wrong_method_is_405(door: Door, method: str, path: str) -> None:
    problem(door.http.request(method, path), 405)


@pytest.mark.parametrize(
    ("args", "wrong"),
    [
        ({}, {"text"}),
        ({"text": "ok", "size": 10}, {"size"}),
        ({"text": "ok", "size": "many"}, {"size"}),
        ({"text": "x", "kind": "huge"}, {"text", "kind"}),
        ({"text": "ok", "sure": "perhaps"}, {"sure"}),
        ({"text": "ok", "colour": "red"}, {"colour"}),
    ],
)
def test_bad_argument_is_422_and_named(door: Door, args: dict[str, Any], wrong: set[str]) -> None:
    before = door.get("/task/forms/runs")["runs"]
    assert fields(door.http.post("/task/forms/_start", json={"args": args})) == wrong
    assert door.get("/task/forms/runs")["runs"] == before


def test_unknown_field_of_the_body_is_422_and_named(door: Door) -> None:
    assert fields(door.http.post("/task/hello/_start", json={"arguments": {}})) == {"arguments"}


@pytest.mark.parametrize("body", [b"{", b"[]", b'"text"', b"\xff\xfe", b'{"args": []}', b'{"args": "x"}'])
def test_bad_body_is_400(door: Door, body: bytes) -> None:
    problem(door.http.post("/task/hello/_start", content=body, headers={"Content-Type": "application/json"}), 400)


@pytest.mark.parametrize(
    "path",
    [
        "/runs?limit=0",
        "/runs?limit=x",
        "/runs?limit=%C2%B2",
        "/runs?limit=" + "1" * 5000,
        "/runs?status=odd",
        "/runs?since=yesterday",
        "/runs?cursor=x",
        "/tasks?status=odd",
    ],
)
def test_bad_query_is_400(door: Door, path: str) -> None:
    problem(door.http.get(path), 400)


def test_stop_of_a_task_without_active_run_is_409(door: Door) -> None:
    door.done("hello")
    problem(door.http.post("/task/hello/_stop"), 409)


def test_stop_of_a_finished_run_is_409(door: Door) -> None:
    run = door.done("hello")
    problem(door.http.post(f"/run/{run['id']}/_stop"), 409)


def test_start_of_a_disabled_task_is_409(door: Door) -> None:
    try:
        assert door.http.patch("/task/table", json={"enabled": False}).json()["status"] == "disabled"
        # Another process that serves the API may still know it as it was, for some seconds.
        refused = eventually(lambda: (answer := door.http.post("/task/table/_start")).status_code == 409 and answer)
        problem(refused, 409)
    finally:
        assert door.http.patch("/task/table", json={"enabled": True}).status_code == 200


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic dGVzdA=="}])
def test_nothing_but_what_is_public_is_told_without_a_token(door: Door, headers: dict[str, str]) -> None:
    document = httpx.get(f"{door.stack.url}/openapi.json").json()
    operations = [(m, p, o) for p, methods in document["paths"].items() for m, o in methods.items()]
    assert len(operations) > 15
    public = set()
    with httpx.Client(base_url=door.stack.url, headers=headers) as stranger:
        for method, path, operation in operations:
            answer = stranger.request(method.upper(), path.replace("{task_id}", "hello").replace("{run_id}", "x"))
            if answer.status_code == 401:
                problem(answer, 401)
                assert answer.headers["www-authenticate"] == "Bearer"
                assert operation["security"]
            else:
                assert answer.status_code == 200, f"{method} {path}"
                public.add(path)
    assert public == {"/healthz", "/openapi.json"}


def test_pipelines_and_processors_are_told(door: Door) -> None:
    pipelines = {entry["name"]: entry for entry in door.get("/pipelines")["pipelines"]}
    assert [step["processor"] for step in pipelines["three_steps"]["steps"]] == ["echo", "sleep", "exec"]
    assert pipelines["three_steps"]["tasks"] == ["three_steps"]
    processors = {entry["name"]: entry for entry in door.get("/processors")["processors"]}
    assert processors["echo"]["config_schema"]["properties"]["message"]


def test_task_made_at_run_time_runs(door: Door) -> None:
    answer = door.http.put("/task/made-here", json={"pipeline": "three_steps", "title": "Made here"})
    assert answer.status_code == 201, answer.text
    try:
        run = door.done("made-here")
        assert (run["status"], len(run["steps"])) == ("completed", 3)
    finally:
        assert door.http.delete("/task/made-here").status_code == 204
    eventually(lambda: door.http.get("/task/made-here").status_code == 404)
