"""Puts the parts together, serves, and takes them apart again."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import os
import signal
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import internals
from .console import Console
from .forkserver import ForkServer
from .manifest import Manifest
from .options import Options, StackError
from .policies import read_policies
from .reload import keep_copy
from .secrets import LocalSecrets, secrets_file
from .web import Web
from .wire import HttpProtocol, Request

if TYPE_CHECKING:
    from .aws import Aws
    from .chaos import Chaos
    from .clock import Clock
    from .dynamodb import DynamoDB
    from .files import Files
    from .gateway import Gateway
    from .guard import Guard
    from .history import History
    from .lambdas import Lambdas
    from .websockets import Connections


def run(options: Options) -> None:
    """Serve until told to stop. Raises StackError."""
    # moto looks these up; its modules are imported after this line only
    os.environ |= {"MOTO_ACCOUNT_ID": "123456789012", "AWS_EC2_METADATA_DISABLED": "true"}
    os.environ |= {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local", "AWS_DEFAULT_REGION": "us-east-1"}
    asyncio.run(Stack(options).serve())


class Stack:
    dynamodb: DynamoDB
    history: History
    files: Files
    aws: Aws
    chaos: Chaos
    lambdas: Lambdas
    connections: Connections
    gateway: Gateway
    guard: Guard
    clock: Clock
    forks: ForkServer
    console: Console
    web: Web

    def __init__(self, options: Options) -> None:
        self.options = options
        self.began = time.time()
        self.load_error: str | None = None
        self.good_code: Path | None = None
        self.hurry = asyncio.Event()
        self.stopping = asyncio.Event()
        self.failure: str | None = None

    async def serve(self) -> None:
        options = self.options
        options.prepare()
        listener = self._bind()
        self.console = Console(options.data / "logs")
        self.forks = ForkServer(options.project_dir, options.preload, self._fork_server_died, options.site)
        try:
            self._build()
            await self._load(first=True)
            await self._run(listener)
        finally:
            self.forks.close()
            if hasattr(self, "history"):
                self.history.close()
            self.console.close()
            listener.close()
        if self.failure:
            raise StackError(self.failure)

    def _bind(self) -> socket.socket:
        """The public port, taken before anything slow is done."""
        options = self.options
        # the protocol is named so that asyncio sets TCP_NODELAY on what it accepts
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((options.host, options.port))
        except OSError as error:
            listener.close()
            if error.errno == errno.EADDRINUSE:
                raise StackError(f"port {options.port} is in use; choose another with PORT=…") from error
            raise StackError(f"cannot listen on {options.host}:{options.port}: {error.strerror}") from error
        options.port = listener.getsockname()[1]
        return listener

    def _build(self) -> None:
        """Import moto and make the parts; the fork server warms up meanwhile."""
        from .aws import Aws
        from .chaos import Chaos
        from .clock import Clock
        from .dynamodb import DynamoDB
        from .files import Files
        from .gateway import Gateway
        from .guard import Guard
        from .history import History
        from .lambdas import Lambdas
        from .template import Template, provision
        from .websockets import Connections

        options = self.options
        assert options.template is not None
        self.history = History(options.data / "history.db")
        self.dynamodb = DynamoDB(self.history.touched)
        self.files = Files(options.data / "files", self.console.say)
        self.chaos = Chaos(options.chaos_seed, options.chaos_rates, self.console.say, options.data / "logs" / "chaos.log")
        self.lambdas = Lambdas(options, self.forks, self.history, self.console, self.chaos)
        self.connections = Connections(self.lambdas, self.console)
        secrets = LocalSecrets(secrets_file(options.project_dir), self.console.complain)
        self.guard = Guard(self.console.complain)
        self.aws = Aws(self.dynamodb, self.files, self.history, self.lambdas, self.connections, self.chaos, secrets, self.guard)
        self.gateway = Gateway(self.lambdas)
        self.clock = Clock(self.lambdas, self.console)
        if self.chaos.on:
            self.console.say(f"chaos: on, seed {self.chaos.seed}; /_stack/chaos counts what is done")
        template = Template(options.template, {"Stage": options.stage, "BucketName": f"nightshift-{options.stage}-files"})
        topics = provision(template, self.dynamodb, self.files)
        for table in self.dynamodb.tables.values():
            self.history.load(table)
        self.aws.restore_rules()
        self.aws.topics = topics

    # --- the project's code ----------------------------------------------------------------------------------------

    async def _load(self, first: bool = False) -> None:
        """Run the hook, read the manifest, serve it. On an error the code loaded before goes on."""
        began = time.perf_counter()
        self.forks.code_dir = self.options.project_dir
        self.forks.unload()
        try:
            await self._before_load()
            env = self.lambdas.environment(_LOADER)
            described = await self.forks.call("manifest", env, self.console.say)
            config = self.options.project_dir / ".chalice" / "config.json"
            manifest = Manifest.read(described, config, self.options.prefix, self.options.stage, self.options.lambda_limit)
            policies = read_policies(config, [f.short for f in manifest.functions.values()], self.options.stage)
        except (StackError, ValueError, KeyError) as error:
            self.load_error = str(error)
            self.forks.code_dir = self.good_code or self.options.project_dir
            kept = "" if first else "\n(the code loaded before goes on serving)"
            self.console.complain(f"the app cannot be loaded:\n{error}{kept}")
            return
        self.load_error = None
        self.good_code = keep_copy(self.options.project_dir, self.options.data / "good")
        self.gateway.manifest = self.connections.manifest = self.clock.manifest = manifest
        self.guard.load({self.options.prefix + short: policy for short, policy in policies.items()})
        self.lambdas.load(manifest.functions)
        if not self.options.site:  # else each process imports for itself, as on Lambda
            self.lambdas.share(described["modules"])
        if not first:
            self.lambdas.settle(self.clock.fire_schedules())
            self.console.say(f"reloaded in {time.perf_counter() - began:.2f} s")

    async def _before_load(self) -> None:
        hook = self.options.before_load
        if isinstance(hook, str):
            await self.forks.call(hook, self.lambdas.environment(_LOADER), self.console.say)
        elif hook is not None:
            try:
                await asyncio.get_running_loop().run_in_executor(None, hook)
            except Exception as error:
                problems = getattr(error, "problems", None)
                text = "\n".join(map(str, problems)) if problems else f"{type(error).__name__}: {error}"
                raise StackError(text) from error

    async def _changed(self, paths: set[str]) -> None:
        if self.options.template and any(path.endswith(self.options.template.name) for path in paths):
            self.console.say("the template changed: it takes effect at the next start")
        try:
            await self._load()
        except OSError as error:
            self.console.complain(f"reload failed: {error}")

    # --- serving ---------------------------------------------------------------------------------------------------

    async def _run(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            with contextlib.suppress(NotImplementedError, ValueError, RuntimeError):
                loop.add_signal_handler(number, self.stop)
        self.web = Web(self)
        server = await loop.create_server(self._protocol, sock=listener, backlog=512)
        clock = asyncio.ensure_future(self.clock.run())
        jobs = [clock, asyncio.ensure_future(self.chaos.drop_connections(self.connections.open_ones))]
        if self.options.reload:
            from .reload import watch

            assert self.options.template is not None
            jobs.append(asyncio.ensure_future(watch(self.options.project_dir, self.options.template, self._changed)))
            await asyncio.sleep(0)  # it watches from its first step on: what is changed after "ready" is seen
        # What is there by now stays: not to be looked through again each time that requests have left garbage behind.
        gc.collect()
        gc.freeze()
        gc.set_threshold(20_000, 10, 10)
        if self.options.on_ready is not None:
            self.options.on_ready(self.options.url)
        else:
            self.console.say(f"ready on {self.options.url} after {time.time() - self.began:.1f} s")
        self.lambdas.settle(self.clock.fire_schedules())
        await self.stopping.wait()
        for job in jobs:
            job.cancel()
        await self._drain(server)
        await asyncio.gather(*jobs, return_exceptions=True)
        if not self.failure:
            self.console.say("stopped; what has run is kept for the next start")

    async def _drain(self, server: asyncio.Server) -> None:
        """Take no new work, give running work its time, say goodbye. AWS requests are served until the end."""
        self.lambdas.draining = True
        busy = sum(worker.busy for worker in self.lambdas.workers)
        if busy and not self.failure:
            seconds = self.options.drain_seconds
            self.console.say(f"stopping: {busy} running invocation(s) get up to {seconds:g} s; Ctrl-C again ends them now")
        await self.lambdas.drain(self.options.drain_seconds, self.hurry)
        self.connections.close_all()
        await asyncio.sleep(0)
        server.close()
        for connection in list(self.web.server_state.connections):
            connection.shutdown()

    def stop(self) -> None:
        """Drain and end; a second call ends at once."""
        if self.stopping.is_set():
            self.hurry.set()
        self.stopping.set()

    def _fork_server_died(self) -> None:
        self.failure = "the fork server died"
        for worker in list(self.lambdas.workers):
            worker.has_ended(-signal.SIGKILL)
        self.hurry.set()
        self.stopping.set()

    def _protocol(self) -> asyncio.Protocol:
        return HttpProtocol(self.direct, self.is_direct, self.web.protocol)

    def is_direct(self, request: Request) -> bool:
        return request.path.startswith(internals.BASE) or self.aws.is_mine(request)

    def direct(self, request: Request) -> Any:
        if request.path.startswith(internals.BASE):
            return internals.handle(self, request)
        return self.aws.handle(request)


def _loader() -> Any:
    from .manifest import Function

    return Function("loader", "loader", "")


_LOADER = _loader()
