"""One worker process and the Runtime API that feeds it (2018-06-01), each on a loopback port of its own.

A port per worker is what tells workers apart: the runtime client offers nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .manifest import Function
from .options import ACCOUNT, REGION
from .wire import HttpProtocol, Request, Response

PREFIX = "/2018-06-01/runtime/"
INIT_SECONDS = 10.0
MAX_RESPONSE = 6 * 1024 * 1024


@dataclass
class Outcome:
    """How an invocation ended. `error` is the value of X-Amz-Function-Error (`Unhandled`) or None."""

    payload: bytes
    error: str | None = None


@dataclass(eq=False)
class Invocation:
    """One event on its way through a function; `done` is resolved exactly once."""

    function: Function
    payload: bytes
    done: asyncio.Future[Outcome]
    id: str
    client_context: str = ""

    def finish(self, outcome: Outcome) -> None:
        if not self.done.done():
            self.done.set_result(outcome)

    def fail(self, kind: str, message: str) -> None:
        text = {"errorType": kind, "errorMessage": f"RequestId: {self.id} Error: {message}"}
        self.finish(Outcome(json.dumps(text).encode(), "Unhandled"))


class Worker:
    """States: starting (no poll yet), idle (a poll waits), busy (an invocation is out), ended.

    `on_idle(worker)` is called when it asks for work and has none, `on_end(worker)` once when the process is gone.
    """

    def __init__(
        self,
        function: Function,
        generation: int,
        on_idle: Callable[[Worker], None],
        on_end: Callable[[Worker], None],
        wrote: Callable[[str, bytes], None],
    ) -> None:
        self.function = function
        self.generation = generation
        self.on_idle, self.on_end, self.wrote = on_idle, on_end, wrote
        self.pid = 0
        self.invocation: Invocation | None = None
        self.poll: asyncio.Future[Response] | None = None
        self.since = time.time()
        self.ended = False
        self.served = 0
        self.init_error: bytes | None = None
        self.verdict: tuple[str, str] | None = None
        self.killer: asyncio.TimerHandle | None = None
        self.server: asyncio.Server | None = None
        self.address = ""
        self.log = -1
        self.delivered = False
        self.began = time.monotonic()

    async def listen(self) -> int:
        """Open the Runtime API and the log pipe; return the pipe's writing end for the process."""
        loop = asyncio.get_running_loop()
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        sock.bind(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{sock.getsockname()[1]}"
        self.server = await loop.create_server(lambda: HttpProtocol(self.answer), sock=sock, backlog=4)
        self.log, write = os.pipe()
        os.set_blocking(self.log, False)
        loop.add_reader(self.log, self._read_log)
        self.killer = loop.call_later(
            max(INIT_SECONDS, self.function.timeout), self._time_out, max(INIT_SECONDS, self.function.timeout)
        )
        return write

    @property
    def idle(self) -> bool:
        return self.poll is not None and not self.ended

    @property
    def busy(self) -> bool:
        return self.invocation is not None

    def give(self, invocation: Invocation) -> None:
        """Take an invocation: now when idle, otherwise at the first poll."""
        self.invocation = invocation
        self.since = time.time()
        if self.poll is not None:
            poll, self.poll = self.poll, None
            if not poll.done():
                poll.set_result(self._deliver(invocation))

    def answer(self, request: Request) -> Response | asyncio.Future[Response]:
        """The Runtime API."""
        path = request.path.removeprefix(PREFIX)
        if path == "invocation/next":
            return self._next()
        if path == "init/error":
            self.init_error = request.body
            return Response(202, b'{"status":"OK"}')
        _, _, rest = path.partition("invocation/")
        invocation_id, _, what = rest.partition("/")
        if self.invocation is None or invocation_id != self.invocation.id:
            return Response(400, b'{"errorType":"InvalidRequestID","errorMessage":"Invalid request ID"}')
        if what == "response":
            self._finish(self._within_limit(request.body))
        elif what == "error":
            self._finish(Outcome(request.body, "Unhandled"))
        else:
            return Response(404, b"{}")
        return Response(202, b'{"status":"OK"}')

    def _next(self) -> Response | asyncio.Future[Response]:
        if self.invocation is not None and not self.delivered:
            return self._deliver(self.invocation)
        self._cancel_killer()
        self.poll = asyncio.get_running_loop().create_future()
        poll = self.poll
        self.since = time.time()
        self.on_idle(self)
        return poll

    def _deliver(self, invocation: Invocation) -> Response:
        self._cancel_killer()
        self.delivered = True
        timeout = self.function.timeout
        self.killer = asyncio.get_running_loop().call_later(timeout, self._time_out, timeout)
        self.began = time.monotonic()
        self._note(f"START RequestId: {invocation.id} Version: $LATEST\n")
        headers = {
            "Lambda-Runtime-Aws-Request-Id": invocation.id,
            "Lambda-Runtime-Deadline-Ms": str(int((time.time() + timeout) * 1000)),
            "Lambda-Runtime-Invoked-Function-Arn": arn(self.function.name),
            "Lambda-Runtime-Trace-Id": f"Root=1-{int(time.time()):08x}-{invocation.id.replace('-', '')[:24]};Sampled=0",
        }
        if invocation.client_context:
            headers["Lambda-Runtime-Client-Context"] = invocation.client_context
        return Response(200, invocation.payload, headers)

    def _within_limit(self, body: bytes) -> Outcome:
        if len(body) <= MAX_RESPONSE:
            return Outcome(body)
        text = f"Response payload size ({len(body)} bytes) exceeded maximum allowed payload size ({MAX_RESPONSE} bytes)."
        error = {"errorType": "Function.ResponseSizeTooLarge", "errorMessage": text}
        return Outcome(json.dumps(error).encode(), "Unhandled")

    def _finish(self, outcome: Outcome) -> None:
        invocation, self.invocation = self.invocation, None
        self.delivered = False
        self.served += 1
        self._cancel_killer()
        if invocation is not None:
            self._report(invocation)
            invocation.finish(outcome)

    def _report(self, invocation: Invocation) -> None:
        took = (time.monotonic() - self.began) * 1000
        self._note(
            f"END RequestId: {invocation.id}\nREPORT RequestId: {invocation.id}\tDuration: {took:.2f} ms\t"
            f"Memory Size: {self.function.memory} MB\n"
        )

    def _time_out(self, seconds: float) -> None:
        self.verdict = ("Sandbox.Timedout", f"Task timed out after {seconds:.2f} seconds")
        self.kill()

    def kill(self) -> None:
        """kill -9 of the worker and all it started. Harmless before it has a pid and after its end."""
        if self.pid > 0:
            with contextlib.suppress(OSError):
                os.killpg(self.pid, signal.SIGKILL)

    def has_ended(self, status: int) -> None:
        """The process is gone: give its invocation the error that Lambda would."""
        if self.ended:
            return
        self.ended = True
        self._cancel_killer()
        self.kill()  # Lambda ends the whole sandbox with its runtime process
        self._read_log()
        self._close()
        invocation, self.invocation = self.invocation, None
        if invocation is not None:
            if self.init_error is not None:
                invocation.finish(Outcome(self.init_error, "Unhandled"))
            else:
                invocation.fail(*(self.verdict or ("Runtime.ExitError", describe_exit(status))))
            self._report(invocation)
        self.on_end(self)

    def _close(self) -> None:
        if self.log >= 0:
            asyncio.get_running_loop().remove_reader(self.log)
            os.close(self.log)
            self.log = -1
        if self.server is not None:
            self.server.close()
        if self.poll is not None and not self.poll.done():
            self.poll.cancel()
        self.poll = None

    def _cancel_killer(self) -> None:
        if self.killer is not None:
            self.killer.cancel()
            self.killer = None

    def _read_log(self) -> None:
        while self.log >= 0:
            try:
                data = os.read(self.log, 1 << 16)
            except (BlockingIOError, OSError):
                return
            if not data:
                asyncio.get_running_loop().remove_reader(self.log)
                return
            self.wrote(self.function.name, data)

    def _note(self, text: str) -> None:
        self.wrote(self.function.name, text.encode())


def describe_exit(status: int) -> str:
    """Lambda's words for an exit status (negative: killed by that signal)."""
    if status < 0:
        names = {signal.SIGKILL: "killed", signal.SIGSEGV: "segmentation fault", signal.SIGTERM: "terminated"}
        name = names.get(signal.Signals(-status), signal.strsignal(-status) or str(-status))
        return f"Runtime exited with error: signal: {name.lower()}"
    return f"Runtime exited with error: exit status {status}" if status else "Runtime exited without providing a reason"


def arn(function: str) -> str:
    return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{function}"


def lambda_env(function: Function, address: str, access_key: str) -> dict[str, Any]:
    """The environment that Lambda itself gives a function."""
    return {
        "AWS_LAMBDA_FUNCTION_NAME": function.name,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory),
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{function.name}",
        "AWS_LAMBDA_LOG_STREAM_NAME": "local",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_RUNTIME_API": address,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": access_key,
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_SESSION_TOKEN": "local",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_EXECUTION_ENV": f"AWS_Lambda_python{sys.version_info.major}.{sys.version_info.minor}",
        "_HANDLER": function.handler,
        "TZ": "UTC",
    }
