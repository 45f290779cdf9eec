"""Runs a pipeline: its steps in order, then what it has for success, for failure, and for any case."""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import closing
from typing import Any

from chalicelib.domain.errors import StoppedError, TimedOutError
from chalicelib.domain.handle import RunHandle
from chalicelib.domain.model import Catalog, Pipeline, Step
from chalicelib.domain.pipeline_state import PipelineState
from chalicelib.engine.failures import cut, error_of
from chalicelib.engine.progress import Progress
from chalicelib.engine.steps.block import Block, InnerPosition, Work, never
from chalicelib.engine.steps.records import Records
from chalicelib.engine.values import Values
from chalicelib.processors.control import StepFailed

__all__ = ["LegOver", "PipelineFailed", "cut", "error_of", "never", "run_pipeline"]


class PipelineFailed(Exception):
    """A step failed; `error` is `{type, message, step, traceback}`, `cause` what it raised."""

    def __init__(self, error: dict[str, Any], cause: BaseException) -> None:
        super().__init__(error["message"])
        self.error, self.cause = error, cause


class LegOver(Exception):
    """This Lambda's time is nearly over, and the pipeline's state is one that another can go on from."""


def run_pipeline(
    catalog: Catalog,
    pipeline: Pipeline,
    run: RunHandle,
    progress: Progress,
    state: PipelineState,
    values: Values,
    leg_due: Callable[[], bool] = never,
) -> Any:
    """The result: a Python task's return value, or the outputs of the top-level steps by name. `state` is kept current.

    When a step fails, those after it that ask for failures (alerts) still run, then `on_failure` and `always` of the pipeline;
    then PipelineFailed is raised. Raises LegOver when `leg_due` says so, where `state` is one to go on from: between two
    top-level steps, and after a checkpoint of the one at hand.
    """
    return _Pipeline(catalog, pipeline, run, progress, state, values, leg_due).work()


class _Pipeline:
    def __init__(
        self,
        catalog: Catalog,
        pipeline: Pipeline,
        run: RunHandle,
        progress: Progress,
        state: PipelineState,
        values: Values,
        leg_due: Callable[[], bool],
    ) -> None:
        self.pipeline, self.run, self.state = pipeline, run, state
        self.records = Records(state, progress)
        self.leg_due = leg_due
        self.at_last = False  # whether `always` has begun
        self.main = Work(catalog, self.records, values, leg_due, self._expect)
        self.ending = Work(catalog, self.records, values, never, lambda _: None)
        run.outputs, run.previous, run.failure = state.outputs, state.previous, state.failure

    def _expect(self, seconds: float) -> None:
        self.state.expected = seconds

    def work(self) -> Any:
        if self.state.steps:
            self.main.values.remember(self.pipeline)
        try:
            failure = self._worked()
        except LegOver:
            raise
        except StoppedError:
            self.records.close()
            if self.pipeline.always and not self.at_last:
                self._when_stopped()
            raise
        self.records.close()
        if failure is not None:
            self.state.failure = failure.summary
            raise PipelineFailed(failure.error, failure.cause) from failure.cause
        if self.pipeline.name.startswith("python:"):
            return self.run.previous
        return dict(self.state.outputs) or None

    def _worked(self) -> StepFailed | None:
        failure = self._first_failure(self._steps) or None
        if failure is not None:
            kind = {"type": "Timeout"} if isinstance(failure.cause, TimedOutError) else {}
            self._at_the_end("on_failure", self.pipeline.on_failure, failure, {"error": failure.summary | kind})
        else:
            failure = self._first_failure(lambda: self._run_ending("on_success", self.pipeline.on_success, {}, regardless=False))
        self.at_last = True
        late = self._at_the_end("always", self.pipeline.always, failure, {})
        return failure or late

    def _first_failure(self, work: Callable[[], None]) -> StepFailed | None:
        try:
            work()
        except StepFailed as failed:
            return failed
        except TimedOutError as late:  # between two steps
            running = next((record["name"] for record in reversed(self.state.steps) if record["status"] == "running"), None)
            self.records.close()
            self.run.failure = {"type": "Timeout", "message": "its time is over", "step": running}
            return StepFailed(error_of(late, running, self.run.mask), late)
        return None

    def _steps(self) -> None:
        """The pipeline's own steps, from where it stands."""
        state, steps = self.state, self.pipeline.steps
        resumed = state.next > 0 or bool(state.steps)
        block = Block(self.main, steps, self.run, state, resumed=resumed)
        more = self.pipeline.on_success or self.pipeline.on_failure or self.pipeline.always
        with closing(block.work_through()) as work:
            for can_leave in work:
                if can_leave and (state.next < len(steps) or more) and self.leg_due():
                    work.close()
                    raise LegOver

    def _at_the_end(self, name: str, steps: list[Step], first: StepFailed | None, local: dict[str, Any]) -> StepFailed | None:
        """Run the steps whatever has failed. Their own failure, which is only reported when it is not the first."""
        failed = self._first_failure(lambda: self._run_ending(name, steps, local, regardless=True))
        if failed is not None and first is not None:
            self.run.log(f"{failed.error['step']}: {failed.brief}", level="error")
            self.records.warn(str(failed.error["step"]), failed.brief)
        return failed

    def _run_ending(self, name: str, steps: list[Step], local: dict[str, Any], regardless: bool) -> None:
        lists = (self.pipeline.on_success, self.pipeline.on_failure, self.pipeline.always)
        before = {"on_success": lists[:0], "on_failure": lists[:1], "always": lists[:2]}[name]
        first_index = len(self.pipeline.steps) + sum(map(len, before))
        position = InnerPosition(previous=self.state.previous)
        run = copy.copy(self.run)
        run.outputs = dict(self.state.outputs)  # theirs are no part of the result
        block = Block(self.ending, steps, run, position, (name,), first_index=first_index, local=local, regardless=regardless)
        for _ in block.work_through():
            pass

    def _when_stopped(self) -> None:
        """Somebody pressed stop: what always runs does so, for the seconds that a stopped run has. Not when the run is lost."""
        with self.run.finishing():
            self.run.check_stopped()
            failed = self._at_the_end("always", self.pipeline.always, None, {})
            if failed is not None:
                self.run.log(f"{failed.error['step']}: {failed.brief}", level="error")
