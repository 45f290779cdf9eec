"""One process of the world: each of its requests is numbered, and may be the last, come twice, or go unanswered."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from greenlet import getcurrent, greenlet

from chalicelib.engine.services import Services
from chalicelib.store.table import Table

if TYPE_CHECKING:
    from tests.faults.world import World

QUIET = logging.getLogger("tests.faults.quiet")
QUIET.addHandler(logging.NullHandler())
QUIET.propagate = False
QUIET.disabled = True


class Died(BaseException):
    """The process is gone in this very moment."""


class Trouble(Exception):
    """A request failed in a way that says nothing of what became of it."""


class Violation(AssertionError):
    """An invariant does not hold."""


@dataclass
class Fault:
    """What happens at one request (counted from 1) of a process."""

    at: int
    mode: str  # before, after, twice, lost, refused, or aside: something else happens just before it
    aside: Callable[[], None] | None = None
    happened: bool = False


class Process:
    """One process: a Lambda's, the API's. Its requests are numbered and noted."""

    def __init__(self, world: World, kind: str, fault: Fault | None = None) -> None:
        self.world, self.kind, self.fault = world, kind, fault
        self.alive = True
        self.requests: list[str] = []
        self.publisher: Any = None
        self.pause: Callable[[], None] = lambda: None  # before each request: lets others go on
        self.services = Services(
            table=Table(_Client(self), world.table_name),
            catalog=world.catalog,
            settings=world.settings,
            invoke=self._invoke,
            post=self._post,
            s3=lambda: None,
            log=QUIET,
            now=world.tick,
            sleep=lambda seconds: world.waiting_for_a_sign(),
        )
        self.services.process = self  # type: ignore[attr-defined]

    def request(self, label: str, do: Callable[[], Any]) -> Any:
        self.pause()
        if not self.alive:
            raise Died
        self.requests.append(label)
        fault = self.fault
        if fault is None or fault.at != len(self.requests):
            return self._done(do)
        fault.happened = True
        if fault.mode == "aside":
            assert fault.aside
            fault.aside()
            return self._done(do)
        if fault.mode == "before":
            self._die()
        if fault.mode == "refused":
            raise Trouble(label)
        try:
            answer = self._done(do)
        except Exception:
            if fault.mode == "after":
                self._die()
            if fault.mode == "twice":
                return self._done(do)
            raise
        if fault.mode == "after":
            self._die()
        if fault.mode == "lost":
            raise Trouble(label)
        if fault.mode == "twice":
            self.world.doubled_push = self.world.doubled_push or label == "post"
            return self._done(do)
        return answer

    def _done(self, do: Callable[[], Any]) -> Any:
        self.world.writers.append(self)
        try:
            return do()
        finally:
            self.world.writers.pop()

    def _die(self) -> None:
        self.alive = False
        raise Died

    def _invoke(self, function: str, payload: dict[str, Any]) -> None:
        if self.fault and self.fault.mode == "invoke_lost" and self.fault.at == len(self.requests) + 1:
            self.fault.happened = True
            self.requests.append(f"invoke {function} (lost)")
            return
        self.request(f"invoke {function}", lambda: self.world.inbox.append(payload))

    def _post(self, connection: str, text: str) -> bool:
        self.request("post", lambda: self.world.posted[connection].extend(json.loads(text)["events"]))
        return True


class _Client:
    """The table's client as one process has it."""

    def __init__(self, process: Process) -> None:
        self.process = process

    def __getattr__(self, name: str) -> Callable[..., Any]:
        process, real = self.process, getattr(self.process.world.client, name)
        return lambda **request: process.request(_label(name, request), lambda: real(**request))


def _label(name: str, request: dict[str, Any]) -> str:
    key = request.get("Key") or request.get("Item") or {"pk": request.get("ExpressionAttributeValues", {}).get(":pk", {"S": ""})}
    return f"{name} {key['pk']['S'].split('#')[0]}".strip()


class Coroutine:
    """A process that goes on one request at a time."""

    def __init__(self, world: World, kind: str, what: Callable[[Process], Any]) -> None:
        self.process = Process(world, kind)
        self.born = world.clock
        hub = getcurrent()
        self.process.pause = lambda: hub.switch() if getcurrent() is self.thread else None
        self.thread = greenlet(lambda: what(self.process))
        self.step()

    def step(self) -> None:
        """Up to its next request."""
        if not self.thread.dead:
            self.thread.switch()

    def kill(self) -> None:
        self.process.alive = False
        while not self.thread.dead:
            self.thread.switch()

    def finish(self) -> None:
        """To its end."""
        while not self.thread.dead:
            self.thread.switch()
