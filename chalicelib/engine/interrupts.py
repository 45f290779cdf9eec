"""Ending the main thread's work from outside: stop, timeout, a lost lease.

A signal raises in the main thread, which also ends a sleep or a wait for a child. Code that will not end gets the signal again, and
when its grace is over the process ends itself, whatever hangs in it.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from types import FrameType

from chalicelib.domain.errors import StoppedError, TimedOutError
from chalicelib.engine.progress import Progress

REPEAT = 0.7  # seconds between signals to code that goes on regardless
SOON = 0.01  # seconds until a timeout that came at a bad moment comes again
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

    def armed(self, seconds: float) -> _Armed:
        """Within, and only within, the main thread is interrupted; after `seconds` by the timeout."""
        return _Armed(self, seconds)

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

    def _raise(self, _signal: int, frame: FrameType | None) -> None:
        # Not in the middle of arming and disarming; the next signal comes soon.
        if self._armed and not _is_here(frame):
            self._progress.interrupt(self._error())

    def _time_is_over(self, signal_number: int, frame: FrameType | None) -> None:
        if self.reason is None:
            self.reason = "timeout"
            # The steps that ask for failures still run, but not for long.
            threading.Thread(target=self._wait_for_end, name="insist", daemon=True).start()
        if _is_here(frame):
            signal.setitimer(signal.ITIMER_REAL, SOON)
        else:
            self._raise(signal_number, frame)

    def _wait_for_end(self) -> None:
        if not self._over.wait(GRACE) and self._in_main:
            self._last_resort()

    def _error(self) -> StoppedError:
        return TimedOutError("its time is over") if self.reason == "timeout" else StoppedError(self.reason)


class _Armed:
    """Interrupts on, within. A class rather than a generator: a signal must find no code but this between `with` and its body."""

    def __init__(self, interrupts: Interrupts, seconds: float) -> None:
        self.interrupts, self.seconds = interrupts, max(seconds, 0.001)

    def __enter__(self) -> None:
        here = self.interrupts
        if not here._in_main:
            return
        self.before = signal.signal(signal.SIGUSR1, here._raise), signal.signal(signal.SIGALRM, here._time_is_over)
        if here.reason is not None:
            self._disarm()
            raise here._error()
        here._armed = True
        signal.setitimer(signal.ITIMER_REAL, self.seconds)

    def __exit__(self, *_: object) -> None:
        self.interrupts._armed = False
        if self.interrupts._in_main:
            self._disarm()

    def _disarm(self) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGUSR1, self.before[0])
        signal.signal(signal.SIGALRM, self.before[1])


def _is_here(frame: FrameType | None) -> bool:
    return frame is not None and frame.f_code.co_filename == __file__
