"""`/_stack/…`: what tests and tools may ask the stack itself. From loopback only, with the stack's token."""

from __future__ import annotations

import hmac
import os
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from .options import StackError
from .wire import Request, Response, as_json

if TYPE_CHECKING:
    from .stack import Stack

BASE = "/_stack/"
LOOPBACK = ("127.0.0.1", "::1", "")


def handle(stack: Stack, request: Request) -> Response:
    """GET workers, requests, status, connections, permissions, chaos; POST tick?time=…, reap, chaos?on=0&kill=0.1."""
    if request.client not in LOOPBACK:
        return as_json(403, {"message": "only from this machine"})
    bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
    given = request.headers.get("x-stack-token", bearer)
    if not hmac.compare_digest(given.encode(), (stack.options.token or "").encode()):
        return as_json(401, {"message": "the token is missing or wrong"})
    query = {name: values[-1] for name, values in parse_qs(request.query).items()}
    what = (request.method, request.path.removeprefix(BASE))
    match what:
        case ("GET", "status"):
            return as_json(200, _status(stack))
        case ("GET", "workers"):
            return as_json(200, {"workers": workers(stack, query.get("function"))})
        case ("GET", "connections"):
            return as_json(200, {"connections": sorted(stack.connections.connections)})
        case ("GET", "requests"):
            function = query.get("function")
            if function and (found := stack.lambdas.resolve(function)):
                function = found.name
            listed = query.get("list", "1") not in ("0", "false")
            return as_json(200, stack.aws.log.since(int(query.get("since", 0)), function, listed))
        case ("GET", "permissions"):
            return as_json(200, {"used": stack.guard.used(), "refused": sorted(map(list, stack.guard.told))})
        case ("GET", "chaos"):
            return as_json(200, stack.chaos.report())
        case ("POST", "chaos"):
            return _set_chaos(stack, query)
        case ("POST", "tick"):
            try:  # a + that was not escaped arrives as a space
                minute = datetime.fromisoformat(query.get("time", "").replace("Z", "+00:00").replace(" +", "+"))
            except ValueError as error:
                return as_json(400, {"message": f"time: {error}; write it like 2026-01-31T02:00:00Z"})
            return as_json(200, {"fired": stack.clock.fire(minute)})
        case ("POST", "reap"):
            for worker in list(stack.lambdas.workers):
                if worker.idle:
                    stack.lambdas.retire(worker)
            return as_json(200, {})
    return as_json(404, {"message": f"no such call: {request.method} {request.path}"})


def _set_chaos(stack: Stack, query: dict[str, str]) -> Response:
    """`on=0|1`, and any rate by its name."""
    try:
        for name, value in query.items():
            if name != "on":
                stack.chaos.set(name, float(value))
    except (StackError, ValueError) as error:
        return as_json(400, {"message": str(error)})
    stack.chaos.on = query.get("on", str(int(stack.chaos.on))) == "1"
    return as_json(200, stack.chaos.report())


def workers(stack: Stack, function: str | None) -> list[dict[str, Any]]:
    """[{"function", "pid", "state", "busy", "since", "request_id", "served"}], oldest first."""
    wanted = stack.lambdas.resolve(function) if function else None
    return [
        {
            "function": worker.function.name,
            "pid": worker.pid,
            "state": "busy" if worker.busy else "idle" if worker.idle else "starting",
            "busy": worker.busy,
            "since": worker.since,
            "request_id": worker.invocation.id if worker.invocation else None,
            "served": worker.served,
        }
        for worker in sorted(stack.lambdas.workers, key=lambda w: w.pid)
        if worker.pid and (wanted is None or worker.function.name == wanted.name)
    ]


def _status(stack: Stack) -> dict[str, Any]:
    return {
        "url": stack.options.url,
        "pid": os.getpid(),
        "fork_server": stack.forks.process.pid,
        "uptime": time.time() - stack.began,
        "generation": stack.lambdas.generation,
        "error": stack.load_error,
        "queued": len(stack.lambdas.queue),
        "functions": sorted(stack.lambdas.functions),
    }
