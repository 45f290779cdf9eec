"""How a task is started from elsewhere: by the command, HTTP or Python. It runs as it stands, once URL and token are set."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any

from chalicelib.domain.model import CatalogTask, Parameter

UNKNOWN = "…"
FILE = "data.csv"
EXAMPLES: dict[str, Any] = {"boolean": True, "date": "2026-01-31", "number": 1}


def snippets(task: CatalogTask, given: Mapping[str, Any], url: str) -> list[dict[str, str]]:
    """`[{name, text}]` with the arguments that it needs, and those that are given. `url` is the API's."""
    values = {p.name: _value(p, given) for p in task.parameters if p.required or given.get(p.name) not in (None, "")}
    files = {p.name for p in task.parameters if p.type == "file"}
    args = {name: {"name": value, "content_base64": UNKNOWN} if name in files else value for name, value in values.items()}
    return [
        {"name": "Command", "text": _command(task.id, values, files)},
        {"name": "HTTP", "text": _http(task.id, args, url)},
        {"name": "Python", "text": _python(task.id, args)},
    ]


def _value(parameter: Parameter, given: Mapping[str, Any]) -> Any:
    known = given.get(parameter.name)
    if parameter.type == "file":
        return FILE
    if parameter.type == "secret":
        return UNKNOWN
    if known not in (None, ""):
        return known
    if parameter.default is not None:
        return parameter.default
    if parameter.choices:
        return parameter.choices[0].value
    if parameter.minimum is not None:
        return parameter.minimum
    return EXAMPLES.get(parameter.type, parameter.placeholder or UNKNOWN)


def _command(task_id: str, values: Mapping[str, Any], files: set[str]) -> str:
    pairs = [f"{name}=@{value}" if name in files else f"{name}={_text(value)}" for name, value in values.items()]
    return " ".join(["nightshift start", shlex.quote(task_id), *(f"--arg {shlex.quote(pair)}" for pair in pairs), "--follow"])


def _http(task_id: str, args: Mapping[str, Any], url: str) -> str:
    body = json.dumps({"args": args}, ensure_ascii=False)
    lines = [f"curl -X POST {shlex.quote(f'{url}/task/{task_id}/_start')}", '-H "Authorization: Bearer $NIGHTSHIFT_TOKEN"']
    return " \\\n  ".join([*lines, "-H 'Content-Type: application/json'", f"-d {shlex.quote(body)}"])


def _python(task_id: str, args: Mapping[str, Any]) -> str:
    given = ", ".join([repr(task_id), *(f"{name}={value!r}" for name, value in args.items())])
    return f"from chalicelib import start_task\n\nrun_id = start_task({given})"


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else value if isinstance(value, str) else json.dumps(value)
