"""Values reach the steps; secrets reach nobody else: not the table, the API, a follower, or any log."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import yaml

from tests.stack.conftest import Door
from tests.stack.following import follow

PASSWORD = 'hunter2 "§/' + "p" * 60 + "end"
KEY = "k3y-with-enough-characters"
PARAMETER = "par4meter-of-the-store"
PEM = "-----BEGIN KEY-----\nMIIEvQIBADANBgkq\nhkiG9w0BAQEFAASC\n-----END KEY-----\n"
TRACES = [
    *(KEY, PARAMETER, PASSWORD, json.dumps(PASSWORD)[1:-1], quote(PASSWORD, safe=""), "MIIEvQIBADANBgkq"),
    *(base64.b64encode(text.encode()).decode().rstrip("=") for text in (KEY, PASSWORD)),
    *("hunter2", "pppppppp", KEY[:12], KEY[-12:]),  # parts that a cut would leave
]


@pytest.fixture(scope="module")
def seeded(project: Path) -> Iterator[None]:
    """A developer's file of secrets, which the stack takes up while it runs."""
    file = project / "secrets.yaml"
    content = {"stack/key": KEY, "stack/db": {"user": "app", "password": PASSWORD}, "stack/pem": PEM, "ssm:/stack/key": PARAMETER}
    file.write_text(yaml.safe_dump(content, allow_unicode=True))
    yield
    file.unlink()


def everything(door: Door, run_id: str) -> dict[str, str]:
    """All that anybody could see of a run, by where it was seen."""
    seen = {"api": json.dumps([door.run(run_id), door.events(run_id)], ensure_ascii=False)}
    for page in door.stack.client("dynamodb").get_paginator("scan").paginate(TableName="nightshift-local"):
        for item in page["Items"]:
            seen[f"table {item['pk']} {item['sk']}"] = json.dumps(item, default=_readable, ensure_ascii=False)
    for path in door.stack.data_dir.rglob("*.log"):
        seen[str(path.relative_to(door.stack.data_dir))] = path.read_text(errors="replace")
    return seen


def _readable(value: Any) -> str:
    data = bytes(value)
    try:
        return zlib.decompress(data).decode()
    except zlib.error:
        return data.decode("latin-1")


@pytest.mark.parametrize("task", ["careless", "careless_failure"])
def test_secrets_are_nowhere_but_in_the_steps(door: Door, seeded: None, task: str) -> None:
    started = door.start(task)
    followed = follow(started["websocket_url"])
    run = door.wait(started["run_id"])
    assert run["status"] == ("completed" if task == "careless" else "failed"), run["error"]
    seen = everything(door, run["id"]) | {"followed": json.dumps(followed.events, ensure_ascii=False)}
    assert len(seen) > 5
    found = [(where, trace) for where, text in seen.items() for trace in TRACES if trace in text]
    assert not found
    lines = followed.lines
    if task == "careless":
        assert lines[:4] == ["plain ***", "parameter ***", "in two ***", "***="]
        assert run["result"]["spill"] == {"password": "***", "quoted": "***", "list": [{"key": "***", "***": 1}]}
        logs = "".join(text for where, text in seen.items() if where.endswith(".log"))
        assert "logged by the engine's: ***" in logs
        assert any("logged ***" in line for line in (*lines, *logs.splitlines())), (lines[5:], logs)
    else:
        assert "***" in run["error"]["message"]
        assert any(line.startswith("it failed: yyy") for line in lines)
        assert any("duration: '***' is not a duration" in line for line in lines), lines


def test_a_missing_secret_is_named_and_not_tried_again(door: Door, seeded: None) -> None:
    run = door.done("secret_missing")
    message = "the secret 'stack/nothing' cannot be read from Secrets Manager: it does not exist"
    assert (run["status"], run["error"]["type"], run["error"]["message"]) == ("failed", "StepError", message)


def test_a_task_made_at_run_time_has_the_parameters_that_its_pipeline_refers_to(door: Door) -> None:
    task = {"pipeline": "day_of_week", "parameters": {"dya": {}}}
    refused = door.http.put("/task/made_with_values", json=task)
    assert refused.status_code == 422
    [error] = refused.json()["errors"]
    says = "the pipeline 'day_of_week' uses ${args.day}, and there is no such parameter; did you mean 'dya'?"
    assert error == {"field": "parameters", "message": says}
    assert door.http.get("/task/made_with_values").status_code == 404
    assert door.http.put("/task/made_with_values", json=task | {"parameters": {"day": {"default": "friday"}}}).status_code == 201
    run = door.done("made_with_values")
    date = run["created_at"][:10]
    assert door.lines(run["id"]) == [f"made_with_values: friday-{date}.txt by api"]
    assert door.http.delete("/task/made_with_values").status_code == 204
