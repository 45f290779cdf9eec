"""Route /openapi.json: the routes of routes.py as OpenAPI 3.1."""

from __future__ import annotations

import re
from typing import Any

from chalicelib.api.http import Reply, Request
from chalicelib.api.routes import ROUTES, Route

JSON = "application/json"
KINDS = {"metrics": "text/plain"}  # of answers that are no JSON
PROBLEM = {
    "type": "object",
    "required": ["title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {"type": "object", "properties": {"field": {"type": "string"}, "message": {"type": "string"}}},
        },
    },
}
TEXT, TRUTH = {"type": "string"}, {"type": "boolean"}
ANY: dict[str, Any] = {}
NULLABLE = {"type": ["string", "null"]}
RUN = {
    "type": "object",
    "required": ["id", "task_id", "status", "trigger", "args", "attempt", "created_at"],
    "properties": {
        **dict.fromkeys(("id", "task_id", "status", "trigger", "created_at", "url"), TEXT),
        **dict.fromkeys(("started_at", "finished_at", "duration", "websocket_url", "started_by", "stopped_by"), NULLABLE),
        "args": {"type": "object"},
        "attempt": {"type": "integer"},
        "partial": TRUTH,
        "warnings": {"type": "array", "items": {"type": "object", "required": ["step", "message"]}},
        "artifacts": {"type": "array", "items": {"type": "object", "required": ["name", "bytes", "content_type", "url"]}},
        "progress": ANY,
        "waiting_for": ANY,
        "result": ANY,
        "error": ANY,
    },
}
TASK = {
    "type": "object",
    "required": ["id", "name", "status", "last_run", "next_run", "duration"],
    "properties": {
        **dict.fromkeys(
            ("id", "name", "title", "description", "category", "icon", "status", "time_zone", "pipeline", "danger"), TEXT
        ),
        **dict.fromkeys(("schedule", "schedule_text", "last_run", "next_run", "duration"), NULLABLE),
        "tags": {"type": "array", "items": TEXT},
        "enabled": TRUTH,
        "expensive": TRUTH,
        "parameters": {"type": "array", "items": {"type": "object"}},
    },
}


def _list_of(name: str, item: dict[str, Any]) -> dict[str, Any]:
    properties = {name: {"type": "array", "items": item}, "next_cursor": NULLABLE}
    return {"type": "object", "required": [name], "properties": properties}


SCHEMAS: dict[str, Any] = {
    "problem": PROBLEM,
    "run": RUN,
    "task": TASK,
    "tasks": _list_of("tasks", TASK),
    "runs": _list_of("runs", RUN),
    "events": _list_of("events", {"type": "object", "required": ["seq", "at", "type"]}),
    "fires": _list_of("fires", {"type": "object", "required": ["fire", "outcome", "reason"]}),
    "schedule": {"type": "object", "required": ["fires", "conflicts"]},
    "stats": {"type": "object", "required": ["from", "to", "total", "by_day", "by_task"]},
    "paused": {"type": "object", "required": ["paused"], "properties": {"paused": TRUTH}},
    "pipelines": _list_of("pipelines", {"type": "object"}),
    "processors": _list_of("processors", {"type": "object"}),
    "started": {"type": "object", "required": ["run_id", "status", "url", "websocket_url"]},
    "stopped": {"type": "object", "required": ["stopped"], "properties": {"stopped": {"type": "array", "items": TEXT}}},
    "result": {"type": "object", "required": ["run_id", "status", "result"]},
    "artifacts": _list_of(
        "artifacts",
        {"type": "object", "required": ["name", "bytes", "content_type", "url"], "properties": {"bytes": {"type": "integer"}}},
    ),
    "trace": {"type": "object", "required": ["resourceSpans"]},
    "metrics": TEXT,
    "link": {"type": "object", "required": ["url", "expires_in"]},
    "upload": {"type": "object", "required": ["name", "key", "url", "fields"]},
    "health": {"type": "object", "required": ["status"]},
    "openapi": {"type": "object"},
}


def openapi(request: Request) -> Reply:
    """The document."""
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return Reply(
        {
            "openapi": "3.1.0",
            "info": {"title": "Nightshift", "version": "1", "description": "Scheduled and on-demand tasks with live progress."},
            "servers": [{"url": request.services.settings.api_url or "/"}],
            "paths": paths,
            "components": {
                "schemas": SCHEMAS,
                "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            },
        }
    )


def _operation(route: Route) -> dict[str, Any]:
    parameters = [{"name": name, "in": "path", "required": True, "schema": TEXT} for name in re.findall(r"{(\w+)}", route.path)] + [
        {"name": name, "in": "query", "description": says, "schema": TEXT} for name, says in route.query.items()
    ]
    problem = {"description": "A problem", "content": _content("problem", "application/problem+json")}
    answers: dict[str, Any] = {
        str(status): {
            "description": schema or "Nothing",
            **({"content": _content(schema, KINDS.get(schema, JSON))} if schema else {}),
        }
        for status, schema in route.answers.items()
    }
    operation: dict[str, Any] = {
        "operationId": route.handler.split(":")[1],
        "summary": route.summary,
        "parameters": parameters,
        "responses": answers | {"4XX": problem, "5XX": problem},
        "security": [] if route.public else [{"token": []}],
    }
    if route.body:
        operation["requestBody"] = {
            "description": route.body,
            "content": {JSON: {"schema": {"type": "object"}}},
        }
    return operation


def _content(schema: str, kind: str) -> dict[str, Any]:
    return {kind: {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
