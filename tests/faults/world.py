"""A small world for the engine: a table, a clock that is set by hand, and processes whose every request is numbered.

A process may die at any of its requests, before or after it takes effect; from then on nothing it does reaches the world. Code of
the product is the deployed one; only what depends on real time (the publisher's thread, signals, backoffs) is stepped by hand.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from greenlet import getcurrent

from chalicelib.domain.model import Catalog, CatalogTask, Pipeline, ProcessorInfo, Step
from chalicelib.domain.run import RunRecord
from chalicelib.engine import runner, starter
from chalicelib.engine.functions import sweep_event
from chalicelib.engine.services import Services
from chalicelib.engine.sweeper import sweep
from chalicelib.settings import Settings
from chalicelib.store import queue, runs
from chalicelib.store.codec import decode_item
from chalicelib.store.semaphores import read_semaphores
from chalicelib.store.table import Table
from tests.faults.invariants import Watched
from tests.faults.process import Died, Fault, Process, Trouble
from tests.faults.twin import Twin

SWEEP_MS = 61_000
MOST_ROUNDS = 40


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


def fake_task(task_id: str, **values: Any) -> CatalogTask:
    return CatalogTask(id=task_id, pipeline="work", function=f"task_{task_id}", **values)


CATALOG = Catalog(
    tasks={
        t.id: t
        for t in (
            fake_task("plain"),
            fake_task("retrying", retry_count=2),
            fake_task("limited", max_concurrent=1),
            fake_task("pooled", max_concurrent=2, pool="pool", slots=2, retry_count=1),
            fake_task("urgent", priority=5, pool="pool"),
        )
    },
    pipelines={"work": Pipeline(name="work", steps=[Step(processor="work")])},
    processors={"work": ProcessorInfo(name="work", module=__name__, qualname="Work")},
)


class World(Watched):
    """Everything there is."""

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

    def tick(self) -> int:
        """What time it is: never the same twice, so that what two processes do is told apart as it would be."""
        self.clock += 1
        return self.clock

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
