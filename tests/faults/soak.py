"""Starts runs, follows and stops them while things go wrong; then waits for quiet and looks at what is left."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from chalicelib.client import Client, ProblemError, Unreachable
from infra.local.testing import LocalStack

TABLE = "nightshift-local"
KINDS = ("brief", "brief", "brief", "chatty", "shaky", "failing", "endless", "heavy")
TERMINAL = ("completed", "failed", "stopped")
FOLLOWED = 0.4  # the share of runs that somebody follows
MOST_FOLLOWERS = 25  # at a time: each asks every few seconds while it hears nothing
STARTERS = 4
MOST_WAITING = 80  # runs in the queue from which on nobody starts more: the machine says how many there are, not the soak


@dataclass
class Soak:
    """One soak of a stack. `found` collects what should not be."""

    stack: LocalStack
    note: Path
    seed: int
    started: dict[str, str] = field(default_factory=dict)
    followed: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    found: list[str] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)
    waiting: int = 0  # in the queue, as the watcher saw it last

    def start_for(self, seconds: float, most: int) -> None:
        """Start runs from several sides."""
        ends = time.monotonic() + seconds
        watcher = self._spawn(self._watch)
        starters = [threading.Thread(target=self._start, args=(n, ends, most // STARTERS)) for n in range(STARTERS)]
        for starter in starters:
            starter.start()
        for starter in starters:
            starter.join()
        self.over.set()
        watcher.join()

    def settle(self, patience: float) -> None:
        """Let it become quiet: sweeps, one a second and a half, until nothing is active any more, or nothing has moved for long."""
        seen, ends = None, time.monotonic() + patience
        while time.monotonic() < ends and (now := (self._active(), self._left())) != (0, []):
            if now != seen:
                seen, ends = now, time.monotonic() + patience
            self.stack.tick(time.strftime("%Y-%m-%dT%H:%M:00Z", time.gmtime()))
            time.sleep(1.5)

    def check(self) -> dict[str, Any]:
        """Look at everything; what it was, counted by kind and status."""
        client = self._client()
        self.found += [f"left behind: {what}" for what in self._left()]
        outcomes: Counter[str] = Counter()
        runs = {run["id"]: run for run in client.runs()}
        self.found += [f"{run_id} was accepted, and is not there" for run_id in self.started.keys() - runs.keys()]
        for run_id, run in runs.items():
            outcomes[f"{run['task_id']} {run['status']}"] += 1
            if run["status"] not in TERMINAL:
                self.found.append(f"{run['task_id']} {run_id} is {run['status']}, attempt {run['attempt']}")
                continue
            events = list(client.log(run_id))
            self._check_events(f"{run['task_id']} {run_id}", events)
            if run_id in self.followed:
                self._check_follower(run_id, events)
        if self.note.exists():
            begun = Counter(self.note.read_text().split("\n"))
            self.found += [f"began {times} times: run, attempt {what}" for what, times in begun.items() if what and times > 1]
        return {"runs": dict(sorted(outcomes.items())), "followers": len(self.followed)}

    @property
    def following(self) -> int:
        """How many follow just now."""
        return sum(not (seen and seen[-1]["type"] == "done") for seen in list(self.followed.values()))

    # --- at work ---------------------------------------------------------------------------------------------------

    def _client(self) -> Client:
        return Client(self.stack.url, self.stack.token)

    def _spawn(self, work: Callable[..., None], *args: Any) -> threading.Thread:
        thread = threading.Thread(target=work, args=args, daemon=True)
        thread.start()
        return thread

    def _start(self, number: int, ends: float, most: int) -> None:
        dice = random.Random(self.seed * 100 + number)
        client = self._client()
        for _ in range(most):
            while self.waiting > MOST_WAITING and time.monotonic() < ends:
                time.sleep(0.1)
            if time.monotonic() > ends:
                return
            kind, key = dice.choice(KINDS), uuid4().hex
            answer = insist(lambda kind=kind, key=key: client.start(kind, {"note": str(self.note)}, key))  # type: ignore[misc]
            if answer is None:
                self.found.append(f"a start of {kind} was never answered")
                continue
            run_id = answer["run_id"]
            self.started[run_id] = kind
            if dice.random() < FOLLOWED and self.following < MOST_FOLLOWERS:
                self.followed[run_id] = []
                self._spawn(self._follow, run_id)
            if kind == "endless":
                self._spawn(self._stop, run_id, dice.uniform(0.0, 4.0))
            time.sleep(dice.uniform(0, 0.1))

    def _follow(self, run_id: str) -> None:
        client = self._client()
        seen = self.followed[run_id]
        while not (seen and seen[-1]["type"] == "done"):
            try:
                for event in client.follow(run_id, after=len(seen)):
                    seen.append(event)
            except (ProblemError, Unreachable) as error:
                if isinstance(error, ProblemError) and error.status < 500:
                    self.found.append(f"the follower of {run_id} was told: {error}")
                    return
                time.sleep(0.2)

    def _stop(self, run_id: str, after: float) -> None:
        time.sleep(after)
        client = self._client()
        insist(lambda: client.stop_run(run_id))

    def _watch(self) -> None:
        """Semaphores are never fuller than they may be, and always what their holders say."""
        client = self.stack.client("dynamodb")
        while not self.over.wait(0.2):
            for item in _query(client, "SEMAPHORE"):
                name, active, limit = item["sk"]["S"], int(item["active"]["N"]), int(item["limit"]["N"])
                if active > limit or active != _held(item):
                    self.found.append(f"semaphore {name}: {active} of {limit}, and its holders have {_held(item)}")
            self.waiting = len(_query(client, "QUEUE#global"))

    # --- looking ---------------------------------------------------------------------------------------------------

    def _active(self) -> int:
        client = self._client()
        return sum(1 for status in ("scheduled", "queued", "running") for _ in client.runs(status=status))

    def _left(self) -> list[str]:
        """What semaphores and queues still hold."""
        client = self.stack.client("dynamodb")
        left = []
        for item in _query(client, "SEMAPHORE"):
            if int(item["active"]["N"]) or _held(item):
                left.append(f"semaphore {item['sk']['S']}: {item['active']['N']}, {sorted(item['holders']['M'])}")
            left += [f"in the queue of {item['sk']['S']}: {e['sk']['S']}" for e in _query(client, f"QUEUE#{item['sk']['S']}")]
        return left

    def _check_events(self, whose: str, events: list[dict[str, Any]]) -> None:
        seqs = [event["seq"] for event in events]
        if seqs != list(range(1, len(seqs) + 1)):
            self.found.append(f"{whose}: its events are {seqs}")
        if [event["seq"] for event in events if event["type"] == "done"] != seqs[-1:]:
            self.found.append(f"{whose}: it does not end in one done: {[e['type'] for e in events]}")

    def _check_follower(self, run_id: str, events: list[dict[str, Any]]) -> None:
        seen = self.followed[run_id]
        ends = time.monotonic() + 45
        while not (seen and seen[-1]["type"] == "done") and time.monotonic() < ends:
            time.sleep(0.1)
        if seen != events:
            self.found.append(f"the follower of {run_id} saw {[e['seq'] for e in seen]} of {len(events)}")


def insist(ask: Callable[[], Any], seconds: float = 30.0) -> Any:
    """Ask until there is an answer, if only a refusal; None when there is no success."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        try:
            return ask()
        except (ProblemError, Unreachable) as error:
            if isinstance(error, ProblemError) and error.status < 500:
                return None
        time.sleep(0.05)
    return None


def _query(client: Any, partition: str) -> list[dict[str, Any]]:
    values = {":pk": {"S": partition}}
    return list(
        client.query(TableName=TABLE, KeyConditionExpression="pk = :pk", ExpressionAttributeValues=values, ConsistentRead=True)[
            "Items"
        ]
    )


def _held(item: dict[str, Any]) -> int:
    return sum(int(holder["M"]["slots"]["N"]) for holder in item["holders"]["M"].values())
