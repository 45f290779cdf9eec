"""Ending the main thread's work from outside: stop, timeout, a lost lease.

A signal raises in the main thread, which also ends a sleep or a wait for a child. Code that will not end gets the signal again, and
when its grace is over the process ends itself, whatever hangs in it.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from chalicelib.domain.errors import StoppedError, TimedOutError
from chalicelib.engine.progress import Progress

REPEAT = 0.7  # seconds between signals to code that goes on regardless
GRACE = 4.0  # seconds until the process ends itself


class Interrupts:
    """Delivers at most one reason: "stop", "timeout", "fence" or "lease"."""

    def __init__(self, progress: Progress, last_resort: Callable[[], None]) -> None:
        self.reason: str | None = None
        self._progress = progress
        self._last_resort = last_resort
        self._armed = False
        self._over = threading.Event()
        self._in_main = threading.current_thread() is threading.main_thread()

    def request(self, reason: str) -> None:
        """End the work, called from any thread. The first reason counts, but a lost lease outdoes a stop."""
        if self.reason is None or reason in ("fence", "lease"):
            first, self.reason = self.reason is None, reason
            if first:
                threading.Thread(target=self._insist, name="insist", daemon=True).start()

    @contextmanager
    def armed(self, seconds: float) -> Iterator[None]:
        """Within, and only within, the main thread is interrupted; after `seconds` by the timeout."""
        if not self._in_main:
            yield
            return
        before = signal.signal(signal.SIGUSR1, self._raise), signal.signal(signal.SIGALRM, self._time_is_over)
        signal.setitimer(signal.ITIMER_REAL, max(seconds, 0.001))
        self._armed = True
        try:
            if self.reason is not None:
                raise self._error()
            yield
        finally:
            self._armed = False
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGUSR1, before[0])
            signal.signal(signal.SIGALRM, before[1])

    def over(self) -> None:
        """The work has ended: no more signals."""
        self._over.set()

    def _insist(self) -> None:
        ends = time.monotonic() + GRACE
        while time.monotonic() < ends:
            if self._armed:
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)
            if self._over.wait(REPEAT):
                return
        if self._in_main:
            self._last_resort()

    def _raise(self, _signal: int, _frame: FrameType | None) -> None:
        if self._armed:
            self._progress.interrupt(self._error())

    def _time_is_over(self, _signal: int, _frame: FrameType | None) -> None:
        self.reason = self.reason or "timeout"
        if self._armed:
            self._progress.interrupt(self._error())

    def _error(self) -> StoppedError:
        return TimedOutError("its time is over") if self.reason == "timeout" else StoppedError(self.reason)
