"""Lambda: which worker runs which invocation, and what an async failure leads to."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
import time
from collections import deque
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote
from uuid import uuid4

from .chaos import Chaos
from .console import Console
from .forkserver import ForkServer
from .history import History
from .manifest import Function
from .options import Options, StackError
from .workers import Invocation, Outcome, Worker, arn, lambda_env

SYNC_RESERVE = 16  # a function waiting for another must not wait for its own slot
SHARED = Function("shared", "shared", "")
PASSED_ON = ("TASK_", "NIGHTSHIFT_")
KEPT_FROM_SHELL = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV", "PYTHONPATH")


class Lambdas:
    def __init__(self, options: Options, forks: ForkServer, history: History, console: Console, chaos: Chaos) -> None:
        self.options = options
        self.forks = forks
        self.history = history
        self.console = console
        self.chaos = chaos
        self.functions: dict[str, Function] = {}
        self.generation = 0
        self.workers: set[Worker] = set()
        self.queue: deque[Invocation] = deque()
        self.running: set[asyncio.Task[Any]] = set()
        self.invoke_configs: dict[str, dict[str, Any]] = history.get("invoke_configs", {})
        self.callers: dict[str, str] = {}
        self.draining = False
        self.settling: asyncio.Future[None] | None = None

    # --- functions -------------------------------------------------------------------------------------------------

    def load(self, functions: dict[str, Function]) -> None:
        """Serve these functions from now on: idle workers of the old code end at once, busy ones after their event."""
        self.functions = functions
        self.generation += 1
        for worker in list(self.workers):
            if worker.idle:
                worker.kill()
        self._keep_warm()

    def share(self, modules: list[str]) -> None:
        """Fork the workers to come from a process that has imported these modules."""
        self._spawn(self.forks.load(modules, self.environment(SHARED)))

    def resolve(self, name: str) -> Function | None:
        """By name, ARN (whole or partial), with or without a qualifier, or the project's own short name."""
        name = unquote(name)
        if ":function:" in name:
            name = name.partition(":function:")[2]
        name = name.partition(":")[0]
        return self.functions.get(name) or self.functions.get(self.options.prefix + name)

    def environment(self, function: Function, address: str = "") -> dict[str, str]:
        """Everything a worker of the function finds in os.environ."""
        env = {k: v for k, v in os.environ.items() if k.startswith(PASSED_ON) or k in KEPT_FROM_SHELL}
        env |= self.options.function_env() | dict(self.options.env) | function.env
        env |= {k: v for k, v in os.environ.items() if k.startswith("TASK_")}  # the user's word is the last
        env |= lambda_env(function, address, self.access_key(function.name))
        return env | {"LAMBDA_TASK_ROOT": str(self.options.project_dir), "PYTHONDONTWRITEBYTECODE": ""}

    def access_key(self, name: str) -> str:
        """A key id of its own for each function, by which its AWS requests are told apart."""
        key = "AKIA" + base64.b32encode(hashlib.sha256(name.encode()).digest()).decode()[:16]
        self.callers[key] = name
        return key

    # --- invoking --------------------------------------------------------------------------------------------------

    async def invoke(self, function: Function, payload: bytes, client_context: str = "") -> Outcome:
        """Run one event and return how it ended. Never raises for what the function did."""
        invocation = self._submit(function, payload, first=True)
        invocation.client_context = client_context
        return await invocation.done

    def invoke_later(self, function: Function, payload: bytes, may_be_lost: bool = True) -> str:
        """Run one event in the background, without retries; a failure goes to the on-failure destination."""
        name = str(uuid4())  # Lambda gives an event that comes twice the same id twice
        for seconds in self.chaos.deliveries(function.name, may_be_lost):
            if seconds:
                asyncio.get_running_loop().call_later(seconds, self._run_event, function, payload, name)
            else:
                self._run_event(function, payload, name)
        return name

    def _run_event(self, function: Function, payload: bytes, name: str) -> None:
        if self.draining:  # an event that Lambda would keep; here the app's own sweep finds the work at the next start
            return
        invocation = self._submit(self.functions.get(function.name, function), payload, first=False, name=name)
        invocation.done.add_done_callback(lambda done: self._async_done(invocation, done.result()))

    def _submit(self, function: Function, payload: bytes, first: bool, name: str = "") -> Invocation:
        done: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        invocation = Invocation(function, payload, done, name or str(uuid4()))
        self.chaos.aim(lambda: self._kill(invocation))
        idle = next((w for w in self.workers if w.idle and w.function is function and self._current(w)), None)
        if idle is not None:
            idle.give(invocation)
        elif self._has_room(SYNC_RESERVE if first else 0):
            self._start(function, invocation)
        elif first:
            self.queue.appendleft(invocation)
        else:
            self.queue.append(invocation)
        return invocation

    def _kill(self, invocation: Invocation) -> str | None:
        """kill -9 of whoever runs it; who that was."""
        worker = next((w for w in self.workers if w.invocation is invocation and w.pid), None)
        if worker is None:
            return None
        worker.kill()
        return f"{worker.function.short}, pid {worker.pid}"

    def _has_room(self, reserve: int) -> bool:
        """Whether one more worker may start; an idle one of another function makes way."""
        if len(self.workers) < self.options.max_workers + reserve:
            return True
        idle = min((w for w in self.workers if w.idle), key=lambda w: w.since, default=None)
        if idle is None:
            return False
        self.retire(idle)
        return True

    def _start(self, function: Function, invocation: Invocation | None) -> None:
        worker = Worker(function, self.generation, self._on_idle, self._on_end, self.console.function_wrote)
        worker.invocation = invocation
        self.workers.add(worker)
        self._spawn(self._fork(worker))

    async def _fork(self, worker: Worker) -> None:
        log = await worker.listen()
        env = self.environment(worker.function, worker.address)
        try:
            worker.pid = await self.forks.start("worker", env, worker.has_ended, [log], handler=worker.function.handler)
        except StackError:
            worker.has_ended(1)

    def _current(self, worker: Worker) -> bool:
        return worker.generation == self.generation

    def retire(self, worker: Worker) -> None:
        """End an idle worker; it no longer counts."""
        self.workers.discard(worker)
        worker.kill()

    def _on_idle(self, worker: Worker) -> None:
        if self.draining or not self._current(worker):
            worker.kill()
            return
        for invocation in self.queue:
            if invocation.function is worker.function:
                self.queue.remove(invocation)
                worker.give(invocation)
                return
        if self.queue:  # the slot is worth more to the one that waits longest
            self.retire(worker)
            self._start_waiting()

    def _on_end(self, worker: Worker) -> None:
        self.workers.discard(worker)
        self._start_waiting()
        if worker.served:
            self._keep_warm()

    def _start_waiting(self) -> None:
        while self.queue and len(self.workers) < self.options.max_workers:
            invocation = self.queue.popleft()
            self._start(self.functions.get(invocation.function.name, invocation.function), invocation)

    def _keep_warm(self) -> None:
        if self.draining:
            return
        for short in self.options.keep_warm:
            function = self.functions.get(self.options.prefix + short)
            if function and not any(w.function is function for w in self.workers):
                self._start(function, None)

    def reap_idle(self) -> None:
        """End workers that were idle for long, but for one of each function that is kept warm."""
        now = time.time()
        kept: set[str] = set()
        for worker in sorted(self.workers, key=lambda w: -w.since):
            if not worker.idle or now - worker.since < self.options.idle_seconds:
                continue
            if worker.function.short in self.options.keep_warm and worker.function.short not in kept:
                kept.add(worker.function.short)
                continue
            self.retire(worker)

    # --- async failures --------------------------------------------------------------------------------------------

    def settle(self, work: Coroutine[Any, Any, None]) -> None:
        """`work` lets the project set its destinations; failures are reported when it is done, however early they were."""
        self.settling = asyncio.ensure_future(work)

    def _async_done(self, invocation: Invocation, outcome: Outcome) -> None:
        if self.settling is not None and not self.settling.done():
            self.settling.add_done_callback(lambda _: self._async_done(invocation, outcome))
            return
        config = self.invoke_configs.get(invocation.function.name, {})
        which = "OnFailure" if outcome.error else "OnSuccess"
        target = config.get("DestinationConfig", {}).get(which, {}).get("Destination")
        function = self.resolve(target) if target else None
        if function is None or self.draining:
            return
        record: dict[str, Any] = {
            "version": "1.0",
            "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "requestContext": {
                "requestId": invocation.id,
                "functionArn": arn(invocation.function.name) + ":$LATEST",
                "condition": "RetriesExhausted" if outcome.error else "Success",
                "approximateInvokeCount": 1,
            },
            "requestPayload": _json(invocation.payload),
            "responseContext": {"statusCode": 200, "executedVersion": "$LATEST"},
            "responsePayload": _json(outcome.payload),
        }
        if outcome.error:
            record["responseContext"]["functionError"] = outcome.error
        self.invoke_later(function, json.dumps(record).encode())

    # --- the end ---------------------------------------------------------------------------------------------------

    def _spawn(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self.running.add(task)
        task.add_done_callback(self.running.discard)

    async def drain(self, seconds: float, hurry: asyncio.Event) -> None:
        """Let running invocations finish for that long, or until `hurry` is set, then kill what is left."""
        self.draining = True
        for invocation in self.queue:
            invocation.fail("Sandbox.Stopped", "The stack is shutting down")
        self.queue.clear()
        for worker in list(self.workers):
            if not worker.busy:
                worker.kill()
        deadline = time.monotonic() + seconds
        while any(w.busy for w in self.workers) and time.monotonic() < deadline and not hurry.is_set():
            await asyncio.sleep(0.05)
        for worker in list(self.workers):
            worker.kill()
        while self.workers and time.monotonic() < deadline + 2:
            await asyncio.sleep(0.01)


def _json(payload: bytes) -> Any:
    try:
        return json.loads(payload)
    except ValueError:
        return payload.decode(errors="replace")
