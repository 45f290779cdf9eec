"""The WebSocket gateway and its `@connections` API, with API Gateway's behaviour.

A connection exists for `@connections` only after $connect was answered with a 2xx; before and after its life a post
gets 410. Posted messages wait in a bounded queue per connection, so that a slow client holds nobody up; one that falls
too far behind is disconnected.
"""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl, unquote
from uuid import uuid4

from .console import Console
from .lambdas import Lambdas
from .manifest import Manifest
from .wire import Request, Response, as_json

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

BASE = "/_connections"
RUN_PATH = "/ws/task/"
MAX_MESSAGE = 128 * 1024
MAX_WAITING = 1000
OPERATIONS = {"POST": "PostToConnection", "GET": "GetConnection", "DELETE": "DeleteConnection"}
STAGE = "api"


def run_of(path: str) -> str | None:
    """The run id in a WebSocket path: `/ws/task/{runID}`; "" for `/api/` (as deployed); None for any other path."""
    if path.startswith(RUN_PATH):
        return unquote(path.removeprefix(RUN_PATH)).strip("/")
    return "" if path.rstrip("/") in ("/api", "/ws/task") else None


class Connection:
    def __init__(self, scope: Scope, headers: dict[str, str], query: list[tuple[str, str]]) -> None:
        self.id = secrets.token_urlsafe(11) + "="
        self.scope = scope
        self.headers = headers
        self.query = query
        self.open = False
        self.connected_at = int(time.time() * 1000)
        self.active_at = time.time()
        self.outgoing: asyncio.Queue[bytes | None] = asyncio.Queue(MAX_WAITING)
        self.sender: asyncio.Task[None] | None = None

    @property
    def address(self) -> str:
        return (self.scope.get("client") or ("", 0))[0]


