"""The processor `for_each`."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Mapping
from contextlib import closing
from typing import Any

from pydantic import Field, field_validator

from chalicelib.catalog.decorators import processor
from chalicelib.domain.errors import StepError
from chalicelib.domain.handle import RunHandle
from chalicelib.domain.nesting import Steps
from chalicelib.domain.references import ROOTS
from chalicelib.processors.control import (
    ON_FAILURE,
    Checkpoints,
    Control,
    Flow,
    Inner,
    OnFailure,
    StepFailed,
    UnderWay,
    several_failed,
    wrapped,
)
from chalicelib.processors.paths import find

MOST_ITEMS = 10_000
_WILD = re.compile(r"[*?\[]")


@processor("for_each")
class ForEach(Control):
    """Runs its steps once for each item: of a list, of a mapping (`key` and `value`), or of the files that a path matches.

    The steps refer to the item as `${item}` (or by the name given with `as`) and to its number, from 0, as `${index}`. A file is
    `${item.path}`, `${item.name}` and `${item.bytes}`.
    """

    items: list[Any] | dict[str, Any] | str = Field(
        description="A list, a mapping, a reference to one, or a path like ./logs/*.log"
    )
    as_: str = Field("item", alias="as", pattern=r"^[A-Za-z_]\w*$", description="What the steps call the item")
    steps: Steps = Field(min_length=1, description="What to do with each, as in a pipeline")
    parallelism: int = Field(1, ge=1, le=32, description="How many at a time")
    on_failure: OnFailure = Field("fail", description=f"When one fails: {ON_FAILURE}")

    @field_validator("as_")
    @classmethod
    def _name_of_its_own(cls, value: str) -> str:
        if value in (*ROOTS, "index", "error"):
            raise ValueError(f"'{value}' is known everywhere: choose another name")
        return value

    @classmethod
    def keeps(cls, config: Mapping[str, Any]) -> Iterable[str]:
        """The items: another Lambda goes on with the same."""
        return ("items",)

    def describe(self, run: RunHandle) -> str:
        """How often, as far as it is known."""
        many = f"each of {len(self.items)} items" if isinstance(self.items, list | dict) else f"each item of {self.items}"
        return f"Runs its steps for {many}, {self.parallelism} at a time"

    def control(self, run: RunHandle, flow: Flow) -> Checkpoints:
        """Output: results (for each item its steps' outputs by name, null where it failed), failed, count."""
        saved = run.checkpoint or {}
        loop = _Loop(self, flow, saved["items"] if saved else self._items(run), saved)
        flow.has_done(loop.done)
        yield from loop.one_by_one() if self.parallelism == 1 else loop.several()
        failures = {f"item {index}": failure for index, failure in sorted(loop.failures.items())}
        if failures and self.on_failure == "collect":
            raise several_failed(failures, len(loop.items), "items")
        failed = [{"index": index, "item": loop.items[index], "error": f.summary} for index, f in sorted(loop.failures.items())]
        return {"results": [loop.results.get(n) for n in range(len(loop.items))], "failed": failed, "count": len(loop.items)}

    def _items(self, run: RunHandle) -> list[Any]:
        if isinstance(self.items, str):
            items = self._files(run, self.items)
        elif isinstance(self.items, dict):
            items = [{"key": key, "value": value} for key, value in self.items.items()]
        else:
            items = self.items
        if len(items) > MOST_ITEMS:
            raise StepError(f"{len(items):,} items are more than the {MOST_ITEMS:,} that a loop takes: give it them in portions")
        if not items:
            run.log(f"{self.items!r} has no items: nothing to do", level="warning")
        return items

    def _files(self, run: RunHandle, text: str) -> list[Any]:
        try:
            found = find(run, text)
        except StepError:
            if _WILD.search(text):
                return []
            raise
        return [{"path": str(entry.path), "name": entry.name, "bytes": entry.size} for entry in found.entries]


class _Loop:
    """Which items are done, and with what."""

    def __init__(self, step: ForEach, flow: Flow, items: list[Any], saved: dict[str, Any]) -> None:
        self.step, self.flow, self.items = step, flow, items
        # Only ever appended to, so that a checkpoint costs nothing but when it is needed.
        self._results: list[Any] = saved.get("results", [])
        self._failures: list[Any] = saved.get("failures", [])
        self.results: dict[int, Any] = dict(self._results)
        self.failures = {index: StepFailed(error, StepError(error["message"])) for index, error in self._failures}
        self.under_way = saved.get("inner")

    @property
    def done(self) -> int:
        return len(self.results) + len(self.failures)

    def _saved(self, inner: Any = None) -> dict[str, Any]:
        return {"items": self.items, "results": self._results, "failures": self._failures, "inner": inner}

    def _inner(self, index: int, saved: Any = None) -> Inner:
        local = {self.step.as_: self.items[index], "index": index}
        return Inner(self.step.steps, (str(index),), local, saved, part_of=len(self.items))

    def _ended(self, index: int, outcome: dict[str, Any] | StepFailed) -> None:
        if not isinstance(outcome, StepFailed):
            self.results[index] = outcome
            self._results.append([index, outcome])
            return
        if self.step.on_failure == "fail":
            raise StepFailed({**outcome.error, "message": f"item {index}: {outcome.error['message']}"}, outcome.cause)
        self.failures[index] = outcome
        self._failures.append([index, outcome.error])
        if self.step.on_failure == "ignore":
            self.flow.warn(outcome)

    def one_by_one(self) -> Generator[Any, None, None]:
        for index in range(self.done, len(self.items)):
            saved, self.under_way = self.under_way, None
            outcome: dict[str, Any] | StepFailed
            try:
                outcome = yield from wrapped(self.flow.run(self._inner(index, saved)), self._saved)
            except StepFailed as failed:
                outcome = failed
            self._ended(index, outcome)
            yield self._saved()

    def several(self) -> Generator[Any, None, None]:
        while left := [n for n in range(len(self.items)) if n not in self.results and n not in self.failures]:
            with closing(self.flow.together({n: self._inner(n) for n in left}, self.step.parallelism)) as ended:
                for index, outcome in ended:
                    self._ended(index, outcome)
                    yield UnderWay(self._saved())
            yield self._saved()
