"""A small world for the engine: a table, a clock that is set by hand, and processes whose every request is numbered.

A process may die at any of its requests, before or after it takes effect; from then on nothing it does reaches the world. Code of
the product is the deployed one; only what depends on real time (the publisher's thread, signals, backoffs) is stepped by hand.
"""

from __future__ import annotations

import itertools
import json
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

from greenlet import getcurrent, greenlet

from chalicelib.domain.errors import FenceLostError
from chalicelib.domain.model import Catalog, CatalogTask, Pipeline, ProcessorInfo, Step
from chalicelib.domain.run import TERMINAL, TRANSITIONS, RunRecord
from chalicelib.engine import attempt, legs, runner, starter
from chalicelib.engine import publisher as publishing
from chalicelib.engine.functions import sweep_event
from chalicelib.engine.interrupts import Interrupts
from chalicelib.engine.publisher import Publisher
from chalicelib.engine.push import Pusher
from chalicelib.engine.services import Services
from chalicelib.engine.sweeper import sweep
from chalicelib.settings import Settings
from chalicelib.store import queue, runs
from chalicelib.store.codec import decode_item
from chalicelib.store.events import read_events
from chalicelib.store.semaphores import read_semaphores
from chalicelib.store.table import Table
from tests.faults.twin import Twin

SWEEP_MS = 61_000
MOST_ROUNDS = 40
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


# ---- what a run does: by task, what is said and how it ends ----


@dataclass
class Script:
    """The work of a task's run: so many flushes of lines, then failures of the first attempts."""

    flushes: int = 1
    lines: int = 2
    failures: int = 0
    legs: int = 1  # that an attempt is cut into
    fail_in_leg: int = 1  # where the failing ones do
    hooks: list[Callable[[RunRecord], None]] = field(default_factory=list)  # each called once, while at work


class Work:
    """The only step of every pipeline here."""

    @classmethod
    def model_validate(cls, _config: Any) -> Work:
        return cls()

    def __call__(self, run: Any) -> Any:
        if World.current.scripts[run.task_id].legs > 1:
            return self._in_legs(run)
        return self._at_once(run)

    def _in_legs(self, run: Any) -> Iterator[int]:
        """The same in each leg; a checkpoint in between."""
        for leg in range((run.checkpoint or 0) + 1, World.current.scripts[run.task_id].legs):
            self._at_once(run)
            yield leg
        return self._at_once(run)

    def _at_once(self, run: Any) -> dict[str, Any]:
        world = World.current
        process = world.stack[-1]
        script = world.scripts[run.task_id]
        with world.at_work(run.id):
            for flush in range(script.flushes):
                for line in range(script.lines):
                    run.write(f"{run.attempt} {flush}.{line} " + "x" * world.line_length)
                process.publisher.step()
                if script.hooks:
                    script.hooks.pop(0)(run)
                    process.publisher.step()
            if run.attempt <= script.failures and (run.checkpoint or 0) + 1 >= script.fail_in_leg:
                raise RuntimeError(f"attempt {run.attempt} was to fail")
        return {"attempt": run.attempt}


class SteppedPublisher(Publisher):
    """Flushes when it is told to."""

    def start(self) -> None:
        self.services.process.publisher = self  # type: ignore[attr-defined]

    def finish(self) -> None:
        self._ended.set()
        self.progress.close()
        self._pusher.finish()

    def step(self) -> None:
        try:
            with self._lock:
                self._flush()
        except FenceLostError:
            self._give_up("fence")
        except Exception:
            return


class SteppedInterrupts(Interrupts):
    """Interrupts at the very place where it is learnt that it has to."""

    def request(self, reason: str) -> None:
        if self.reason is None or reason in ("fence", "lease"):
            self.reason = reason
        if self._armed:
            raise self._error()

    @contextmanager
    def armed(self, seconds: float) -> Iterator[None]:  # type: ignore[override]
        self._armed = True
        try:
            if self.reason is not None:
                raise self._error()
            yield
        finally:
            self._armed = False


class SteppedPusher(Pusher):
    """Pushes at once."""

    def send(self, followers: frozenset[str], events: list[Any]) -> None:
        for connection in sorted(followers):
            publishing_push(self.services, self.run_id, [connection], events)

    def finish(self) -> None:
        return


def publishing_push(*args: Any) -> None:
    from chalicelib.engine.push import push_events

    push_events(*args)


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
            now=lambda: world.clock,
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


