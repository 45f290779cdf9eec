"""The processor `parallel`."""

from __future__ import annotations

from contextlib import closing
from typing import Any

from pydantic import Field

from chalicelib.catalog.decorators import processor
from chalicelib.domain.errors import StepError
from chalicelib.domain.handle import RunHandle
from chalicelib.domain.nesting import Steps
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
)


@processor("parallel")
class Parallel(Control):
    """Runs several lists of steps at the same time, each in a thread of its own."""

    branches: dict[str, Steps] | list[Steps] = Field(
        min_length=1, description="Lists of steps by name; or a list of such lists, whose names are their numbers from 1"
    )
    max: int = Field(32, ge=1, le=32, description="How many at a time")
    on_failure: OnFailure = Field("fail", description=f"When one fails: {ON_FAILURE}")

    def describe(self, run: RunHandle) -> str:
        """How many at a time."""
        return f"Runs {len(self.branches)} lists of steps, {min(self.max, len(self.branches))} at a time"

    def control(self, run: RunHandle, flow: Flow) -> Checkpoints:
        """Output: results (the outputs by branch, then by step), failed, count."""
        given = self.branches
        branches = given if isinstance(given, dict) else {str(number): steps for number, steps in enumerate(given, 1)}
        saved = run.checkpoint or {"results": {}, "failures": {}}
        results: dict[str, Any] = dict(saved["results"])
        failures = {name: StepFailed(error, StepError(error["message"])) for name, error in saved["failures"].items()}
        flow.has_done(len(results) + len(failures))

        def saved_now() -> dict[str, Any]:
            return {"results": results, "failures": {name: failure.error for name, failure in failures.items()}}

        while left := [name for name in branches if name not in results and name not in failures]:
            inners = {name: Inner(branches[name], (name,), part_of=len(branches)) for name in left}
            with closing(flow.together(inners, self.max)) as ended:
                for name, outcome in ended:
                    if not isinstance(outcome, StepFailed):
                        results[name] = outcome
                    elif self.on_failure == "fail":
                        raise outcome
                    else:
                        failures[name] = outcome
                        if self.on_failure == "ignore":
                            flow.warn(outcome)
                    yield UnderWay(saved_now())
            yield saved_now()
        if failures and self.on_failure == "collect":
            raise several_failed(failures, len(branches), "branches")
        failed = [{"branch": name, "error": failures[name].summary} for name in branches if name in failures]
        return {"results": {name: results[name] for name in branches if name in results}, "failed": failed, "count": len(branches)}
