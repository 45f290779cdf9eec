"""The stack's end of the fork server: starts it, gives it orders, hears of the children's ends."""

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


class ForkServer:
    """`on_death` is called when the server itself has gone, which nothing survives."""

    def __init__(self, project_dir: Path, preload: tuple[str, ...], on_death: Callable[[], None]) -> None:
        self.project_dir = project_dir
        self.code_dir = project_dir  # another folder while the project's own code is broken
        self.on_death = on_death
        self.waiting: dict[str, tuple[asyncio.Future[int], Ended]] = {}
        self.running: dict[str, Ended] = {}
        self.count = 0
        self.text = b""
        self.closing = False
        ours, theirs = socket.socketpair()
        script = Path(__file__).with_name("zygote.py")
        env = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
        env |= {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
        self.process = subprocess.Popen(
            [sys.executable, "-P", str(script), str(theirs.fileno()), *preload],
            pass_fds=(theirs.fileno(),),
            stdin=subprocess.DEVNULL,
            env=env,
            process_group=0,  # a terminal's Ctrl-C goes to the stack alone
        )
        theirs.close()
        self.control = ours
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().add_reader(self.control, self._hear)

    async def start(self, kind: str, env: dict[str, str], ended: Ended, descriptors: list[int], **order: Any) -> int:
        """Fork a child and return its pid; the descriptors are closed here. `ended(status)` is called once."""
        if not self.ready.done():
            await asyncio.shield(self.ready)
        self.count += 1
        name = f"{kind}-{self.count}"
        order |= {"paths": list({str(self.code_dir): 0, str(self.project_dir): 0})}
        order |= {"id": name, "kind": kind, "env": env, "cwd": str(self.code_dir), "descriptors": len(descriptors)}
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.waiting[name] = (future, ended)
        try:
            self._send(json.dumps(order).encode() + b"\n", descriptors)
        except OSError as error:
            raise StackError("the fork server is gone") from error
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        return await future

    def _send(self, data: bytes, descriptors: list[int]) -> None:
        self.control.setblocking(True)
        sent = socket.send_fds(self.control, [data], descriptors)
        if sent < len(data):
            self.control.sendall(data[sent:])

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
        """End the server and with it every child."""
        self.closing = True
        asyncio.get_running_loop().remove_reader(self.control)
        self.control.close()
        try:
            self.process.wait(timeout=3)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def _read_all(descriptor: int) -> bytes:
    with os.fdopen(descriptor, "rb") as file:
        return file.read()