class World:
    """Everything there is, with what must always hold checked at each write."""

    current: World

    def __init__(self, client: Any = None, table_name: str = "twin", limit: int = 2, pool: int = 3, followed: bool = False) -> None:
        World.current = self
        self.client = client or Twin()
        self.table_name = table_name
        self.clock = 1_800_000_000_000
        self.ids = itertools.count(1)
        self.inbox: list[dict[str, Any]] = []
        self.reports: list[dict[str, Any]] = []
        self.reporting = True
        self.posted: dict[str, list[Any]] = defaultdict(list)
        self._stacks: dict[Any, list[Process]] = defaultdict(list)
        self.writers: list[Process] = []
        self.working: dict[str, Process] = {}
        self.owners: dict[str, Process | None] = {}
        self.accepted: set[str] = set()
        self.scripts: dict[str, Script] = defaultdict(Script)
        self.line_length = 5
        self.waiting_for_a_sign: Callable[[], None] = lambda: None  # what happens while a report of a crash is doubted
        self.doubled_push = False  # by the network, which a follower has to bear
        self.violations: list[str] = []
        self.highest: dict[str, int] = defaultdict(int)
        self.settings = Settings(max_concurrent_tasks=limit, pools={"pool": pool})
        self.catalog = CATALOG
        if isinstance(self.client, Twin):
            self.client.watch = self._watch

    # ---- processes ----

    @property
    def stack(self) -> list[Process]:
        """The processes that are under way here, the innermost last; a process of its own greenlet is alone."""
        return self._stacks[getcurrent()]

    def process(self, kind: str = "process", fault: Fault | None = None) -> Process:
        return Process(self, kind, fault)

    def run(self, process: Process, what: Callable[[Services], Any]) -> Any:
        """Let a process do something; None when it died or failed."""
        self.stack.append(process)
        try:
            return what(process.services)
        except Died:
            return None
        except Trouble:
            return None
        finally:
            self.stack.pop()

    def start(self, task: str = "plain", process: Process | None = None) -> str:
        """Start a run. Its id, or nothing when the process did not live to say it."""
        run = self.run(process or self.process("start"), lambda s: starter.start(s, task, {}))
        if run is not None:
            self.accepted.add(run.id)
        return run.id if run is not None else ""

    def deliver(self, process: Process | None = None, position: int = 0) -> None:
        """Lambda hands a message to a process; if that ends badly, it says so."""
        message = self.inbox.pop(position)
        process = process or self.process("runner")
        process.kind = "runner"
        self.stack.append(process)
        try:
            runner.run_task(process.services, message["run_id"], message["attempt"], 600, message.get("leg", 1))
        except (Died, Trouble) as end:
            self.reports.append({"requestPayload": message, "responsePayload": {"errorMessage": repr(end)}})
        finally:
            self.stack.pop()

    def stop(self, run_id: str, process: Process | None = None) -> None:
        def press(services: Services) -> None:
            starter.stop_quietly(services, run_id)

        self.run(process or self.process("stop"), press)

    def sweep(self, process: Process | None = None) -> Any:
        return self.run(process or self.process("sweeper"), sweep)

    def report(self, process: Process | None = None) -> None:
        """Lambda's report of a process that ended badly reaches the sweeper."""
        event = self.reports.pop(0)
        self.run(process or self.process("sweeper"), lambda s: sweep_event(s, event))

    @contextmanager
    def at_work(self, run_id: str) -> Iterator[None]:
        process = self.stack[-1]
        if not process.alive:
            raise Died
        if run_id in self.working:
            self._wrong(f"two processes at work on {run_id}")
        before = self.working.get(run_id)
        self.working[run_id] = process
        busy = [self.read(r) for r in self.working]
        for name in {n for run in busy for n in run.path}:
            taken = [run.weight(name) for run in busy if name in run.path]
            if sum(taken) > max(self.limit(name), self.highest[name]) and len(taken) > 1:
                self._wrong(f"{sum(taken)} slots of {name} at work with {self.limit(name)}")
        try:
            yield
        finally:
            if before is None:
                self.working.pop(run_id, None)

    # ---- what always holds ----

    def limit(self, semaphore: str) -> int:
        return Process(self, "look").services.limit_of(semaphore)

    def believed(self, semaphore: str) -> int:
        """The highest limit that a process under way goes by."""
        return max([self.limit(semaphore), *(w.services.limit_of(semaphore) for w in self.writers)])

    def set_limits(self, limit: int, pool: int) -> None:
        """For all processes that begin from now on."""
        self.highest["global"] = max(self.highest["global"], self.settings.max_concurrent_tasks)
        self.highest["pool:pool"] = max(self.highest["pool:pool"], self.settings.pools["pool"])
        self.settings = Settings(max_concurrent_tasks=limit, pools={"pool": pool})

    def _wrong(self, what: str) -> None:
        self.violations.append(what)
        raise Violation(what)

    def _watch(self, before: Any, after: Any) -> None:
        old, new = decode_item(before or {}), decode_item(after or {})
        kind = (new or old).get("pk", "")
        writer = self.writers[-1] if self.writers else None
        if kind == "SEMAPHORE" and new:
            self._watch_semaphore(old, new)
        elif (new or old).get("sk") == "RUN":
            self._watch_run(old, new, writer)

    def _watch_semaphore(self, old: Any, new: Any) -> None:
        held = sum(h["slots"] for h in new["holders"].values())
        if new["active"] != held:
            self._wrong(f"{new['sk']}: active {new['active']} but its holders have {held}")
        if new["active"] > old.get("active", 0) and new["active"] > self.believed(new["sk"]) and len(new["holders"]) > 1:
            self._wrong(f"{new['sk']}: {new['active']} slots taken of {self.limit(new['sk'])}")
        for gone in old.get("holders", {}).keys() - new["holders"].keys():
            if gone in self.working:
                self._wrong(f"{gone} lost its slot while at work")

    def _watch_run(self, old: Any, new: Any, writer: Process | None) -> None:
        if not old or not new:
            return
        run, before, now = new["id"], old["status"], new["status"]
        if before in TERMINAL and any(old.get(k) != new.get(k) for k in ("status", "seq", "attempt", "result", "error")):
            self._wrong(f"{run} changed after its end")
        if before != now and now not in TRANSITIONS[before]:
            self._wrong(f"{run}: {before} -> {now}")
        if (new["attempt"], new.get("leg", 1)) < (old["attempt"], old.get("leg", 1)) or new["seq"] < old["seq"]:
            self._wrong(f"{run}: attempt, leg or seq went back")
        owner = self.owners.get(run)
        if (
            new.get("claimed_by") == old.get("claimed_by")
            and writer is not None
            and writer.kind == "runner"
            and any(new.get(k) != old.get(k) for k in ("seq", "attempt", "leg", "status"))
            and owner is not writer
            and not (before == "queued" and now == "stopped")  # stop was pressed while it was putting the run back
        ):
            self._wrong(f"{run}: somebody who is not its current attempt wrote")
        if new.get("claimed_by") != old.get("claimed_by"):
            self.owners[run] = writer if "claimed_by" in new else None
        elif now == "queued":
            self.owners[run] = None

    # ---- looking, and coming to rest ----

    @property
    def table(self) -> Table:
        return Table(self.client, self.table_name)

    def read(self, run_id: str) -> RunRecord:
        return runs.get_run(self.table, run_id)

    def all_runs(self) -> list[RunRecord]:
        if isinstance(self.client, Twin):
            ids = [decode_item(i)["id"] for i in self.client.decoded() if i["sk"]["S"] == "RUN"]
        else:
            ids = [i["id"] for i in self.table.query("listed = :runs", index="by_age", runs="runs")]
        return runs.get_runs(self.table, sorted(ids))

    def holders(self) -> dict[str, set[str]]:
        return {s.name: set(s.holders) for s in read_semaphores(self.table) if s.holders}

    def waiting(self) -> dict[str, list[str]]:
        found = {s.name: [e.run_id for e in queue.waiting(self.table, s.name)] for s in read_semaphores(self.table)}
        return {name: ids for name, ids in found.items() if ids}

    def quiet(self) -> bool:
        return not (self.inbox or (self.reporting and self.reports) or self.holders() or self.waiting()) and all(
            run.terminal for run in self.all_runs()
        )

    def deliver_all(self) -> None:
        while self.inbox or (self.reporting and self.reports):
            while self.inbox:
                self.deliver()
            while self.reporting and self.reports:
                self.report()

    def settle(self) -> int:
        """No more faults: deliver everything, move the clock on, sweep until nothing is left to do. How many sweeps that took."""
        dead: dict[tuple[str, str], int] = defaultdict(int)
        for sweeps in range(MOST_ROUNDS):
            self.deliver_all()
            if self.quiet():
                self.clock += SWEEP_MS
                mended = self.sweep()
                if mended:
                    self._wrong(f"a sweep of a world at rest did {dict(mended)}")
                return sweeps
            self.clock += SWEEP_MS
            terminal = {run.id for run in self.all_runs() if run.terminal}
            self.sweep()
            for name, held in self.holders().items():
                for run_id in held & terminal:
                    dead[name, run_id] += 1
                    if dead[name, run_id] > 2:
                        self._wrong(f"{run_id} has ended but kept its slot of {name} for {dead[name, run_id]} sweeps")
        left = [(r.id[-4:], r.status, r.attempt) for r in self.all_runs() if not r.terminal]
        self._wrong(f"never at rest: {left}, holders {self.holders()}, queue {self.waiting()}")
        raise AssertionError

    def check(self) -> None:
        """What must hold of a world at rest."""
        if self.violations:  # also one that the product's own `except` has swallowed
            raise Violation(self.violations[0])
        found = {run.id: run for run in self.all_runs()}
        if self.accepted - found.keys():
            self._wrong("an accepted run is gone")
        for semaphore in read_semaphores(self.table):
            if semaphore.active or semaphore.holders:
                self._wrong(f"{semaphore.name} is left with {semaphore.active} and {semaphore.holders}")
        if self.waiting():
            self._wrong(f"left in a queue: {self.waiting()}")
        for run in found.values():
            self._check_events(run)

    def _check_events(self, run: RunRecord) -> None:
        if not run.terminal:
            self._wrong(f"{run.id} is {run.status}")
        events = read_events(self.table, run, 0)
        if [e["seq"] for e in events] != list(range(1, run.seq + 1)):
            self._wrong(f"{run.id}: events {[e['seq'] for e in events]} of {run.seq}")
        if [e["type"] for e in events].count("done") != 1 or events[-1]["type"] != "done" or events[-1]["status"] != run.status:
            self._wrong(f"{run.id}: ends with {events[-1]}")
        attempt = 0
        for event in events:
            if event["type"] == "status" and event["status"] == "running":
                attempt = event["attempt"]
            if event["type"] == "line" and event["stream"] == "stdout" and int(event["text"].split()[0]) != attempt:
                self._wrong(f"{run.id}: a line of another attempt than {attempt}: {event['text']}")
        for after in {0, run.seq // 2, run.seq - 1, run.seq}:
            if [e["seq"] for e in read_events(self.table, run, after)] != list(range(after + 1, run.seq + 1)):
                self._wrong(f"{run.id}: events after {after}")
        for connection, pushed in self.posted.items():
            seqs = [e["seq"] for e in pushed if connection == run.id]
            if len(set(seqs)) < len(seqs) and not self.doubled_push:
                self._wrong(f"{connection} was sent an event twice: {seqs}")


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


def _task(task_id: str, **values: Any) -> CatalogTask:
    return CatalogTask(id=task_id, pipeline="work", function=f"task_{task_id}", **values)


CATALOG = Catalog(
    tasks={
        t.id: t
        for t in (
            _task("plain"),
            _task("retrying", retry_count=2),
            _task("limited", max_concurrent=1),
            _task("pooled", max_concurrent=2, pool="pool", slots=2, retry_count=1),
            _task("urgent", priority=5, pool="pool"),
        )
    },
    pipelines={"work": Pipeline(name="work", steps=[Step(processor="work")])},
    processors={"work": ProcessorInfo(name="work", module=__name__, qualname="Work")},
)


@contextmanager
def _not_captured(_progress: Any) -> Iterator[None]:
    yield  # stdout is one for all processes here


@contextmanager
def stepped() -> Iterator[None]:
    """Within: no threads, no signals, no waits."""
    clock = SimpleNamespace(monotonic=time.monotonic, sleep=lambda seconds: None)
    with (
        mock.patch.object(runner, "Publisher", SteppedPublisher),
        mock.patch.object(runner, "Interrupts", SteppedInterrupts),
        mock.patch.object(publishing, "Pusher", SteppedPusher),
        mock.patch.object(attempt, "captured_output", _not_captured),
        mock.patch.object(attempt, "make_workspace", return_value=Path("/nowhere")),
        mock.patch.object(attempt, "remove_workspace", return_value=None),
        mock.patch.object(legs.LegClock, "is_due", return_value=True),
        mock.patch.object(runner, "time", clock),
        mock.patch.object(runner, "delay", return_value=1.0),
    ):
        yield
