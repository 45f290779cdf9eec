"""The stack's end of the fork servers: starts them, gives them orders, hears of the children's ends."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .options import StackError

Ended = Callable[[int], None]


class Server:
    """One process that forks children when it is told to (zygote.py). `on_death` is called when it has gone by itself."""

    def __init__(self, control: socket.socket, on_death: Callable[[], None]) -> None:
        self.control = control
        self.on_death = on_death
        self.waiting: dict[str, tuple[asyncio.Future[int], Ended]] = {}
        self.running: dict[str, Ended] = {}
        self.count = 0
        self.text = b""
        self.closing = False
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().add_reader(self.control, self._hear)

    async def order(self, kind: str, ended: Ended, descriptors: list[int], **order: Any) -> int:
        """Fork a child and return its pid; the descriptors are closed here. `ended(status)` is called once."""
        self.count += 1
        name = f"{kind}-{self.count}"
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.waiting[name] = (future, ended)
        try:
            self.send({"id": name, "kind": kind, "descriptors": len(descriptors), **order}, descriptors)
        except OSError as error:
            raise StackError("the fork server is gone") from error
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        return await future

    def send(self, order: dict[str, Any], descriptors: list[int]) -> None:
        data = json.dumps(order).encode() + b"\n"
        self.control.setblocking(True)
        sent = socket.send_fds(self.control, [data], descriptors)
        if sent < len(data):
            self.control.sendall(data[sent:])

    def _hear(self) -> None:
        try:
            data = self.control.recv(1 << 16, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            asyncio.get_running_loop().remove_reader(self.control)
            if not self.closing:
                self.on_death()
            return
        self.text += data
        *lines, self.text = self.text.split(b"\n")
        for line in lines:
            self._heard(json.loads(line))

    def _heard(self, message: dict[str, Any]) -> None:
        if "ready" in message:
            self.ready.set_result(None)
        elif "started" in message:
            future, ended = self.waiting.pop(message["started"])
            self.running[message["started"]] = ended
            if not future.done():
                future.set_result(message["pid"])
        elif "ended" in message:
            # after the task that waits for the start has had its turn
            ended = self.running.pop(message["ended"])
            asyncio.get_running_loop().call_soon(ended, message["status"])

    def close(self) -> None:
        self.closing = True
        asyncio.get_running_loop().remove_reader(self.control)
        self.control.close()


class Template(Server):
    """The server that has the project's code loaded. `usable` from its first word until it retires or dies."""

    def __init__(self, control: socket.socket) -> None:
        super().__init__(control, self._died)
        self.usable = True

    def retire(self) -> None:
        """No more children of this code; those there are may finish."""
        self.usable = False
        if self.control.fileno() >= 0:
            try:
                self.send({"kind": "retire"}, [])
            except OSError:
                return

    def _died(self) -> None:
        """Its children die with it; after `retire` it had none."""
        self.usable = False
        for future, _ in self.waiting.values():
            future.set_exception(StackError("the fork server is gone"))
        for ended in self.running.values():
            ended(-9)
        self.waiting, self.running = {}, {}
        self.close()


class ForkServer(Server):
    """The server that has the libraries loaded, and the one beside it that has the project too.

    `on_death` is called when the first has gone, which nothing survives.
    """

    def __init__(
        self, project_dir: Path, preload: tuple[str, ...], on_death: Callable[[], None], site: tuple[Path, ...] = ()
    ) -> None:
        self.project_dir = project_dir
        self.code_dir = project_dir  # another folder while the project's own code is broken
        self.template: Template | None = None
        ours, theirs = socket.socketpair()
        script = Path(__file__).with_name("zygote.py")
        env = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
        env |= {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
        if site:
            env["PYTHONPATH"] = os.pathsep.join(map(str, site))
        self.process = subprocess.Popen(
            [sys.executable, "-P", *(["-S"] if site else []), str(script), str(theirs.fileno()), *preload],
            pass_fds=(theirs.fileno(),),
            stdin=subprocess.DEVNULL,
            env=env,
            process_group=0,  # a terminal's Ctrl-C goes to the stack alone
        )
        theirs.close()
        super().__init__(ours, on_death)

    async def start(self, kind: str, env: dict[str, str], ended: Ended, descriptors: list[int], **order: Any) -> int:
        """Fork a child and return its pid; the descriptors are closed here. `ended(status)` is called once."""
        if not self.ready.done():
            await asyncio.shield(self.ready)
        paths = list({str(self.code_dir): 0, str(self.project_dir): 0})
        order |= {"env": env, "cwd": str(self.code_dir), "paths": paths}
        template = self.template
        if kind == "worker" and template is not None and template.usable and template.ready.done():
            return await template.order(kind, ended, descriptors, **order)
        return await self.order(kind, ended, descriptors, **order)

    async def load(self, modules: list[str], env: dict[str, str]) -> None:
        """Have workers forked from a process that has imported these modules of the project as they are now."""
        self.unload()
        ours, theirs = socket.socketpair()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        # It takes workers' orders once it says that it is ready; until then they start without it.
        self.template = template = Template(ours)
        await self.start("template", env, lambda _status: None, [nowhere, theirs.detach()], modules=modules)
        if not template.usable:  # another load came in between
            template.retire()

    def unload(self) -> None:
        """Workers start from the libraries alone: the project's code is about to change, or is broken."""
        if self.template is not None:
            self.template.retire()
            self.template = None

    async def call(self, target: str, env: dict[str, str], output: Callable[[str], None]) -> Any:
        """Run `module:function`, or "manifest", in a child that may import the project; return its JSON result.

        Raises StackError with the traceback in the project's code, or with a line for each of the error's `problems`.
        What the child prints goes to `output`.
        """
        loop = asyncio.get_running_loop()
        log_read, log_write = os.pipe()
        reply_read, reply_write = os.pipe()
        ended: asyncio.Future[int] = loop.create_future()
        reads = [loop.run_in_executor(None, _read_all, fd) for fd in (log_read, reply_read)]
        await self.start("call", env, ended.set_result, [log_write, reply_write], target=target)
        printed, reply = await asyncio.gather(*reads)
        status = await ended
        if printed.strip():
            output(printed.decode(errors="replace").rstrip())
        if not reply:
            raise StackError(f"{target} ended with status {status} and said nothing")
        answer = json.loads(reply)
        if "problems" in answer:
            raise StackError("\n".join(answer["problems"]))
        if "error" in answer:
            raise StackError(answer["traceback"].rstrip())
        return answer["result"]

    def close(self) -> None:
        """End the servers and with them every child."""
        if self.template is not None and self.template.control.fileno() >= 0:
            self.template.close()
        super().close()
        try:
            self.process.wait(timeout=3)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def _read_all(descriptor: int) -> bytes:
    with os.fdopen(descriptor, "rb") as file:
        return file.read()
