"""Ending the work from outside: stop, timeout, a lost lease; and ending one step of it when its own time is over.

A signal raises in the main thread, which also ends a sleep or a wait for a child. Code that will not end gets the signal again, and
when its grace is over the process ends itself, whatever hangs in it.
"""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType

from chalicelib.domain.errors import StoppedError, TimedOutError
from chalicelib.engine.limits import Limit, StepTimeIsUp, ThreadLimit
from chalicelib.engine.progress import Progress

REPEAT = 0.7  # seconds between signals to code that goes on regardless
SOON = 0.01  # seconds until a timeout that came at a bad moment comes again
GRACE = 4.0  # seconds until the process ends itself
FINISHING_GRACE = 10.0  # the same for a stopped run that puts things in order
HERE = (__file__, Limit.__init__.__code__.co_filename)


class Interrupts:
    """Delivers at most one reason: "stop", "timeout", "fence" or "lease"; and between them the ends of steps' own limits."""

    def __init__(self, progress: Progress, last_resort: Callable[[], None]) -> None:
        self.reason: str | None = None
        self._progress = progress
        self._last_resort = last_resort
        self._armed = False
        self._finishing = False
        self._over = threading.Event()
        self._in_main = threading.current_thread() is threading.main_thread()
        self._run_ends = math.inf  # monotonic
        self._limits: dict[int, list[Limit]] = {}  # of each thread, the outermost first

    @property
    def stopping(self) -> bool:
        """Whether the work is to end, for another reason than that its time is over."""
        return self.reason in ("stop", "fence", "lease") and not (self._finishing and self.reason == "stop")

    def check(self) -> None:
        """Raise StoppedError if the work is to end: for code in a thread, which no signal reaches."""
        if self.stopping:
            raise StoppedError(self.reason)

    def request(self, reason: str) -> None:
        """End the work, called from any thread. The first reason counts, but a lost lease outdoes a stop."""
        if self.reason is None or reason in ("fence", "lease"):
            first, self.reason = self.reason is None, reason
            if first:
                threading.Thread(target=self._insist, name="insist", daemon=True).start()

    def armed(self, seconds: float) -> _Armed:
        """Within, and only within, the main thread is interrupted; after `seconds` by the timeout."""
        return _Armed(self, seconds)

    def limited(self, seconds: float) -> Limit:
        """Within: StepTimeoutError when so many seconds are over, in this thread."""
        mine = self._limits.setdefault(threading.get_ident(), [])
        if self._armed and threading.current_thread() is threading.main_thread():
            return Limit(seconds, mine, self._schedule)
        return ThreadLimit(seconds, mine, REPEAT)

    def limit_ends(self) -> float:
        """The monotonic clock at the end of the tightest limit around the code of this thread."""
        return min((limit.ends for limit in self._limits.get(threading.get_ident(), [])), default=math.inf)

    def finishing(self) -> _Finishing:
        """Within: what has interrupted already does not do so again, but for a lost lease; the grace goes on."""
        return _Finishing(self)

    def over(self) -> None:
        """The work has ended: no more signals."""
        self._over.set()

    def _insist(self) -> None:
        began = time.monotonic()
        while time.monotonic() - began < (FINISHING_GRACE if self._finishing and self.reason == "stop" else GRACE):
            if self._armed:
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)
            if self._over.wait(REPEAT):
                return
        if self._in_main:
            self._last_resort()

    def _raise(self, _signal: int, frame: FrameType | None) -> None:
        # Not in the middle of arming and disarming; the next signal comes soon.
        quiet = self._finishing and self.reason in ("stop", "timeout")
        if self._armed and not quiet and not _is_here(frame):
            self._progress.interrupt(self._error())

    def _time_is_over(self, signal_number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self._run_ends <= now:
            if self.reason is None:
                self.reason = "timeout"
                # The steps that ask for failures still run, but not for long.
                threading.Thread(target=self._wait_for_end, name="insist", daemon=True).start()
            if _is_here(frame):
                signal.setitimer(signal.ITIMER_REAL, SOON)
                return
            self._run_ends = math.inf
            self._schedule()
            self._raise(signal_number, frame)
            return
        late = next((limit for limit in self._limits.get(threading.get_ident(), []) if limit.ends <= now), None)
        if late is None or _is_here(frame):
            self._schedule()
            return
        late.fired, late.ends = True, now + REPEAT
        self._schedule()
        self._progress.interrupt(StepTimeIsUp("its time is over"))

    def _schedule(self) -> None:
        """Set the one timer there is to whatever ends next."""
        ends = min(self._run_ends, self.limit_ends())
        signal.setitimer(signal.ITIMER_REAL, 0 if ends == math.inf else max(ends - time.monotonic(), SOON))

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
        here._run_ends = time.monotonic() + self.seconds
        here._armed = True
        here._schedule()

    def __exit__(self, *_: object) -> None:
        self.interrupts._armed = False
        if self.interrupts._in_main:
            self._disarm()

    def _disarm(self) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        self.interrupts._run_ends = math.inf
        signal.signal(signal.SIGUSR1, self.before[0])
        signal.signal(signal.SIGALRM, self.before[1])


class _Finishing:
    def __init__(self, interrupts: Interrupts) -> None:
        self.interrupts = interrupts

    def __enter__(self) -> None:
        self.interrupts._finishing = True

    def __exit__(self, *_: object) -> None:
        self.interrupts._finishing = False


def _is_here(frame: FrameType | None) -> bool:
    return frame is not None and frame.f_code.co_filename in HERE
