"""Pushing events to followers through API Gateway's WebSocket."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Iterable, Iterator

from chalicelib.domain.run import Event
from chalicelib.engine.services import Services
from chalicelib.store.codec import to_json
from chalicelib.store.runs import unfollow

MOST_BYTES = 100_000  # API Gateway takes 128 KB a message


MOST_WAITING = 500  # batches; a follower that is so far behind sees a gap and asks again
LAST_WAIT = 5.0  # seconds that the end of a run waits for its last pushes


class Pusher:
    """Pushes in a thread of its own, so that a slow follower never slows the run."""

    def __init__(self, services: Services, run_id: str) -> None:
        self.services, self.run_id = services, run_id
        self._batches: deque[tuple[frozenset[str], list[Event]]] = deque()
        self._changed = threading.Condition()
        self._ended = False
        self._thread: threading.Thread | None = None

    def send(self, followers: frozenset[str], events: list[Event]) -> None:
        """Push soon."""
        with self._changed:
            if len(self._batches) < MOST_WAITING:
                self._batches.append((followers, events))
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="pusher", daemon=True)
                self._thread.start()
            self._changed.notify()

    def finish(self) -> None:
        """Wait for what is under way, a while."""
        with self._changed:
            self._ended = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(LAST_WAIT)

    def _work(self) -> None:
        gone: set[str] = set()
        while True:
            with self._changed:
                while not self._batches and not self._ended:
                    self._changed.wait()
                if not self._batches:
                    return
                followers, events = self._batches.popleft()
            lost = push_events(self.services, self.run_id, sorted(followers - gone), events)
            if lost:
                gone |= lost
                try:
                    unfollow(self.services.table, self.run_id, lost)
                except Exception:
                    self.services.log.exception("could not forget followers", extra={"run_id": self.run_id})


def push_events(services: Services, run_id: str, followers: Iterable[str], events: list[Event]) -> set[str]:
    """Send events to each follower. Gives those that are gone. One that cannot be reached just now sees a gap and asks again."""
    gone: set[str] = set()
    if not events:
        return gone
    messages = list(messages_of(run_id, events))
    for connection in followers:
        try:
            if not all(services.post(connection, message) for message in messages):
                gone.add(connection)
        except Exception as error:
            services.log.warning("push failed: %s", error, extra={"run_id": run_id, "connection": connection})
    return gone


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
