"""Work in several threads that ends when it is told to: a signal reaches the main thread alone."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import suppress
from contextvars import copy_context
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar

from chalicelib.domain.errors import StoppedError
from chalicelib.domain.handle import RunHandle
from chalicelib.engine.limits import GUARDS, raise_in
from chalicelib.engine.output import end_lines

K = TypeVar("K")
Work = Callable[[Callable[[], None]], Any]  # is given what raises StoppedError when it is to end

TICK = 0.1  # seconds between two looks at threads that say nothing
# Who asks whether to end has heard it by then, and its child processes have had their own grace; who does not is raised in.
POLITE = 1.3
REPEAT = 0.7


class Worker(threading.Thread, Generic[K]):
    """One piece of work. `outcome` is what it returned, or `error` what it raised."""

    def __init__(self, key: K, work: Work, ended: SimpleQueue[Worker[K]]) -> None:
        super().__init__(name=f"branch-{key}", daemon=True)
        self.key, self.outcome = key, None
        self.error: BaseException | None = None
        self._work, self._ended, self._context = work, ended, copy_context()
        self._cancelled_at = 0.0
        self._raised_at = 0.0

    def run(self) -> None:
        # Whatever is raised in here from outside, be it as late as in the last lines: it has been told to end, and does.
        with suppress(BaseException):
            with suppress(BaseException):
                self._do()
            GUARDS.pop(threading.get_ident(), None)
            self._ended.put(self)

    def _do(self) -> None:
        GUARDS[threading.get_ident()] = threading.RLock()
        try:
            self.check()
            self.outcome = self._context.run(self._work, self.check)
        except BaseException as error:
            self.error = error
        finally:
            self._context.run(end_lines)

    def check(self) -> None:
        """Raise StoppedError if it is to end."""
        if self._cancelled_at:
            raise StoppedError("cancelled")

    def cancel(self) -> None:
        """It is to end: asked first, raised in after a while, and again."""
        now = time.monotonic()
        self._cancelled_at = self._cancelled_at or now
        if now - self._cancelled_at > POLITE and now - self._raised_at > REPEAT and self.ident is not None:
            self._raised_at = now
            raise_in(self.ident, StoppedError)


def together(
    jobs: Mapping[K, Work], most: int, run: RunHandle, enough: Callable[[], bool]
) -> Generator[tuple[K, Any, BaseException | None], None, None]:
    """Do them in threads, `most` at a time: (key, outcome, error) of each as it ends.

    Once `enough` says so no more are begun, but for the first: whoever calls again comes forward.

    Leaving it in any way (closing it, a stop or timeout of this thread) ends those under way, and waits until they have ended.
    """
    ended: SimpleQueue[Worker[K]] = SimpleQueue()
    waiting = list(jobs.items())
    running: set[Worker[K]] = set()

    def may_begin() -> bool:
        return bool(waiting) and (len(waiting) == len(jobs) or not enough())

    try:
        while running or may_begin():
            while len(running) < most and may_begin():
                worker = Worker(*waiting.pop(0), ended)
                running.add(worker)
                worker.start()
            over = _one_ended(ended, running)
            run.check_stopped()
            if over is not None and over in running:
                running.discard(over)
                yield over.key, over.outcome, over.error
    finally:
        _end(running, ended)


def _one_ended(ended: SimpleQueue[Worker[K]], running: set[Worker[K]]) -> Worker[K] | None:
    try:
        return ended.get(timeout=TICK)
    except Empty:
        # One that was raised in at its very end did not get to say so.
        return next((worker for worker in running if not worker.is_alive()), None)


def _end(running: set[Worker[K]], ended: SimpleQueue[Worker[K]]) -> None:
    while running:
        try:
            for worker in running:
                worker.cancel()
            over = _one_ended(ended, running)
            if over is not None:
                running.discard(over)
        except StoppedError:
            continue  # a signal again: nothing of this run may go on without it
