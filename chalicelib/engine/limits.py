"""The time limit of one step, within the run's: raised inside the step's code, seen outside as StepTimeoutError."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import TracebackType

from chalicelib.domain.durations import text_of
from chalicelib.domain.errors import StepTimeoutError, StoppedError


class StepTimeIsUp(StoppedError):
    """What ends the step's code: like a stop, so that nothing within takes it for a failure that it may go on after."""


class Limit(AbstractContextManager[None]):
    """A limit of the main thread, which a signal interrupts. `ends` is the monotonic clock."""

    def __init__(self, seconds: float, around: list[Limit], schedule: Callable[[], None] = lambda: None) -> None:
        self.seconds, self.around, self._schedule = seconds, around, schedule
        self.ends = 0.0
        self.fired = False

    def __enter__(self) -> None:
        self.ends = time.monotonic() + self.seconds
        self.around.append(self)
        self._schedule()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.around.remove(self)
        self._schedule()
        self._tell(error)

    def _tell(self, error: BaseException | None) -> None:
        """However the code ended once its time was over, it was that; unless the whole run is to end."""
        if self.fired and (isinstance(error, StepTimeIsUp) or not isinstance(error, StoppedError)):
            # With the stack of the code that took too long: its frames are what helps.
            late = StepTimeoutError(f"timed out after {text_of(self.seconds)}")
            raise late.with_traceback(error.__traceback__ if error else None) from None


class ThreadLimit(Limit):
    """A limit of another thread: raised between two of its bytecodes, so a blocking call is over before it is heard."""

    def __init__(self, seconds: float, around: list[Limit], repeat: float) -> None:
        super().__init__(seconds, around)
        self.repeat = repeat
        self._thread = threading.get_ident()
        self._lock = threading.Lock()
        self._ended = threading.Event()

    def __enter__(self) -> None:
        super().__enter__()
        threading.Thread(target=self._watch, name="limit", daemon=True).start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        while not self._ended.is_set():
            try:
                with self._lock:
                    self._ended.set()
                    if self.fired:
                        raise_in(self._thread, None)  # one that was not heard yet
            except StepTimeIsUp:
                continue
        self.around.remove(self)
        self._tell(error)

    def _watch(self) -> None:
        wait = self.seconds
        while not self._ended.wait(wait):
            with self._lock:
                if self._ended.is_set():
                    return
                self.fired = True
                raise_in(self._thread, StepTimeIsUp)
            wait = self.repeat


GUARDS: dict[int, threading.RLock] = {}  # of the threads that may be raised in
PATIENCE = 0.2  # seconds that one waits for a thread to leave what must not be broken off; whoever raises tries again


@contextmanager
def unbroken() -> Iterator[None]:
    """Within, nobody raises in this thread: it holds a lock that others need."""
    guard = GUARDS.get(threading.get_ident())
    if guard is None:
        yield
        return
    with guard:
        yield


def raise_in(thread: int, error: type[BaseException] | None) -> None:
    """Raise in another thread, or (None) take back what it has not heard yet."""
    import ctypes

    guard = GUARDS.get(thread)
    if guard is not None and not guard.acquire(timeout=PATIENCE):
        return
    try:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(error) if error else None)
    finally:
        if guard is not None:
            guard.release()
