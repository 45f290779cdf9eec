"""The second thread of a runner: publishes what the run says, keeps its lease, learns of stop and followers.

One update of the run does all of that. The first output goes at once; then every second while there is output, four times a second
while someone follows, and every second and a half otherwise, which is also how soon a stop is noticed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from chalicelib.domain.errors import FenceLostError
from chalicelib.domain.run import RunRecord
from chalicelib.engine.progress import SMALL_TAIL, Progress, size_of
from chalicelib.engine.push import Pusher
from chalicelib.engine.services import Services
from chalicelib.store import events as chunks
from chalicelib.store import runs

LEASE_MS = 20_000
GIVE_UP_MS = 13_000  # without a renewed lease for so long, the work ends itself, before the lease does
FIRST_WORDS = 0.2  # seconds; a run that says nothing yet still shows that it runs
FOLLOWED, UNFOLLOWED, SILENT = 0.25, 1.0, 1.5
MOST_LEFT = 200_000  # bytes that may wait for the run's last transaction

Interrupt = Callable[[str], None]  # "stop", "fence" or "lease": end the main thread's work


class Publisher:
    """Publishes for one attempt after another of a claimed run."""

    def __init__(self, services: Services, run: RunRecord, progress: Progress, interrupt: Interrupt, renewed: float) -> None:
        """`renewed`: the monotonic clock before the lease was asked for."""
        self.services = services
        self.run = run  # its seq, tail, followers and attempt are kept current here
        self.progress = progress
        self.lost = False
        self._interrupt = interrupt
        self._told_to_stop = False
        self._ended = threading.Event()
        self._renewed = renewed
        self._pusher = Pusher(services, run.id)
        self._unsure = False  # whether the last flush may have been written, though no answer came
        self._thread = threading.Thread(target=self._work, name="publisher", daemon=True)
        self._watch = threading.Thread(target=self._watch_lease, name="lease", daemon=True)
        self._lock = threading.Lock()  # one flush at a time; also while the attempt changes

    def start(self) -> None:
        """Begin."""
        self._thread.start()
        self._watch.start()

    def finish(self) -> None:
        """End; what is not published is left in the buffer. Pushes under way are waited for, a while."""
        self._ended.set()
        self.progress.close()
        if threading.current_thread() is not self._thread:
            self._thread.join()
        self._pusher.finish()

    def behind(self) -> frozenset[str]:
        """The followers that cannot be reached just now."""
        return self._pusher.behind()

    def next_attempt(self, failed: dict[str, Any], artifacts: list[dict[str, Any]]) -> None:
        """Move on to the next attempt, between two flushes. Raises FenceLostError."""
        with self._lock:
            now = self.services.now()
            runs.next_attempt(self.services.table, self.run, failed, now, now + LEASE_MS, artifacts)
            self.run.attempt, self.run.leg, self.run.carried = self.run.attempt + 1, 1, None

    def flush_rest(self, leave: int = 0) -> None:
        """After `finish`: publish what is left, but for as many bytes of it as one transaction takes (`leave`).

        Raises FenceLostError. When the last flush had no answer, one more finds out what became of it.
        """
        while self._unsure or size_of(self.run.tail) > SMALL_TAIL or size_of(self.progress.peek()) > leave:
            with self._lock:
                self._flush()
            if not self.progress.peek():
                return

    def _work(self) -> None:
        self.progress.wait_for_output(time.monotonic() + FIRST_WORDS)
        while not self._ended.is_set():
            began = time.monotonic()
            try:
                with self._lock:
                    self._flush()
            except FenceLostError as error:
                self.services.log.warning(str(error), extra={"run_id": self.run.id})
                self._give_up("fence")
                return
            except Exception:
                self.services.log.exception("a flush failed", extra={"run_id": self.run.id})
            self.progress.wait_until_full(began + (FOLLOWED if self.run.followers else UNFOLLOWED))
            self.progress.wait_for_any(began + SILENT)

    def _watch_lease(self) -> None:
        """A flush may hang for longer than the lease lasts: somebody else has to look at the clock."""
        while not self._ended.wait(max(0.05, self._renewed + GIVE_UP_MS / 1000 - time.monotonic())):
            if time.monotonic() - self._renewed >= GIVE_UP_MS / 1000:
                self._give_up("lease")
                return

    def _give_up(self, why: str) -> None:
        self.lost = True
        self.progress.close()
        self._interrupt(why)

    def _flush(self) -> None:
        events = self.progress.peek()
        tail = [*self.run.tail, *events]
        if events and self.run.tail and size_of(tail) > SMALL_TAIL:
            keep_until = self.services.now() // 1000 + (self.services.settings.retention_days + 2) * 86_400
            chunks.put_chunk(self.services.table, self.run.id, self.run.tail, keep_until)
            tail = events
        renewed, now = time.monotonic(), self.services.now()
        seq = events[-1]["seq"] if events else self.run.seq
        self._unsure = True
        told = runs.publish(self.services.table, self.run, seq, tail, self.progress.fraction, now, now + LEASE_MS)
        self._unsure, self._renewed = False, renewed
        self.run.seq, self.run.tail = seq, tail
        self.run.followers, self.run.follows = told.followers, told.follows
        self.progress.drop(len(events))
        if events and told.followers:
            self._pusher.send(told.followers, events)
        if told.stop_requested and not self._told_to_stop:
            self._told_to_stop = True
            self._interrupt("stop")
