"""Pushing events to followers through API Gateway's WebSocket."""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator

from chalicelib.domain.run import Event
from chalicelib.engine.services import Services
from chalicelib.store.codec import to_json
from chalicelib.store.runs import unfollow

MOST_BYTES = 100_000  # API Gateway takes 128 KB a message
SLOW = 0.5  # seconds after which a push counts as late
MOST_WAITING = 500  # batches; a follower that is so far behind sees a gap and asks again
LAST_WAIT = 5.0  # seconds that the end of a run waits for the last pushes to followers that can be reached


class Pusher:
    """Pushes to each follower in a thread of its own: a slow one slows neither the run nor the others."""

    def __init__(self, services: Services, run_id: str) -> None:
        self.services, self.run_id = services, run_id
        self._lanes: dict[str, _Lane] = {}

    def send(self, followers: frozenset[str], events: list[Event]) -> None:
        """Push soon."""
        for connection in followers:
            if connection not in self._lanes:
                self._lanes[connection] = _Lane(self.services, self.run_id, connection)
            self._lanes[connection].send(events)

    def finish(self) -> None:
        """Wait for what is under way to those that can be reached, a while."""
        ends = time.monotonic() + LAST_WAIT
        for lane in self._lanes.values():
            lane.end()
        for lane in self._lanes.values():
            while not lane.behind and lane.thread.is_alive() and time.monotonic() < ends:
                lane.thread.join(0.05)

    def behind(self) -> frozenset[str]:
        """Those that the run's last words need not be tried on: gone, or not to be reached just now. They ask again."""
        return frozenset(connection for connection, lane in self._lanes.items() if lane.gone or lane.behind)


class _Lane:
    """The way to one follower. `behind` while the last push failed, or the one under way takes long."""

    def __init__(self, services: Services, run_id: str, connection: str) -> None:
        self.services, self.run_id, self.connection = services, run_id, connection
        self.gone = False
        self._failed = False
        self._under_way: float | None = None
        self._batches: deque[list[Event]] = deque()
        self._changed = threading.Condition()
        self._ended = False
        self.thread = threading.Thread(target=self._work, name="pusher", daemon=True)
        self.thread.start()

    @property
    def behind(self) -> bool:
        """Whether waiting for it is not worth while."""
        began = self._under_way
        return self._failed or (began is not None and time.monotonic() - began > SLOW)

    def send(self, events: list[Event]) -> None:
        with self._changed:
            if not self.gone and len(self._batches) < MOST_WAITING:
                self._batches.append(events)
                self._changed.notify()

    def end(self) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify()

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._batches and not self._ended:
                    self._changed.wait()
                if not self._batches:
                    return
                if self._ended and self._failed:
                    return
                events = self._batches.popleft()
            self._under_way = time.monotonic()
            reached = _push(self.services, self.run_id, self.connection, events)
            self._under_way = None
            self._failed = reached is None
            if reached is False:
                self._forget()
                return

    def _forget(self) -> None:
        self.gone = True
        try:
            unfollow(self.services.table, self.run_id, {self.connection})
        except Exception:
            self.services.log.exception("could not forget a follower", extra={"run_id": self.run_id})


def push_events(services: Services, run_id: str, followers: Iterable[str], events: list[Event]) -> set[str]:
    """Send events to each follower. Gives those that are gone. One that cannot be reached just now sees a gap and asks again."""
    if not events:
        return set()
    return {connection for connection in followers if _push(services, run_id, connection, events) is False}


def _push(services: Services, run_id: str, connection: str, events: list[Event]) -> bool | None:
    """Whether it is there; None when that cannot be said: throttled, timed out."""
    try:
        return all(services.post(connection, message) for message in messages_of(run_id, events))
    except Exception as error:
        services.log.warning("push failed: %s", error, extra={"run_id": run_id, "connection": connection})
        return None


def messages_of(run_id: str, events: list[Event]) -> Iterator[str]:
    """`{"run_id", "events"}` messages, each small enough for API Gateway."""
    batch: list[str] = []
    size = 0
    for event in events:
        text = to_json(event)
        length = len(text.encode())
        if batch and size + length > MOST_BYTES:
            yield _message(run_id, batch)
            batch, size = [], 0
        batch.append(text)
        size += length + 1
    if batch:
        yield _message(run_id, batch)


def _message(run_id: str, events: list[str]) -> str:
    return f'{{"run_id":{json.dumps(run_id)},"events":[{",".join(events)}]}}'
