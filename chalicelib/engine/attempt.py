"""One leg of one attempt: its workspace, its pipeline, and how it came out."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from chalicelib.domain.durations import text_of
from chalicelib.domain.errors import FenceLostError, StepError, StoppedError, TimedOutError
from chalicelib.domain.model import CatalogTask, Pipeline
from chalicelib.domain.pipeline_state import PipelineState
from chalicelib.domain.run import RunRecord, Status
from chalicelib.engine import legs
from chalicelib.engine.arguments import ready_arguments
from chalicelib.engine.artifacts import Artifacts, collect, collect_after_failure
from chalicelib.engine.context import LiveRun
from chalicelib.engine.interrupts import Interrupts
from chalicelib.engine.output import captured_output
from chalicelib.engine.pipeline import LegOver, PipelineFailed, error_of, run_pipeline
from chalicelib.engine.progress import Progress
from chalicelib.engine.services import Services
from chalicelib.engine.usage import Meter
from chalicelib.engine.values import Values
from chalicelib.engine.workspace import workspace_of
from chalicelib.store.codec import pack, to_json

MOST_RESULT = 350_000  # bytes, deflated: an item has at most 400 KB


@dataclass
class Outcome:
    """How it came out; `cause` is what a failure was raised as. With `carried` it is not over: another Lambda goes on."""

    status: Status
    result: Any = None
    error: dict[str, Any] | None = None
    cause: BaseException | None = None
    carried: dict[str, Any] | None = None


class Around(Protocol):
    """What the process has for all its attempts."""

    progress: Progress
    interrupts: Interrupts
    clock: legs.LegClock
    artifacts: Artifacts
    meter: Meter
    began: int  # this attempt, epoch ms

    def hide(self, value: Any) -> Any:
        """The same without secrets."""


class Attempt:
    """A claimed run's attempt, from its beginning or from where the leg before has come to."""

    def __init__(self, services: Services, run: RunRecord, task: CatalogTask | None, around: Around) -> None:
        self.services, self.run, self.task, self.around = services, run, task, around
        self.state = PipelineState()
        self.handle: LiveRun | None = None

    def work(self) -> Outcome:
        """All of it. Raises FenceLostError."""
        around = self.around
        if self.run.leg == 1:
            around.progress.say("status", status="running", attempt=self.run.attempt)
        with workspace_of(self.run) as workspace, captured_output(around.progress):
            run_left = self.run.timeout - (self.services.now() - around.began) / 1000
            timeout = min(run_left, around.clock.left)
            outcome = self._outcome(workspace, timeout, run_left)
            around.meter.look_at(workspace, at_last=True)
            if outcome.status == "failed":
                self._keep_what_there_is()
        return outcome

    def _outcome(self, workspace: Path, timeout: float, run_left: float) -> Outcome:
        interrupts = self.around.interrupts
        try:
            with interrupts.armed(timeout):
                return self._pipeline(workspace, timeout)
        except PipelineFailed as failed:
            if interrupts.reason == "stop":
                return Outcome("stopped")  # it made an error of its own out of being stopped
            if isinstance(failed.cause, TimedOutError):
                return Outcome("failed", error=self._timed_out(failed.error, run_left > timeout))
            return Outcome("failed", error=failed.error, cause=failed.cause)
        except TimedOutError as late:
            error = error_of(late, None, self.around.progress.masker.hide)
            return Outcome("failed", error=self._timed_out(error, run_left > timeout))
        except StoppedError:
            if interrupts.reason in ("fence", "lease"):
                raise FenceLostError(f"run {self.run.id}: {interrupts.reason} lost") from None
            return Outcome("stopped")
        except Exception as failed:
            return Outcome("failed", error=error_of(failed, None, self.around.progress.masker.hide), cause=failed)

    def _pipeline(self, workspace: Path, timeout: float) -> Outcome:
        around = self.around
        task, pipeline = self._definition()
        if self.run.carried is not None:
            if self.run.carried.get("pipeline") != _digest(pipeline):
                raise StepError(f"the pipeline '{pipeline.name}' was changed while the run was at work: run it again")
            self.state = PipelineState.from_json(legs.unpack(self.services, self.run.carried, workspace))
            legs.forget(self.services, self.run.carried)
        args = ready_arguments(self.services, task.parameters, self.run, workspace)
        ends_at = time.monotonic() + timeout
        self.handle = handle = LiveRun(self.run, args, around.progress, workspace, ends_at, around.interrupts, around.artifacts)
        values = Values(handle, self.services.secrets, self.state)
        begun = self._position()

        def leg_due() -> bool:
            around.meter.look_at(workspace)
            # Also a leg that has hardly any time comes forward by one checkpoint: else the run would go round in circles.
            at = pipeline.steps[self.state.next] if self.state.next < len(pipeline.steps) else None
            step = getattr(at, "timeout", None) if self.state.checkpoint is None else None
            return around.clock.is_due(max(step or 0.0, self.state.expected)) and self._position() != begun

        try:
            result = run_pipeline(self.services.catalog, pipeline, handle, around.progress, self.state, values, leg_due)
        except LegOver:
            state = around.hide(self.state.to_json())
            carried = legs.pack(self.services, self.run, state, workspace)
            return Outcome("completed", carried=carried | {"pipeline": _digest(pipeline)})
        except PipelineFailed as failed:
            # Said while the output is still the run's: the stack belongs in its terminal.
            for line in failed.error["traceback"].rstrip().split("\n"):
                around.progress.line(line, "stderr")
            raise
        collect(handle, task.artifacts)
        return Outcome("completed", checked_result(result))

    def _position(self) -> tuple[int, str]:
        return self.state.next, to_json(self.state.checkpoint)

    def _definition(self) -> tuple[CatalogTask, Pipeline]:
        if self.task is None:
            raise StepError(f"there is no task '{self.run.task_id}' any more")
        pipeline = self.services.catalog.pipelines.get(self.task.pipeline)
        if pipeline is None:
            raise StepError(f"there is no pipeline '{self.task.pipeline}' any more")
        return self.task, pipeline

    def _keep_what_there_is(self) -> None:
        """The artifacts of an attempt that failed."""
        interrupts = self.around.interrupts
        if self.handle is None or self.task is None or not self.task.artifacts:
            return
        if interrupts.reason is not None:
            interrupts.over()  # its code has ended; no other attempt follows a timeout
        try:
            with interrupts.armed(self.around.clock.left) if interrupts.reason is None else interrupts.finishing():
                collect_after_failure(self.handle, self.task.artifacts, self.around.clock.ends)
        except StoppedError:
            return  # the failure is told all the same

    def _timed_out(self, error: dict[str, Any], by_lambda: bool) -> dict[str, Any]:
        if not by_lambda:
            return error | {"type": "Timeout", "message": f"timed out after {text_of(self.run.timeout)}"}
        limit = self.around.clock.limit + 1  # app.py keeps a second of it; and some went by before this began
        limit = math.ceil(limit / 60) * 60 if limit > 60 else math.ceil(limit)
        step = f"step '{error['step']}'" if error["step"] else "run"
        advice = "make it a generator that yields checkpoints, or split it"
        return error | {"type": "Timeout", "message": f"the {step} ran into Lambda's limit of {text_of(limit)}: {advice}"}


def _digest(pipeline: Pipeline) -> str:
    """Tells one way of writing a pipeline from another: a state counts its steps."""
    import hashlib

    return hashlib.sha256(pipeline.model_dump_json().encode()).hexdigest()[:16]


def checked_result(result: Any) -> Any:
    """The result, if it can be kept. Raises StepError."""
    try:
        size = len(pack([result]))
    except (TypeError, ValueError, RecursionError) as error:
        raise StepError(f"the result is not JSON: {error}") from None
    if size > MOST_RESULT:
        raise StepError(f"the result is too large to keep ({size:,} bytes deflated): write it to a file and upload that")
    return result
