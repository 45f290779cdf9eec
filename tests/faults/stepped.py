"""What depends on real time (the publisher's thread, signals, waits), stepped by hand instead."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

from chalicelib.domain.errors import FenceLostError
from chalicelib.engine import attempt, legs, runner
from chalicelib.engine import publisher as publishing
from chalicelib.engine.interrupts import Interrupts
from chalicelib.engine.publisher import Publisher
from chalicelib.engine.push import Pusher


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


@contextmanager
def _not_captured(_progress: Any) -> Iterator[None]:
    yield  # stdout is one for all processes here


@contextmanager
def _nowhere(_run: Any) -> Iterator[Path]:
    yield Path("/nowhere")


@contextmanager
def stepped() -> Iterator[None]:
    """Within: no threads, no signals, no waits."""
    clock = SimpleNamespace(monotonic=time.monotonic, sleep=lambda seconds: None)
    with (
        mock.patch.object(runner, "Publisher", SteppedPublisher),
        mock.patch.object(runner, "Interrupts", SteppedInterrupts),
        mock.patch.object(publishing, "Pusher", SteppedPusher),
        mock.patch.object(attempt, "captured_output", _not_captured),
        mock.patch.object(attempt, "workspace_of", _nowhere),
        mock.patch.object(legs.LegClock, "is_due", return_value=True),
        mock.patch.object(runner, "time", clock),
        mock.patch.object(runner, "delay", return_value=1.0),
    ):
        yield
