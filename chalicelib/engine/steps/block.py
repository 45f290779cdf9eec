"""A list of steps being worked through: the pipeline's own, one within a step, or one of those at a pipeline's end."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, Protocol

from chalicelib.domain.handle import RunHandle
from chalicelib.domain.model import Catalog, Step
from chalicelib.engine.steps.records import Record, Records
from chalicelib.engine.values import Values
from chalicelib.processors.control import StepFailed, UnderWay


class Position(Protocol):
    """How far a list has come: a PipelineState, or its like within a step."""

    next: int
    checkpoint: Any
    outputs: dict[str, Any]
    previous: dict[str, Any]


@dataclass
class InnerPosition:
    """Of a list within a step; its JSON is that step's checkpoint."""

    next: int = 0
    checkpoint: Any = None
    outputs: dict[str, Any] = field(default_factory=dict)
    previous: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The same values, not copied: there is one of these per step of a loop."""
        return {"next": self.next, "checkpoint": self.checkpoint, "outputs": self.outputs, "previous": self.previous}


def never() -> bool:
    """No leg ends."""
    return False


@dataclass(frozen=True)
class Work:
    """What all steps of a run have in common."""

    catalog: Catalog
    records: Records
    values: Values
    leg_due: Callable[[], bool]
    expect: Callable[[float], None]  # is told how long the next piece of work probably takes


@dataclass
class Block:
    """The list, and where it stands. `run` is the handle its steps get; outputs are in `position` by the steps' own names."""

    work: Work
    steps: list[Step]
    run: RunHandle
    position: Position
    path: tuple[str, ...] = ()  # names of the steps around
    index: int | None = None  # of the top-level step around; None: these are top-level steps
    depth: int = 0  # how many steps stand around
    first_index: int = 0
    local: dict[str, Any] = field(default_factory=dict)  # what only these steps can refer to
    regardless: bool = False  # the steps run though something failed, and one that fails keeps none from running
    resumed: bool = False
    broken: bool = False  # one of these steps has failed
    records: dict[str, Record] = field(default_factory=dict)  # by the steps' own names
    durations: dict[int, float] = field(default_factory=dict)  # the longest of each step, over all items of a loop

    def work_through(self) -> Generator[bool, None, None]:
        """Yields wherever `position` is one to go on from: true where the work can be left, false while threads are at it.

        Raises the first StepFailed, after the steps that ask for failures.
        """
        from chalicelib.engine.steps.step import run_step

        first: StepFailed | None = None
        start = self.position.next
        names = names_of(self.steps)
        for number in range(start, len(self.steps)):
            began = time.monotonic()
            try:
                with closing(run_step(self, number, names[number], self.resumed and number == start)) as step:
                    for checkpoint in step:
                        if first is None:
                            busy = isinstance(checkpoint, UnderWay)
                            self.position.checkpoint = checkpoint.checkpoint if busy else checkpoint
                            yield not busy
            except StepFailed as failure:
                if first is None:
                    first, self.broken = failure, True
                    self.run.failure = self.run.failure or failure.summary
                else:
                    self.report(failure)
            self.position.next, self.position.checkpoint = number + 1, None
            self.durations[number] = max(self.durations.get(number, 0.0), time.monotonic() - began)
            self.work.expect(self.durations.get((number + 1) % len(self.steps), 0.0) if self.path else 0.0)
            if first is None:
                yield True
        if first is not None:
            raise first

    def report(self, failure: StepFailed) -> None:
        """A failure after the first one, which it must not hide."""
        self.run.log(f"{failure.error['step']}: {failure.brief}", level="error")
        self.work.records.warn(failure.error["step"], failure.brief)

    def known(self) -> dict[str, Any]:
        """What references in these steps find beside what is known everywhere."""
        if not self.path:
            return self.local
        outputs = {**self.local.get("steps", {}), **self.position.outputs}
        records = {**self.local.get("records", {}), **self.records}
        return {**self.local, "steps": outputs, "records": records, "previous": self.run.previous}


def names_of(steps: list[Step]) -> list[str]:
    """Each step's own name, or its processor's, told apart by number where a list uses one twice."""
    names: list[str] = []
    for step in steps:
        before = sum(1 for other in steps[: len(names)] if not other.name and other.processor == step.processor)
        names.append(step.name or (f"{step.processor}-{before + 1}" if before else step.processor))
    return names
