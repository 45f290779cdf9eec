"""The buffer between the code that says things and the thread that publishes them.

`TASK_BUFFER_SIZE` bounds it: when it is full, whoever says more waits until the publisher has caught up. No line is lost, and
memory is bounded.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from chalicelib.domain.clock import iso, now_ms
from chalicelib.domain.masking import Masker
from chalicelib.domain.run import Event
from chalicelib.engine.limits import unbroken
from chalicelib.store.codec import printable

MOST_TEXT = 16_000  # characters of one line event; a longer line becomes several
MOST_MESSAGE = 2_000  # characters of what a progress or step event says
MOST_BATCH = 250_000  # bytes of one flush: an item has at most 400 KB, and not everything can be deflated
OWN_WORDS = ("status", "stream", "level", "fraction", "index", "attempt")  # never anybody's text, so no secret is looked for
SMALL_TAIL = 3_000  # bytes up to which a run's newest events grow in place rather than being moved to a chunk


said_by: ContextVar[str | None] = ContextVar("said_by", default=None)
"""Of code that runs beside other code of the same run: the step that it is. Its lines carry it."""


class Progress:
    """Numbered events on their way out of a running attempt. Safe between threads."""

    def __init__(self, size: int, after: int, secrets: list[str] | None = None) -> None:
        self.size = size
        self.seq = after
        self.fraction: dict[str, Any] | None = None
        self.masker = Masker(secrets)
        self._events: list[Event] = []
        self._changed = threading.Condition()
        self._closed = False
        self._output = False
        self._publisher: int | None = None
        # The main thread may be interrupted (stop, timeout) at any bytecode; not while it holds the lock above.
        self._shields = 0
        self._pending: BaseException | None = None

    def say(self, kind: str, **values: Any) -> None:
        """Add one event; waits while the buffer is full. No secret is in any of its texts."""
        values = {name: value if name in OWN_WORDS else self.masker.hide_in(value) for name, value in values.items()}
        with self._shielded(), self._changed:
            # The publisher's own thread never waits for itself; a closed buffer takes the last words unasked.
            while len(self._events) >= self.size and not self._closed and threading.get_ident() != self._publisher:
                self._changed.wait()
            self.seq += 1
            self._events.append({"seq": self.seq, "at": iso(now_ms()), "type": kind, **values})
            self._output = self._output or kind in ("line", "progress")
            self._changed.notify_all()

    def line(self, text: str, stream: str, **values: Any) -> None:
        """Add a line; a very long one becomes several."""
        if (step := said_by.get()) is not None:
            values["step"] = step
        text = self.masker.hide(printable(text))  # here, before a secret can be cut in two
        for start in range(0, len(text) or 1, MOST_TEXT):
            self.say("line", text=text[start : start + MOST_TEXT], stream=stream, **values)

    def report(self, fraction: float, message: str) -> None:
        """Add a progress event, and keep it as the run's progress."""
        message = self.masker.hide(printable(message))[:MOST_MESSAGE]
        self.fraction = {"fraction": round(min(max(fraction, 0.0), 1.0), 4), "message": message}
        self.say("progress", **self.fraction)

    def wait_for_output(self, until: float) -> None:
        """Wait until the code has said something, or the monotonic clock reads `until`."""
        self._wait(until, lambda: self._output)

    def wait_for_any(self, until: float) -> None:
        """Wait until there is an event to publish, or the monotonic clock reads `until`."""
        self._wait(until, lambda: bool(self._events))

    def wait_until_full(self, until: float) -> None:
        """Wait until the monotonic clock reads `until`, but no longer than there is room."""
        self._wait(until, lambda: len(self._events) >= self.size)

    def _wait(self, until: float, enough: Callable[[], bool]) -> None:
        with self._changed:
            self._publisher = threading.get_ident()
            while not self._closed and not enough():
                left = until - time.monotonic()
                if left <= 0:
                    return
                self._changed.wait(left)

    def peek(self) -> list[Event]:
        """The oldest events, as many as one flush takes. They stay until `drop`."""
        with self._changed:
            batch: list[Event] = []
            size = 0
            for event in self._events:
                size += _size(event)
                if batch and size > MOST_BATCH:
                    break
                batch.append(event)
            return batch

    def drop(self, count: int) -> None:
        """Forget the oldest events: they are published. Whoever waited for room goes on."""
        with self._changed:
            del self._events[:count]
            self._changed.notify_all()

    def take_all(self) -> list[Event]:
        """Everything that is left."""
        with self._changed:
            events, self._events = self._events, []
            return events

    def close(self) -> None:
        """Nobody waits any more: what is said from now on is taken at once."""
        with self._shielded(), self._changed:
            self._closed = True
            self._changed.notify_all()

    def interrupt(self, error: BaseException) -> None:
        """Raise in the main thread, called in its signal handler; put off while it is inside here."""
        if self._shields:
            self._pending = error
        else:
            raise error

    @contextmanager
    def _shielded(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            with unbroken():
                yield
            return
        self._shields += 1
        try:
            yield
        finally:
            self._shields -= 1
            if self._pending is not None and not self._shields:
                error, self._pending = self._pending, None
                raise error


def size_of(events: list[Event]) -> int:
    """Roughly the bytes of these events."""
    return sum(_size(e) for e in events)


def _size(event: Event) -> int:
    # Of its texts only the line's own is long; any other is cut where it is said.
    text: str = event.get("text", "")
    return (len(text) if text.isascii() else len(text.encode())) + 200
