"""A lean HTTP/1.1 server protocol for machine clients (boto3, the Lambda runtime client, browsers' S3 uploads).

It parses a request in a few dozen microseconds and answers synchronously where the handler can. A connection whose
next request is none of its business is handed, with the bytes read so far, to another asyncio protocol (uvicorn's).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

REASONS = {200: "OK", 202: "Accepted", 204: "No Content", 400: "Bad Request", 403: "Forbidden", 404: "Not Found"}
MAX_HEAD = 256 * 1024


@dataclass(slots=True)
class Request:
    """One request. Header names are lower case; `path` is undecoded and without the query."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes = b""
    client: str = ""

    @property
    def plain_path(self) -> str:
        return unquote(self.path)


@dataclass(slots=True)
class Response:
    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"


Handler = Callable[[Request], "Response | Awaitable[Response]"]


def as_json(status: int, value: Any, headers: Mapping[str, str] | None = None) -> Response:
    return Response(status, json.dumps(value).encode(), headers or {})


class HttpProtocol(asyncio.Protocol):
    """Serves one connection, one request at a time.

    `mine(request)` says, from the head alone, whether this protocol answers; otherwise `other()` makes the protocol
    that takes the connection over.
    """

    def __init__(
        self,
        handler: Handler,
        mine: Callable[[Request], bool] | None = None,
        other: Callable[[], asyncio.Protocol] | None = None,
    ) -> None:
        self.handler = handler
        self.mine = mine
        self.other = other
        self.buffer = bytearray()
        self.request: Request | None = None
        self.length = 0
        self.chunked = False
        self.keep_alive = True
        self.task: asyncio.Future[Response] | None = None
        self.transport: asyncio.Transport = None  # type: ignore[assignment]
        self.client = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]
        peer = transport.get_extra_info("peername")
        self.client = peer[0] if peer else ""

    def connection_lost(self, exc: Exception | None) -> None:
        if self.task is not None:
            self.task.cancel()

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if self.task is None:
            self._advance()

    def _advance(self) -> None:
        """Serve what is complete in the buffer."""
        while self.task is None and not self.transport.is_closing():
            if self.request is None and not self._read_head():
                return
            request = self.request
            if request is None or not self._read_body(request):
                return
            self.request = None
            self._serve(request)

    def _read_head(self) -> bool:
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self.buffer) > MAX_HEAD:
                self._refuse(431)
            return False
        lines = self.buffer[:end].decode("latin-1").split("\r\n")
        try:
            method, target, version = lines[0].split(" ")
            headers: dict[str, str] = {}
            for line in lines[1:]:
                name, _, value = line.partition(":")
                name = name.lower()
                value = value.strip()
                headers[name] = f"{headers[name]},{value}" if name in headers else value
            self.length = int(headers.get("content-length", 0))
        except ValueError:
            self._refuse(400)
            return False
        if target.startswith("http://"):
            target = "/" + target.split("/", 3)[3] if target.count("/") > 2 else "/"
        path, _, query = target.partition("?")
        request = Request(method, path, query, headers, b"", self.client)
        if self.mine is not None and not self.mine(request):
            self._hand_over()
            return False
        del self.buffer[: end + 4]
        self.chunked = "chunked" in headers.get("transfer-encoding", "")
        connection = headers.get("connection", "").lower()
        self.keep_alive = connection != "close" and (version == "HTTP/1.1" or connection == "keep-alive")
        if headers.get("expect", "").lower() == "100-continue":
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self.request = request
        return True

    def _read_body(self, request: Request) -> bool:
        if self.chunked:
            whole = _dechunk(self.buffer)
            if whole is None:
                return False
            request.body, used = whole
            del self.buffer[:used]
            return True
        if len(self.buffer) < self.length:
            return False
        if self.length:
            request.body = bytes(self.buffer[: self.length])
            del self.buffer[: self.length]
        return True

    def _serve(self, request: Request) -> None:
        try:
            outcome = self.handler(request)
        except Exception as error:  # a bug in a handler must not take the connection's peer down with it
            outcome = _failed(error)
        if isinstance(outcome, Response):
            self._write(outcome)
        else:
            self.task = asyncio.ensure_future(outcome)
            self.task.add_done_callback(self._served)

    def _served(self, task: asyncio.Future[Response]) -> None:
        self.task = None
        if task.cancelled() or self.transport.is_closing():
            self.transport.close()
            return
        error = task.exception()
        self._write(_failed(error) if error else task.result())
        self._advance()

    def _write(self, response: Response) -> None:
        status, body = response.status, response.body
        head = [f"HTTP/1.1 {status} {REASONS.get(status, 'Status')}"]
        if status != 204:
            if "content-length" not in response.headers:
                head.append(f"content-length: {len(body)}")
            if body:
                head.append(f"content-type: {response.content_type}")
        head += [f"{name}: {value}" for name, value in response.headers.items()]
        if not self.keep_alive:
            head.append("connection: close")
        self.transport.write("\r\n".join(head).encode("latin-1") + b"\r\n\r\n" + body)
        if not self.keep_alive:
            self.transport.close()

    def _refuse(self, status: int) -> None:
        self.keep_alive = False
        self._write(Response(status))

    def _hand_over(self) -> None:
        assert self.other is not None
        protocol = self.other()
        data = bytes(self.buffer)
        self.buffer.clear()
        self.transport.set_protocol(protocol)
        protocol.connection_made(self.transport)
        protocol.data_received(data)


def _failed(error: BaseException) -> Response:
    import traceback

    traceback.print_exception(error)
    return as_json(500, {"__type": "InternalFailure", "message": f"{type(error).__name__}: {error}"})


def _dechunk(buffer: bytearray) -> tuple[bytes, int] | None:
    """The decoded body and how many bytes it took, or None while it is incomplete. Trailers are dropped."""
    body = bytearray()
    at = 0
    while True:
        end = buffer.find(b"\r\n", at)
        if end < 0:
            return None
        size = int(bytes(buffer[at:end]).split(b";")[0], 16)
        at = end + 2
        if size == 0:
            while True:
                end = buffer.find(b"\r\n", at)
                if end < 0:
                    return None
                if end == at:
                    return bytes(body), at + 2
                at = end + 2
        if len(buffer) < at + size + 2:
            return None
        body += buffer[at : at + size]
        at += size + 2