class Connections:
    def __init__(self, lambdas: Lambdas, console: Console) -> None:
        self.lambdas = lambdas
        self.console = console
        self.manifest: Manifest | None = None
        self.connections: dict[str, Connection] = {}
        self.closing: set[asyncio.Task[Any]] = set()

    # --- clients ---------------------------------------------------------------------------------------------------

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """An ASGI websocket application."""
        await receive()  # websocket.connect
        run = run_of(scope["path"])
        if run is None:
            return await _reject(send, 404, "no such WebSocket path")
        query = parse_qsl(scope["query_string"].decode(), keep_blank_values=True)
        if run and not any(name == "run" for name, _ in query):
            query.append(("run", run))
        headers = {k.decode("latin-1"): v.decode("latin-1") for k, v in scope["headers"]}
        connection = Connection(scope, headers, query)
        status, body = await self._connect(connection)
        if status >= 300:
            return await _reject(send, status, body)
        await send({"type": "websocket.accept"})
        connection.open = True
        self.connections[connection.id] = connection
        sender = connection.sender = asyncio.ensure_future(self._send_queued(connection, send))
        receiver = asyncio.ensure_future(self._receive_all(connection, receive))
        try:
            await asyncio.wait((sender, receiver), return_when=asyncio.FIRST_COMPLETED)
        finally:
            connection.open = False
            self.connections.pop(connection.id, None)
            sender.cancel()
            done = receiver.done() and not receiver.cancelled() and receiver.exception() is None
            self._disconnected(connection, receiver.result() if done else 1001)
            receiver.cancel()

    async def _connect(self, connection: Connection) -> tuple[int, str]:
        """Run $connect: (status, body). Without a handler everybody may connect."""
        if self.manifest is None or "$connect" not in self.manifest.websockets:
            return 200, ""
        answer = await self._run("$connect", connection, self._event("$connect", "CONNECT", connection))
        if answer is None:
            return 500, "Internal server error"
        return int(answer.get("statusCode", 200)), str(answer.get("body") or "")

    async def _receive_all(self, connection: Connection, receive: Receive) -> int:
        """Pass on every message in order of arrival until the client goes; return the close code."""
        while True:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                return int(message.get("code") or 1005)
            connection.active_at = time.time()
            text = message.get("text")
            data = text if text is not None else message.get("bytes", b"")
            if len(data) > MAX_MESSAGE:
                self._drop(connection)
                continue
            route = self._route(text)
            if route is None:
                continue
            event = self._event(route, "MESSAGE", connection)
            event["isBase64Encoded"] = text is None
            event["body"] = text if text is not None else base64.b64encode(data).decode()
            event["requestContext"]["messageId"] = secrets.token_urlsafe(11) + "="
            answer = await self._run(route, connection, event)
            if answer is None:
                error = {"message": "Internal server error", "connectionId": connection.id}
                self.post(connection, json.dumps(error | {"requestId": event["requestContext"]["requestId"]}).encode())

    def _route(self, text: str | None) -> str | None:
        """The route key that the body's `action` selects, else $default, else None."""
        known = self.manifest.websockets if self.manifest else {}
        if text is not None and len(known) > 3:
            try:
                action = json.loads(text).get("action")
            except (ValueError, AttributeError):
                action = None
            if isinstance(action, str) and action in known:
                return action
        return "$default" if "$default" in known else None

    async def _run(self, route: str, connection: Connection, event: dict[str, Any]) -> dict[str, Any] | None:
        """The handler's answer; None when it failed."""
        assert self.manifest is not None
        function = self.lambdas.resolve(self.manifest.websockets[route])
        if function is None:
            return None
        outcome = await self.lambdas.invoke(function, json.dumps(event).encode())
        if outcome.error:
            return None
        answer = json.loads(outcome.payload or b"null")
        return answer if isinstance(answer, dict) else {}

    def _disconnected(self, connection: Connection, code: int) -> None:
        if self.manifest is None or "$disconnect" not in self.manifest.websockets or self.lambdas.draining:
            return
        event = self._event("$disconnect", "DISCONNECT", connection)
        event["requestContext"] |= {"disconnectStatusCode": code, "disconnectReason": ""}
        task = asyncio.ensure_future(self._run("$disconnect", connection, event))
        self.closing.add(task)
        task.add_done_callback(self.closing.discard)

    async def _send_queued(self, connection: Connection, send: Send) -> None:
        while True:
            data = await connection.outgoing.get()
            if data is None:
                await send({"type": "websocket.close", "code": 1009 if connection.open else 1001})
                return
            try:
                await send({"type": "websocket.send", "text": data.decode()})
            except UnicodeDecodeError:
                await send({"type": "websocket.send", "bytes": data})

    def _event(self, route: str, kind: str, connection: Connection) -> dict[str, Any]:
        now = int(time.time() * 1000)
        event: dict[str, Any] = {
            "requestContext": {
                "routeKey": route,
                "eventType": kind,
                "messageDirection": "IN",
                "connectionId": connection.id,
                "connectedAt": connection.connected_at,
                "requestTimeEpoch": now,
                "requestId": str(uuid4()),
                "extendedRequestId": str(uuid4()),
                "domainName": connection.headers.get("host", "localhost"),
                "stage": STAGE,
                "apiId": "local",
                "identity": {
                    "sourceIp": connection.address,
                    "userAgent": connection.headers.get("user-agent"),
                },
            },
            "isBase64Encoded": False,
        }
        if kind == "CONNECT":
            many: dict[str, list[str]] = {}
            for name, value in connection.query:
                many.setdefault(name, []).append(value)
            event["headers"] = connection.headers
            event["multiValueHeaders"] = {name: [value] for name, value in connection.headers.items()}
            if many:
                event["queryStringParameters"] = {name: values[-1] for name, values in many.items()}
                event["multiValueQueryStringParameters"] = many
        elif kind == "DISCONNECT":
            event["headers"] = connection.headers
        return event

    # --- the @connections API --------------------------------------------------------------------------------------

    def handle(self, request: Request) -> tuple[str, Response]:
        """(operation, response) for POST, GET, DELETE {BASE}/@connections/{id}."""
        operation = OPERATIONS.get(request.method, request.method)
        _, _, name = request.path.partition("/@connections/")
        connection = self.connections.get(unquote(name))
        if connection is None:
            return operation, as_json(410, {"message": None}, {"x-amzn-ErrorType": "GoneException"})
        if operation == "PostToConnection":
            if len(request.body) > MAX_MESSAGE:
                error = {"x-amzn-ErrorType": "PayloadTooLargeException"}
                return operation, as_json(413, {"message": "Message too long"}, error)
            self.post(connection, request.body)
            return operation, Response(200)
        if operation == "GetConnection":
            told = {
                "connectedAt": _iso(connection.connected_at / 1000),
                "lastActiveAt": _iso(connection.active_at),
                "identity": {"sourceIp": connection.address, "userAgent": connection.headers.get("user-agent", "")},
            }
            return operation, as_json(200, told)
        self._drop(connection)
        return operation, Response(204)

    def post(self, connection: Connection, data: bytes) -> None:
        """Queue a message; a client that leaves too many unread is dropped."""
        try:
            connection.outgoing.put_nowait(data)
        except asyncio.QueueFull:
            self.console.complain(f"WebSocket {connection.id} reads too slowly: dropped")
            self._drop(connection)

    def _drop(self, connection: Connection) -> None:
        connection.open = False
        self.connections.pop(connection.id, None)
        if connection.outgoing.empty():
            connection.outgoing.put_nowait(None)
        elif connection.sender is not None:  # it is stuck: its client does not read
            connection.sender.cancel()

    def open_ones(self) -> list[tuple[str, Callable[[], None]]]:
        """(id, what cuts it) of every connection."""
        return [(connection.id, lambda c=connection: self._drop(c)) for connection in self.connections.values()]  # type: ignore[misc]

    def close_all(self) -> None:
        for connection in list(self.connections.values()):
            self._drop(connection)


async def _reject(send: Send, status: int, body: str) -> None:
    """Refuse the handshake with an HTTP status."""
    headers = [(b"content-type", b"application/json")]
    await send({"type": "websocket.http.response.start", "status": status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": body.encode()})


def _iso(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
