"""The real dispatcher, slots and queue on a virtual clock: what a catalog would do, before it does it.

Nothing is run: a run lasts as long as its task's runs usually did. Everything else is the code that is deployed, on a table in
memory.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from chalicelib.domain.model import Catalog
from chalicelib.domain.run import RunRecord
from chalicelib.engine.dependents import start_dependents
from chalicelib.engine.dispatcher import dispatch
from chalicelib.engine.ending import close, final_events
from chalicelib.engine.services import GLOBAL, Services
from chalicelib.engine.slots import hand_on
from chalicelib.engine.timetable import sync_timetable
from chalicelib.settings import Settings
from chalicelib.store import runs
from chalicelib.store.closing import Ending
from chalicelib.store.semaphores import read_semaphores
from chalicelib.store.table import Table
from chalicelib.store.timetable import due_until, list_fires

LEASE_MS = 10**12  # nobody dies in a simulation
UNKNOWN_SECONDS = 60.0


@dataclass
class Simulated:
    """What happened. Waits in seconds; `peaks` are the most slots of each semaphore that were taken at once."""

    from_ms: int
    to_ms: int
    fires: Counter[str] = field(default_factory=Counter)  # by outcome
    runs: Counter[str] = field(default_factory=Counter)  # by task
    skipped: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))  # task -> reason
    waits: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    busy_seconds: Counter[str] = field(default_factory=Counter)
    peaks: dict[str, tuple[int, int]] = field(default_factory=dict)  # semaphore -> (slots, limit)
    ledger: list[tuple[str, str, str]] = field(default_factory=list)  # (fire, task, outcome)


class Simulation:
    """One catalog from one instant on."""

    def __init__(self, table: Table, catalog: Catalog, settings: Settings, seconds: Mapping[str, float], from_ms: int) -> None:
        self.clock = from_ms
        self.seconds = seconds
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._count = self._begun = 0
        self.result = Simulated(from_ms, from_ms)
        self.services = Services(
            table=table,
            catalog=catalog,
            settings=replace(settings, metrics="none", tracing="none"),  # nobody is to hear of runs that never were
            invoke=self._invoke,
            post=lambda connection, text: True,
            s3=lambda: None,
            now=lambda: self.clock,
        )

    def run(self, until_ms: int, progress: Callable[[float], None] = lambda fraction: None) -> Simulated:
        """Live until an instant, and give what happened. `progress` is told how far it is, 0 to 1."""
        began, begun = self.clock, -1
        sync_timetable(self.services)
        while True:
            due = next((d.at for d in due_until(self.services.table, until_ms, 1)), until_ms + 1)
            moment = min(due, self._events[0][0] if self._events else until_ms + 1)
            if moment > until_ms:
                break
            self.clock = max(self.clock, moment)
            # What ends at an instant ends before what begins then.
            while self._events and self._events[0][0] <= self.clock:
                heapq.heappop(self._events)[2]()
            if due <= self.clock:
                outcomes = dispatch(self.services)
                if outcomes["trouble"]:
                    raise RuntimeError("a fire could not be taken; the log above says why")
                self.result.fires.update(outcomes)
                while self._events and self._events[0][0] <= self.clock:
                    heapq.heappop(self._events)[2]()
            if self._begun != begun:  # only a run that begins can take more slots than were taken before
                self._look()
                begun = self._begun
            progress((self.clock - began) / (until_ms - began))
        self.result.to_ms = until_ms
        self._read_ledger()
        return self.result

    def _invoke(self, function: str, payload: dict[str, Any]) -> None:
        self._at(self.clock, lambda: self._begin(payload["run_id"], payload["attempt"]))

    def _begin(self, run_id: str, attempt: int) -> None:
        now = self.clock
        run, mine = runs.claim(self.services.table, run_id, attempt, "simulation", now, now + LEASE_MS)
        if not mine:
            return
        self._begun += 1
        self.result.runs[run.task_id] += 1
        self.result.waits[run.task_id].append((now - run.created_at) / 1000)
        seconds = self.seconds.get(run.task_id, UNKNOWN_SECONDS)
        self.result.busy_seconds[run.task_id] += seconds  # type: ignore[assignment]
        self._at(now + round(seconds * 1000), lambda: self._end(run))

    def _end(self, run: RunRecord) -> None:
        events = final_events(run, "completed", self.clock, run.tail, None)
        close(self.services, run, Ending("completed", self.clock, events), "simulation")
        hand_on(self.services, run)
        start_dependents(self.services, run.task_id)

    def _at(self, moment: int, what: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._events, (moment, self._count, what))

    def _look(self) -> None:
        for semaphore in read_semaphores(self.services.table):
            limit = self.services.limit_of(semaphore.name)
            most = max(semaphore.active, self.result.peaks.get(semaphore.name, (0, 0))[0])
            self.result.peaks[semaphore.name] = (most, limit)
        self.result.peaks.setdefault(GLOBAL, (0, self.services.limit_of(GLOBAL)))

    def _read_ledger(self) -> None:
        for task_id in self.services.catalog.tasks:
            cursor = None
            while True:
                fires, cursor = list_fires(self.services.table, task_id, limit=500, cursor=cursor)
                for fire in fires:
                    self.result.ledger.append((fire["fire"], task_id, fire["outcome"]))
                    if fire["outcome"] != "ran":
                        self.result.skipped[task_id][fire["reason"]] += 1
                if cursor is None:
                    break
        self.result.ledger.sort()
