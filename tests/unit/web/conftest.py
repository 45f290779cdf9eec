"""The pages without a browser: visits as API Gateway would send them, on moto."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import boto3
import pytest

from chalicelib.api.http import Reply, Request
from chalicelib.domain.model import Catalog
from chalicelib.engine.services import Services
from chalicelib.settings import Settings
from chalicelib.store.table import Table
from chalicelib.web.routes import PAGES
from chalicelib.web.serve import serve
from tests.support.tables import Table as MadeTable

HOSTILE = "<script>alert('x')</script>"
TOKEN = "a-token"


def task(**more: Any) -> dict[str, Any]:
    """A task of the catalog."""
    return {"id": "copy_files", "title": "Copy files", "pipeline": "copying", "function": "task_copy_files"} | more


TASKS = [
    task(schedule="0 2 * * *", time_zone="Europe/Berlin", category="maintenance", tags=["files"]),
    task(id="ask", title="Ask", parameters=[
        {"name": "word", "required": True, "max_length": 5},
        {"name": "count", "type": "number", "minimum": 1, "maximum": 3, "integer": True, "default": 2},
        {"name": "really", "type": "boolean", "default": True},
        {"name": "paper", "type": "file", "max_bytes": 10, "accept": ".txt"},
        {"name": "password", "type": "secret"},
    ]),
    task(id="drop", title="Drop", danger="It is gone then"),
    task(id="hostile", title=HOSTILE, description=HOSTILE, category=HOSTILE, tags=[HOSTILE], icon=HOSTILE),
]  # fmt: skip


@pytest.fixture
def invoked() -> list[tuple[str, dict[str, Any]]]:
    """What was sent to functions."""
    return []


@pytest.fixture
def services(moto_table: MadeTable, invoked: list[tuple[str, dict[str, Any]]]) -> Services:
    bucket = boto3.client("s3", region_name="us-east-1")
    bucket.create_bucket(Bucket="the-bucket")
    catalog = Catalog.model_validate(
        {
            "pipelines": {"copying": {"name": "copying", "steps": [{"processor": "copy", "config": {"source": HOSTILE}}]}},
            "tasks": {t["id"]: t for t in TASKS},
        }
    )
    return Services(
        table=Table(*moto_table),
        catalog=catalog,
        settings=Settings(table=moto_table.name, bucket="the-bucket", token=TOKEN, websocket_url="wss://sockets.example/api"),
        invoke=lambda function, payload: invoked.append((function, payload)),
        post=lambda connection, text: True,
        s3=lambda: bucket,
        log=logging.getLogger("test"),
    )


Ask = Callable[..., Reply]


@pytest.fixture
def ask(services: Services) -> Ask:
    """`ask("POST", "/admin/task/{key}/start", {"key": "ask"}, form={…})` as a browser that is logged in."""

    def send(
        method: str,
        resource: str,
        params: dict[str, str] | None = None,
        *,
        form: dict[str, str] | None = None,
        body: bytes = b"",
        query: dict[str, str] | None = None,
        cookie: str | None = TOKEN,
        prefix: str = "",
        slash: str = "",
        **headers: str,
    ) -> Reply:
        page = next(p for p in PAGES if (p.method, p.path) == (method, resource))
        sent = {"host": "here.example", "accept": "text/html,*/*"} | {k.replace("_", "-"): v for k, v in headers.items()}
        if cookie is not None:
            sent["cookie"] = f"other=1; nightshift_token={cookie}"
        if form is not None:
            body = urlencode(form).encode()
            sent.setdefault("content-type", "application/x-www-form-urlencoded")
        if method == "POST":
            sent.setdefault("origin", "https://here.example")
        path = prefix + resource.format(**(params or {})) + slash
        context = {"path": path, "resourcePath": resource, "domainName": "here.example"}
        return serve(services, page, Request(services, params or {}, query or {}, sent, body), context)

    return send
