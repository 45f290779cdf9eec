"""DynamoDB's wire protocol on moto's handlers: JSON in, JSON out, nothing in between.

Runs in the event loop's thread and never awaits, so every request is atomic: the loop is the lock that moto lacks.
"""

from __future__ import annotations

import base64
import json
from collections import deque
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from moto.core.exceptions import ServiceException
from moto.core.utils import camelcase_to_underscores
from moto.dynamodb.models import dynamodb_backends
from moto.dynamodb.models.dynamo_type import DynamoType
from moto.dynamodb.responses import DynamoHandler
from werkzeug.exceptions import HTTPException

from .expressions import forget_conditions, speed_up
from .options import ACCOUNT, REGION
from .tables import ItemBackend, Key, SortedTable, key_of
from .wire import Response

CONTENT_TYPE = "application/x-amz-json-1.0"
Touched = Callable[[SortedTable, Key], None]


class DynamoDB:
    """`touched(table, key)` is called after each successful write, once per item that may have changed."""

    def __init__(self, touched: Touched) -> None:
        speed_up()
        self.backend = dynamodb_backends[ACCOUNT][REGION]
        self.backend.__class__ = ItemBackend
        self.touched = touched
        self.tokens: deque[str] = deque(maxlen=1000)  # of the transactions that were done

    @property
    def tables(self) -> dict[str, SortedTable]:
        return self.backend.tables  # type: ignore[return-value]

    def handle(self, operation: str, body: bytes) -> Response:
        """Answer one request; `operation` as in X-Amz-Target after the dot (`UpdateItem`)."""
        forget_conditions()
        handler = DynamoHandler()
        method = getattr(handler, camelcase_to_underscores(operation), None)
        try:
            params = json.loads(body) if body else {}
        except ValueError:
            return _error(400, "SerializationException", "the body is not JSON")
        if method is None or operation.startswith("_"):
            return _error(400, "UnknownOperationException", f"{operation} is not known here")
        token = params.get("ClientRequestToken")
        if token is not None and token in self.tokens:
            return Response(200, b"{}", {}, CONTENT_TYPE)  # sent again, since its answer was lost; moto would do it twice
        handler.body = handler.params = params
        handler.region, handler.current_account = REGION, ACCOUNT
        handler.querystring, handler.headers = {}, {}
        try:
            result = method().result
        except HTTPException as error:
            text = error.get_body()
            return Response(error.code or 400, text.encode() if isinstance(text, str) else text, {}, CONTENT_TYPE)
        except ServiceException as error:
            return _error(400, str(getattr(error, "code", "ValidationException")), str(error))
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            # moto lets malformed input fail as it may; DynamoDB calls that a validation error
            return _error(400, "ValidationException", f"{type(error).__name__}: {error}")
        finally:
            # also after a failure: moto may have created the empty item of an update that failed later
            self._after(operation, params)
        if token is not None:
            self.tokens.append(token)
        return Response(200, json.dumps(result or {}, default=_plain).encode(), {}, CONTENT_TYPE)

    def _after(self, operation: str, params: dict[str, Any]) -> None:
        if operation in ("CreateTable", "UpdateTable", "ExecuteStatement", "ExecuteTransaction", "BatchExecuteStatement"):
            for table in self.backend.tables.values():
                SortedTable.adopt(table)
            return
        for name, attributes in _written(operation, params):
            written = self.tables.get(name)
            if written is None:
                continue
            try:
                key = key_of(written, attributes)
            except (KeyError, TypeError, IndexError, AttributeError):
                continue  # a rejected request with a key that is none
            written.touched(key)
            self.touched(written, key)


def _written(operation: str, params: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """(table, Key or Item) of everything the request may have written."""
    if operation == "PutItem":
        yield params.get("TableName", ""), params.get("Item", {})
    elif operation in ("UpdateItem", "DeleteItem"):
        yield params.get("TableName", ""), params.get("Key", {})
    elif operation == "TransactWriteItems":
        for action in params.get("TransactItems", ()):
            for kind, what in action.items():
                if kind != "ConditionCheck":
                    yield what.get("TableName", ""), what.get("Key") or what.get("Item", {})
    elif operation == "BatchWriteItem":
        for name, requests in params.get("RequestItems", {}).items():
            for request in requests:
                for what in request.values():
                    yield name, what.get("Key") or what.get("Item", {})


def _plain(value: Any) -> Any:
    if isinstance(value, DynamoType):
        return {value.type: value.value}
    if isinstance(value, datetime):
        return value.timestamp()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    if hasattr(value, "to_json"):
        return value.to_json()
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _error(status: int, code: str, message: str) -> Response:
    name = code if "#" in code else f"com.amazonaws.dynamodb.v20120810#{code}"
    return Response(status, json.dumps({"__type": name, "message": message}).encode(), {}, CONTENT_TYPE)
