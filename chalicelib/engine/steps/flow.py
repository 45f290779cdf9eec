"""What the engine does for steps that hold steps."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from chalicelib.domain.conditions import MISSING, holds
from chalicelib.domain.handle import RunHandle
from chalicelib.engine.failures import error_of
from chalicelib.engine.progress import said_by
from chalicelib.engine.steps.block import Block, InnerPosition, Work, never
from chalicelib.engine.steps.threads import together
from chalicelib.engine.values import MissingValueError
from chalicelib.processors.control import Inner, StepFailed, UnderWay

INTERVAL = 0.1  # seconds between two sayings of how many of a loop are done

K = TypeVar("K")
Check = Callable[[], None]


class BlockFlow:
    """The Flow of one step: `path` are the names down to it, `index` that of the top-level step it is or is in."""

    def __init__(self, block: Block, path: tuple[str, ...], index: int) -> None:
        self._block, self._path, self._index = block, path, index
        self._work = replace(block.work, leg_due=never) if block.broken else block.work
        self._fractions: dict[tuple[str, ...], float] = {}
        self._done = 0.0  # their sum
        self._over = 0
        self._said_at = 0.0
        self._durations: dict[int, float] = {}  # of each step within
        self._longest = 0.0  # of those that run at the same time

    def holds(self, condition: Any) -> bool:
        return condition_holds(self._block, condition)

    def run(self, inner: Inner) -> Generator[Any, None, dict[str, Any]]:
        return self._run(inner, self._handle(inner), self._work)

    def _run(self, inner: Inner, run: RunHandle, work: Work) -> Generator[Any, None, dict[str, Any]]:
        position = InnerPosition(**inner.saved) if inner.saved else InnerPosition(previous=self._block.run.previous)
        run.outputs = {**self._block.run.outputs, **position.outputs}
        run.previous = position.previous
        block = Block(
            work=work,
            steps=inner.steps,
            run=run,
            position=position,
            path=(*self._path, *inner.path),
            index=self._index,
            depth=self._block.depth + 1,
            local={**self._block.known(), **inner.local},
            durations=self._durations if inner.part_of > 1 else {},
            resumed=bool(inner.saved),
        )
        for can_leave in block.work_through():
            yield position.to_json() if can_leave else UnderWay(position.to_json())
        self._one_done(inner)
        return position.outputs

    def together(self, inners: Mapping[K, Inner], most: int) -> Generator[tuple[K, dict[str, Any] | StepFailed], None, None]:
        # What runs in a thread goes on in no other Lambda.
        in_thread = replace(self._work, leg_due=never, expect=lambda _: None)

        def job(inner: Inner) -> Callable[[Check], dict[str, Any]]:
            def work(check: Check) -> dict[str, Any]:
                said_by.set("/".join((*self._path, *inner.path)))
                began = time.monotonic()
                outputs = _drained(self._run(inner, self._handle(inner, check), in_thread))
                self._longest = max(self._longest, time.monotonic() - began)
                return outputs

            return work

        jobs = {key: job(inner) for key, inner in inners.items()}
        threads = together(jobs, most, self._block.run, self._work.leg_due)
        try:
            for key, outputs, error in threads:
                self._work.expect(self._longest)
                if error is None:
                    yield key, outputs
                elif isinstance(error, StepFailed):
                    yield key, error
                elif isinstance(error, Exception):
                    place = "/".join((*self._path, *inners[key].path))
                    yield key, StepFailed(error_of(error, place, self._block.run.mask), error)
                else:
                    raise error
        finally:
            threads.close()

    def has_done(self, count: int) -> None:
        self._done, self._over = float(count), count
        self._fractions.clear()

    def warn(self, failure: StepFailed) -> None:
        self._block.run.log(f"{failure.error['step']}: {failure.brief}; going on", level="warning")
        self._block.work.records.warn(failure.error["step"], failure.brief)

    def set_variables(self, values: Mapping[str, Any]) -> None:
        self._block.work.values.state.variables.update(values)

    def _handle(self, inner: Inner, check: Check | None = None) -> RunHandle:
        """The run as the steps within see it: with outputs of their own, and their part of the progress."""
        around = self._block.run
        run = copy.copy(around)
        run.progress = lambda fraction, message="": self._progress(inner, fraction, message)  # type: ignore[method-assign]
        if check is not None:
            run.check_stopped = lambda: (check(), around.check_stopped())[0]  # type: ignore[method-assign, func-returns-value]
        return run

    def _progress(self, inner: Inner, fraction: float, message: str) -> None:
        """A step within said how far it is; which is a part of how far this one is."""
        fraction = min(max(fraction, 0.0), 1.0)
        self._done += fraction - self._fractions.get(inner.path, 0.0)
        self._fractions[inner.path] = fraction
        name = "/".join(inner.path)
        self._block.run.progress(min(1.0, self._done / inner.part_of), f"{name}: {message}" if message else name)

    def _one_done(self, inner: Inner) -> None:
        if inner.part_of == 1:
            return
        self._done += 1.0 - self._fractions.get(inner.path, 0.0)
        self._fractions[inner.path] = 1.0
        self._over += 1
        now = time.monotonic()
        if now - self._said_at > INTERVAL or self._over == inner.part_of:
            self._said_at = now
            self._block.run.progress(min(1.0, self._done / inner.part_of), f"{self._over} of {inner.part_of}")


def condition_holds(block: Block, condition: Any) -> bool:
    """Whether it holds, its references looked up where the block stands."""

    def resolve(value: Any) -> Any:
        try:
            return block.work.values.resolve(value, block.known())
        except MissingValueError:
            return MISSING

    return holds(condition, resolve)


def _drained(steps: Generator[Any, None, dict[str, Any]]) -> dict[str, Any]:
    """To the end, without a checkpoint."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return dict(end.value)
