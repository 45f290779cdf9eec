"""What always holds, looked at with each write; and what holds of a world at rest."""

from __future__ import annotations

from typing import Any

from chalicelib.domain.run import TERMINAL, TRANSITIONS, RunRecord
from chalicelib.store.codec import decode_item
from chalicelib.store.events import read_events
from chalicelib.store.semaphores import read_semaphores
from chalicelib.store.table import Table
from tests.faults.process import Process, Violation


class Watched:
    """A world that is looked at. What is wrong is raised and kept: the product's own `except` may swallow it."""

    table: Table
    violations: list[str]
    writers: list[Process]
    working: dict[str, Process]
    owners: dict[str, Process | None]
    accepted: set[str]
    posted: dict[str, list[Any]]
    doubled_push: bool

    def limit(self, semaphore: str) -> int:
        raise NotImplementedError

    def believed(self, semaphore: str) -> int:
        raise NotImplementedError

    def all_runs(self) -> list[RunRecord]:
        raise NotImplementedError

    def waiting(self) -> dict[str, list[str]]:
        raise NotImplementedError

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
