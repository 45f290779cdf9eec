"""Following a run: every event once and in order, whatever the network does.

Each event carries `seq`, counted from 1 without gaps. The last seq handed out is all the state there is: after a cut, a
gap or a switch from WebSocket to polling, the server is asked again for what comes after it.

    get run ──► has it ended? no socket offered, installed, or to be had? ──► poll the log until `done`
       ▲                      │ no
       │ backoff              ▼
       └──── cut ◄──── watch the socket, until `done`
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any, Protocol, TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from chalicelib.client.errors import ProblemError, Unreachable
from chalicelib.domain.run import TERMINAL, Event

IDLE = 30.0
"""Seconds of silence before a ping. API Gateway cuts after ten minutes without traffic."""

GAP_WAIT = 2.0
"""Seconds between two requests to fill the same gap."""

PATIENCE = 120.0
"""Seconds without any answer after which a follower that had contact gives up."""

SOCKET_TRIES = 3
"""Connections in a row that may fail, or end at once with nothing said, before the rest is polled."""

SHORT_LIVED = 5.0
"""Seconds. A connection cut later than this has worked, even if the run was silent."""

HELD_BACK = 10_000
"""Events kept while a gap before them is open. What does not fit is asked for again."""

T = TypeVar("T")


class Source(Protocol):
    """What following needs of a client."""

    def get_run(self, run_id: str) -> dict[str, Any]: ...

    def log(self, run_id: str, after: int = 0) -> Iterator[Event]: ...


class Sequence:
    """Turns events that come twice, late or early into each once, in order."""

    def __init__(self, last: int = 0) -> None:
        self.last = last
        self.done = False
        self._early: dict[int, Event] = {}

    @property
    def has_gap(self) -> bool:
        """Whether something came whose predecessor has not."""
        return bool(self._early)

    def take(self, events: Iterable[Event]) -> Iterator[Event]:
        """Give out what is next. Lazy: an event counts as seen only when the consumer has it."""
        for event in events:
            seq = int(event["seq"])
            if seq > self.last and (seq == self.last + 1 or len(self._early) < HELD_BACK):
                self._early[seq] = event
            while following := self._early.pop(self.last + 1, None):
                self.last += 1
                self.done = self.done or following.get("type") == "done"
                yield following


class Backoff:
    """Waits between tries: from 0.1 s, doubling up to 10 s, each shortened by chance so that followers spread out."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self._next = 0.1

    def wait(self) -> None:
        time.sleep(self._next * random.uniform(0.5, 1.0))
        self._next = min(self._next * 2, 10.0)


class NoSocket(Exception):
    """The handshake failed, or its ticket was refused."""


def follow(source: Source, run_id: str, after: int = 0) -> Iterator[Event]:
    """Yield the events of a run with `seq > after` as they happen, and end after `done`.

    An unknown run or an absent server is an error at once; later losses of contact are bridged for `PATIENCE` seconds.
    """
    run = source.get_run(run_id)
    sequence = Sequence(after)
    backoff = Backoff()
    failures = 0
    while not sequence.done:
        url = run.get("websocket_url")
        if not url or run.get("status") in TERMINAL or failures >= SOCKET_TRIES:
            yield from _poll(source, run_id, sequence)
            return
        started, before = time.monotonic(), sequence.last
        with suppress(NoSocket):
            yield from _watch(url, run_id, sequence)
        if sequence.last > before or time.monotonic() - started > SHORT_LIVED:
            failures = 0
            backoff.reset()
        else:
            failures += 1
        if not sequence.done:
            backoff.wait()
            run = _patiently(lambda: source.get_run(run_id))  # with a fresh ticket


def _watch(url: str, run_id: str, sequence: Sequence) -> Iterator[Event]:
    """Events from one WebSocket connection, until it is cut or `done` came."""
    try:
        from websockets.exceptions import ConnectionClosed, WebSocketException
        from websockets.sync.client import connect
    except ImportError:
        raise NoSocket("websockets is not installed") from None
    try:
        socket = connect(_with_after(url, sequence.last), close_timeout=1, max_size=None, proxy=None)
    except (OSError, WebSocketException, ValueError) as error:
        raise NoSocket(str(error)) from error
    silences = 0
    asked: tuple[int, float] | None = None
    with socket, suppress(ConnectionClosed):
        while True:
            try:
                frame = socket.recv(timeout=GAP_WAIT if sequence.has_gap else IDLE)
            except TimeoutError:
                silences += 1
                # Every other time ask for events instead of a mere pong: were this follower forgotten or its last frame
                # lost, nothing else would tell.
                if not sequence.has_gap and silences % 2:
                    socket.send(json.dumps({"action": "ping"}))
                    continue
            else:
                events = _events(frame, run_id)
                silences = 0 if events else silences  # a pong says that the connection lives, not that it is told anything
                yield from sequence.take(events)
                if sequence.done:
                    return
                now = time.monotonic()
                if not sequence.has_gap or (asked and asked[0] == sequence.last and now - asked[1] < GAP_WAIT):
                    continue
            asked = (sequence.last, time.monotonic())
            socket.send(json.dumps({"action": "follow", "run_id": run_id, "after": sequence.last}))


def _poll(source: Source, run_id: str, sequence: Sequence) -> Iterator[Event]:
    """Events from the log, asked for every 0.3 s while they come and up to every 2 s in silence.

    A run that has ended and has nothing after `sequence.last` ends this too: its `done` had been seen before.
    """
    pause, ended = 0.3, False
    while True:
        before = sequence.last
        # Whole pages before the first event goes out: a cut in between is then just something to ask for again.
        yield from sequence.take(_patiently(lambda: list(source.log(run_id, sequence.last))))
        silent = sequence.last == before
        if sequence.done or (ended and silent):
            return
        # The log is complete once a run has ended, so after learning that it is read one last time.
        ended = ended or (silent and _patiently(lambda: source.get_run(run_id)).get("status") in TERMINAL)
        pause = min(pause * 1.5, 2.0) if silent else 0.3
        if not ended:
            time.sleep(pause)


def _patiently(ask: Callable[[], T]) -> T:
    """Ask until there is an answer: a server that restarts, throttles or fails for a moment is waited for."""
    deadline = time.monotonic() + PATIENCE
    backoff = Backoff()
    while True:
        try:
            return ask()
        except (Unreachable, ProblemError) as error:
            passing = isinstance(error, Unreachable) or error.status == 429 or error.status >= 500
            if not passing or time.monotonic() > deadline:
                raise
        backoff.wait()


def _events(frame: str | bytes, run_id: str) -> list[Event]:
    """The events of a frame; none for pongs, notices of the gateway, and frames of other runs."""
    try:
        message = json.loads(frame)
    except ValueError:
        return []
    if not isinstance(message, dict) or message.get("run_id") != run_id:
        return []
    events = message.get("events")
    return events if isinstance(events, list) else []


def _with_after(url: str, after: int) -> str:
    """The server's URL, asking for what comes after `after`."""
    parts = urlsplit(url)
    query = [(key, value) for key, value in parse_qsl(parts.query, keep_blank_values=True) if key != "after"]
    return urlunsplit(parts._replace(query=urlencode([*query, ("after", str(after))])))
