"""Browsers' traffic: HTTP and WebSocket through uvicorn into the gateways."""

from __future__ import annotations

import asyncio
import logging
import traceback
from typing import TYPE_CHECKING, Any

from uvicorn.config import Config
from uvicorn.server import ServerState

from .gateway import MAX_BODY
from .wire import Request, Response

if TYPE_CHECKING:
    from .stack import Stack


class Web:
    """uvicorn's protocols without its server: they parse HTTP and WebSocket on connections that the stack accepts."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        logging.getLogger("uvicorn").setLevel(logging.ERROR)
        self.config = Config(
            self.asgi,
            http="h11",
            ws="websockets-sansio",
            ws_max_size=4 * 1024 * 1024,
            ws_per_message_deflate=False,  # API Gateway has none either
            interface="asgi3",
            proxy_headers=False,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=75,
        )
        self.config.load()
        self.server_state = ServerState()

    def protocol(self) -> asyncio.Protocol:
        make: Any = self.config.http_protocol_class
        return make(config=self.config, server_state=self.server_state, app_state={})

    async def asgi(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Everything that is not plain AWS traffic comes here through uvicorn."""
        try:
            await self._answer(scope, receive, send)
        except Exception as error:
            if type(error).__name__ != "ClientDisconnected":  # uvicorn's word for a client that left
                traceback.print_exception(error)
                raise

    async def _answer(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await self.stack.connections.serve(scope, receive, send)
            return
        request = await _read(scope, receive)
        if self.stack.is_direct(request):
            answer = self.stack.direct(request)
            response: Response = answer if isinstance(answer, Response) else await answer
            status, body = response.status, response.body
            headers = [("content-type", response.content_type), *response.headers.items()]
            headers.append(("content-length", str(len(body))))
        elif self.stack.stopping.is_set():
            status, headers, body = 503, [("retry-after", "5")], b'{"message": "the stack is shutting down"}'
        else:
            status, headers, body = await self.stack.gateway.handle(request)
        raw = [(name.lower().encode("latin-1"), value.encode("latin-1", "replace")) for name, value in headers]
        await send({"type": "http.response.start", "status": status, "headers": raw})
        await send({"type": "http.response.body", "body": body})


async def _read(scope: dict[str, Any], receive: Any) -> Request:
    headers: dict[str, str] = {}
    for name, value in scope["headers"]:
        key, text = name.decode("latin-1"), value.decode("latin-1")
        joiner = "; " if key == "cookie" else ", "
        headers[key] = f"{headers[key]}{joiner}{text}" if key in headers else text
    body = bytearray()
    while True:
        message = await receive()
        if len(body) <= 10 * MAX_BODY:
            body += message.get("body", b"")
        if not message.get("more_body"):
            break
    client = (scope.get("client") or ("",))[0]
    path = scope["raw_path"].decode("ascii")
    return Request(scope["method"], path, scope["query_string"].decode("ascii"), headers, bytes(body), client)
