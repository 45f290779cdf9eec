"""A small server that keeps to the HTTP and WebSocket contract, and a proxy that cuts connections, for client tests."""

import asyncio
import contextlib
import json
import random
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

TOKEN = "test-token"
AT = "2025-01-02T03:04:05.678Z"


def line(seq: int, text: str = "") -> dict[str, Any]:
    return {"seq": seq, "at": AT, "type": "line", "stream": "stdout", "text": text or f"line {seq}"}


def done(seq: int, status: str = "completed") -> dict[str, Any]:
    return {"seq": seq, "at": AT, "type": "done", "status": status}


def problem(status: int, title: str, detail: str = "", errors: list[dict[str, str]] | None = None) -> JSONResponse:
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail, "errors": errors or []}
    return JSONResponse(body, status, media_type="application/problem+json")


@dataclass
class FakeRun:
    id: str
    task_id: str
    events: list[dict[str, Any]] = field(default_factory=list)
    status: str = "running"
    args: dict[str, Any] = field(default_factory=dict)

    def say(self, count: int) -> None:
        for _ in range(count):
            self.events.append(line(len(self.events) + 1))

    def finish(self, status: str = "completed") -> None:
        self.events.append(done(len(self.events) + 1, status))
        self.status = status


class FakeServer:
    """Serves what tests put into `tasks` and `runs`; the switches below make it behave badly."""

    def __init__(self) -> None:
        self.tasks: dict[str, dict[str, Any]] = {}
        self.runs: dict[str, FakeRun] = {}
        self.requests: list[str] = []
        self.messages: list[dict[str, Any]] = []
        self.starts: dict[str, str] = {}
        self.on_start: Any = lambda run: run.finish()
        self.start_problem: Any = None
        self.sockets = True
        self.handshakes_to_refuse = 0
        self.ticket_uses = 1_000_000
        self.tickets: dict[str, int] = {}
        self.chunk = lambda: 10
        self.mangle: Any = lambda events: [events]
        self.websocket_port: int | None = None
        self.unavailable = 0
        self.page = 50
        self._lock = threading.Lock()
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    # HTTP

    async def http(self, request: Request) -> Response:
        self.requests.append(f"{request.method} {request.url.path}")
        if self.unavailable:
            self.unavailable -= 1
            return PlainTextResponse("<html>502</html>", 502)
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return problem(401, "Unauthorized", "the token is unknown")
        parts = request.url.path.strip("/").split("/")
        body = json.loads(await request.body() or b"{}")
        query = request.query_params
        match request.method, *parts:
            case "GET", "tasks":
                return JSONResponse({"tasks": list(self.tasks.values()), "next_cursor": None, "query": dict(query)})
            case "GET", "runs":
                return self._runs(query, list(self.runs.values()))
            case "GET", "task", id, "runs":
                return self._runs(query, [run for run in self.runs.values() if run.task_id == id])
            case "GET", "task", id if id in self.tasks:
                return JSONResponse(self.tasks[id])
            case "POST", "task", id, ("_start" | "_run") as verb if id in self.tasks:
                return self._start(id, verb, body, request.headers.get("idempotency-key", ""))
            case "POST", "task", id, "_stop" if id in self.tasks:
                active = [run.id for run in self.runs.values() if run.task_id == id and run.status == "running"]
                return JSONResponse({"stopped": active}, 202) if active else problem(409, "Conflict", "nothing runs")
            case "GET", "run", id if id in self.runs:
                return JSONResponse(self.describe(self.runs[id]))
            case "GET", "run", id, "log" if id in self.runs:
                return self._log(self.runs[id], int(query.get("after", 0)))
            case "GET", "run", id, "result" if id in self.runs:
                return PlainTextResponse("a,b\n") if query.get("format") == "csv" else JSONResponse({"data": {"a": 1}})
            case "POST", "run", id, "_stop" if id in self.runs:
                self.runs[id].finish("stopped")
                return JSONResponse({"run_id": id, "status": "stopped"}, 202)
            case _:
                return problem(404, "Not found", f"there is no {parts[0]} {'/'.join(parts[1:])!r}")

    def _start(self, id: str, verb: str, body: dict[str, Any], key: str) -> Response:
        if self.start_problem:
            return problem(*self.start_problem)
        with self._lock:
            run = self.runs.get(self.starts.get(key, ""))
            if run is None:
                run = FakeRun(f"01J{len(self.runs):023d}", id, args=body["args"])
                self.runs[run.id] = run
                self.starts[key] = run.id
                self.on_start(run)
        if verb == "_run" and run.status != "running":
            return JSONResponse(self.describe(run))
        found = self.describe(run)
        answer = {key: found[key] for key in ("status", "url", "websocket_url")}
        return JSONResponse({"run_id": run.id, **answer}, 202)

    def _runs(self, query: Any, runs: list[FakeRun]) -> Response:
        runs = [run for run in reversed(runs) if query.get("status") in (None, run.status)]
        start, size = int(query.get("cursor", 0)), min(int(query.get("limit", self.page)), self.page)
        more = str(start + size) if start + size < len(runs) else None
        return JSONResponse({"runs": [self.describe(run) for run in runs[start : start + size]], "next_cursor": more})

    def _log(self, run: FakeRun, after: int) -> Response:
        rest = run.events[after:]
        return JSONResponse({"events": rest[: self.page], "next_cursor": "more" if rest[self.page :] else None})

    def describe(self, run: FakeRun) -> dict[str, Any]:
        ticket = f"ticket-{len(self.tickets)}"
        self.tickets[ticket] = self.ticket_uses
        url = f"ws://127.0.0.1:{self.websocket_port or self.port}/ws/task/{run.id}?ticket={ticket}"
        return {
            "id": run.id,
            "task_id": run.task_id,
            "status": run.status,
            "trigger": "manual",
            "args": run.args,
            "attempt": 1,
            "created_at": AT,
            "started_at": AT,
            "finished_at": AT if run.status != "running" else None,
            "duration": "45s",
            "progress": None,
            "waiting_for": None,
            "result": {"data": {"rows": 42}} if run.status == "completed" else None,
            "error": {"type": "ValueError", "message": "no disk", "step": "copy"} if run.status == "failed" else None,
            "url": f"{self.url}/run/{run.id}",
            "websocket_url": url if self.sockets else None,
        }

    # WebSocket

    async def follow(self, websocket: WebSocket) -> None:
        query = parse_qs(websocket.url.query)
        ticket = query.get("ticket", [""])[0]
        run = self.runs[websocket.path_params["run_id"]]
        if self.handshakes_to_refuse or self.tickets.get(ticket, 0) < 1:
            self.handshakes_to_refuse = max(0, self.handshakes_to_refuse - 1)
            await websocket.close(4401)  # before accept: the handshake fails with 403
            return
        self.tickets[ticket] -= 1
        await websocket.accept()
        position = [int(query.get("after", ["0"])[0])]
        listener = asyncio.create_task(self._listen(websocket, position))
        try:
            while not listener.done():
                chunk = run.events[position[0] : position[0] + self.chunk()]
                position[0] += len(chunk)
                for events in self.mangle(chunk) if chunk else []:
                    await websocket.send_text(json.dumps({"run_id": run.id, "events": events}))
                await asyncio.sleep(0.002)
        except (WebSocketDisconnect, RuntimeError):
            pass
        finally:
            listener.cancel()

    async def _listen(self, websocket: WebSocket, position: list[int]) -> None:
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):
            while True:
                message = json.loads(await websocket.receive_text())
                self.messages.append(message)
                if message["action"] == "follow":
                    position[0] = message["after"]
                elif message["action"] == "ping":
                    await websocket.send_text('{"type": "pong"}')

    # Life

    def __enter__(self) -> "FakeServer":
        app = Starlette(
            routes=[
                WebSocketRoute("/ws/task/{run_id}", self.follow),
                Route("/{path:path}", self.http, methods=["GET", "POST"]),
            ]
        )
        config = uvicorn.Config(app, log_level="critical", ws="websockets-sansio", lifespan="off")
        self._server = uvicorn.Server(config)
        started = threading.Event()
        original = self._server.startup

        async def startup(sockets: Any = None) -> None:
            await original(sockets=sockets)
            started.set()

        self._server.startup = startup  # type: ignore[method-assign]
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), daemon=True)
        self._thread.start()
        assert started.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = self._server.force_exit = True
        self._thread.join(10)


