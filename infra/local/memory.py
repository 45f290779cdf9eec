"""DynamoDB inside this process, without a server: what a simulation works on. Its requests look like botocore's."""

from __future__ import annotations

import base64
import json
import threading
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from .dynamodb import DynamoDB
from .template import TABLE_KEYS, Template


class MemoryDynamoDB:
    """A DynamoDB client (`get_item`, `put_item`, `query`, …) whose tables live in this process. One database a process."""

    def __init__(self) -> None:
        self._database = DynamoDB(touched=lambda table, key: None)
        self._lock = threading.Lock()

    def create_table(self, template: Path, stage: str) -> str:
        """The template's table, emptied if it was there; its name."""
        (properties,) = Template(template, {"Stage": stage}).resources("AWS::DynamoDB::Table")
        name = str(properties["TableName"])
        self._database.tables.pop(name, None)
        self._request("CreateTable", {key: properties[key] for key in TABLE_KEYS if key in properties})
        return name

    def __getattr__(self, name: str) -> Any:
        operation = "".join(part.capitalize() for part in name.split("_"))
        return lambda **parameters: self._request(operation, parameters)

    def _request(self, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        body = json.dumps(parameters, default=_text).encode()
        with self._lock:  # the dispatcher asks from several threads
            answer = self._database.handle(operation, body)
        said = json.loads(answer.body)
        if answer.status != 200:
            kind = str(said.get("__type", "")).rsplit("#", 1)[-1]
            error: Any = {"Error": {"Code": kind, "Message": said.get("message") or said.get("Message") or ""}, **_plain(said)}
            raise ClientError(error, operation)
        return _plain(said)


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    raise TypeError(f"no JSON for {type(value).__name__}")


def _plain(value: Any) -> Any:
    """Binary attributes as bytes again."""
    if isinstance(value, dict):
        if set(value) == {"B"} and isinstance(value["B"], str):
            return {"B": base64.b64decode(value["B"])}
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_plain(v) for v in value]
    return value
