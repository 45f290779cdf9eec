"""File parameters: through the bucket, or within the request."""

from __future__ import annotations

import base64
import hashlib
import os

import httpx
import pytest

from tests.stack.conftest import Door


def upload(door: Door, name: str, content: bytes, size: int | None = None) -> tuple[dict[str, str], httpx.Response]:
    """The argument that a start takes, and the bucket's answer."""
    answer = door.http.post("/uploads", json={"name": name, "size": len(content) if size is None else size})
    assert answer.status_code == 201
    form = answer.json()
    sent = httpx.post(form["url"], data=form["fields"], files={"file": (name, content)}, timeout=30)
    return {"name": name, "key": form["key"]}, sent


@pytest.mark.parametrize("content", [b"", b"a,b\n1,2\n", os.urandom(300_000)], ids=["empty", "text", "binary"])
def test_uploaded_file_reaches_the_task(door: Door, content: bytes) -> None:
    argument, sent = upload(door, "täble of 1.csv", content)
    assert sent.status_code in (200, 201, 204), sent.text
    run = door.done("read_file", file=argument)
    assert run["status"] == "completed", run["error"]
    assert run["result"] == {"name": "täble of 1.csv", "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def test_file_within_the_request_reaches_the_task(door: Door) -> None:
    content = os.urandom(50_000)
    run = door.done("read_file", file={"name": "x.bin", "content_base64": base64.b64encode(content).decode()})
    assert run["result"] == {"name": "x.bin", "size": 50_000, "sha256": hashlib.sha256(content).hexdigest()}


def test_file_that_was_never_uploaded_fails_the_run(door: Door) -> None:
    run = door.done("read_file", file={"name": "x.bin", "key": "uploads/nothing/x.bin"})
    assert run["status"] == "failed"


@pytest.mark.parametrize(
    "argument",
    [
        "text",
        {"name": "x"},
        {"name": "../x", "content_base64": ""},
        {"name": "x", "content_base64": "§"},
        {"name": "x", "key": "backups/secret"},
        {"name": "x", "key": "uploads/../backups/secret"},
    ],
)
def test_what_is_no_file_is_refused(door: Door, argument: object) -> None:
    answer = door.http.post("/task/read_file/_start", json={"args": {"file": argument}})
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == ["file"]


@pytest.mark.parametrize("body", [{}, {"name": ""}, {"name": "x", "size": -1}, {"name": "x", "size": "1"}])
def test_upload_without_a_name_or_with_an_odd_size_is_refused(door: Door, body: dict[str, object]) -> None:
    answer = door.http.post("/uploads", json=body)
    assert answer.status_code == 422
    assert answer.json()["errors"]