@contextlib.contextmanager
def cutting_proxy(target: int, cuts: int, seed: int, least: int = 300, most: int = 6000) -> Iterator[Any]:
    """A TCP proxy in front of `target` that resets its first `cuts` connections after a random number of bytes, even
    in the middle of a frame. Yields an object with `port` and `cut`, the number of connections cut so far."""
    chance = random.Random(seed)
    loop = asyncio.new_event_loop()

    class Proxy:
        port = 0
        cut = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, forth = await asyncio.open_connection("127.0.0.1", target)
        budget = chance.randint(least, most) if Proxy.cut < cuts else None

        async def upstream() -> None:
            while data := await reader.read(4096):
                forth.write(data)

        sending = asyncio.create_task(upstream())
        try:
            while data := await back.read(512):
                if budget is not None:
                    data, budget = data[:budget], budget - len(data)
                writer.write(data)
                await writer.drain()
                if budget is not None and budget <= 0:
                    Proxy.cut += 1
                    break
        except OSError:
            pass
        finally:
            sending.cancel()
            writer.transport.abort()
            forth.transport.abort()

    server = loop.run_until_complete(asyncio.start_server(serve, "127.0.0.1", 0))
    Proxy.port = server.sockets[0].getsockname()[1]
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield Proxy
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)
