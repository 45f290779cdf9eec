"""What a task's Lambda does: claim the run, work through its pipeline, end it, hand its slots on."""

from __future__ import annotations

import os
import random
import resource
import shutil
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

from chalicelib.domain.durations import text_of
from chalicelib.domain.errors import FenceLostError, StepError, StoppedError, TimedOutError, UnknownTaskError
from chalicelib.domain.model import CatalogTask, Pipeline
from chalicelib.domain.run import RunRecord, Status
from chalicelib.engine.arguments import hide, ready_arguments, secrets_of
from chalicelib.engine.context import LiveRun
from chalicelib.engine.ending import close, end, final_events, tell
from chalicelib.engine.interrupts import Interrupts
from chalicelib.engine.output import captured_output
from chalicelib.engine.pipeline import PipelineFailed, cut, error_of, run_pipeline
from chalicelib.engine.progress import Progress
from chalicelib.engine.publisher import LEASE_MS, MOST_LEFT, Publisher
from chalicelib.engine.services import Services
from chalicelib.engine.slots import hand_on
from chalicelib.store import runs
from chalicelib.store.closing import Ending
from chalicelib.store.codec import pack

RESERVE = 5.0  # seconds of the Lambda's own time that are kept for ending the run
BACKOFF_BASE, BACKOFF_MOST = 1.0, 300.0
SHORT_BACKOFF = 30.0  # seconds; a longer one gives the slot back and queues again
MOST_RESULT = 350_000  # bytes, deflated: an item has at most 400 KB
EXIT_FORCED = 70


def run_task(services: Services, run_id: str, attempt: int, seconds_left: float) -> None:
    """Run one attempt, and further ones after short waits. `seconds_left` until Lambda ends this process.

    A message that comes twice, or late, finds the run claimed or over and does nothing; but the slots of a run that was over before
    it began go on from here.
    """
    claimant = uuid.uuid4().hex
    asked, now = time.monotonic(), services.now()
    run, mine = runs.claim(services.table, run_id, attempt, claimant, now, now + LEASE_MS)
    if mine:
        _Attempt(services, run, claimant, asked, seconds_left).work()
    elif run.terminal:
        hand_on(services, run)


class _Attempt:
    """A claimed run at work in this process."""

    def __init__(self, services: Services, run: RunRecord, claimant: str, asked: float, seconds_left: float) -> None:
        self.services, self.run, self.claimant = services, run, claimant
        # A task of the code is what the code says; only one made at run time has to be asked for.
        self.task = services.catalog.tasks.get(run.task_id) or _made_at_run_time(services, run.task_id)
        parameters = self.task.parameters if self.task else []
        self.secrets = secrets_of(parameters, run.args)
        self.progress = Progress(services.settings.buffer_size, run.seq, self.secrets)
        self.interrupts = Interrupts(self.progress, self._force_end)
        self.publisher = Publisher(services, run, self.progress, self.interrupts.request, asked)
        self.began = services.now()
        self.lambda_ends = time.monotonic() + seconds_left - RESERVE
        self.steps: list[dict[str, Any]] = []

    def work(self) -> None:
        """All of it."""
        if self.services.settings.log_task_execution:
            self.services.log.info("run begins", extra={"attempt": self.run.attempt})
        if self.run.stop_requested:
            self.interrupts.request("stop")
        self.publisher.start()
        try:
            while True:
                outcome = self._attempt()
                if outcome[0] != "failed" or not self._try_again(outcome[2], outcome[3]):
                    break
            self._end(*outcome[:3])
        except FenceLostError as lost:
            self.publisher.finish()
            self.services.log.warning(str(lost))
        finally:
            self.interrupts.over()

    def _attempt(self) -> tuple[Status, Any, dict[str, Any] | None, bool]:
        """(status, result, error, worth trying again)."""
        self.progress.say("status", status="running", attempt=self.run.attempt)
        self.steps = []
        self.began = self.services.now()
        workspace = Path(tempfile.mkdtemp(prefix=f"nightshift-{self.run.id}-"))
        timeout = min(self.run.timeout, self.lambda_ends - time.monotonic())
        try:
            with captured_output(self.progress), self.interrupts.armed(timeout):
                return "completed", checked_result(self._pipeline(workspace, timeout)), None, False
        except PipelineFailed as failed:
            if self.interrupts.reason == "stop":
                return "stopped", None, None, False  # it made an error of its own out of being stopped
            if isinstance(failed.cause, TimedOutError):
                return "failed", None, self._timed_out(failed.error, timeout), False
            return "failed", None, failed.error, not isinstance(failed.cause, StepError)
        except TimedOutError as late:
            return "failed", None, self._timed_out(error_of(late, None), timeout), False
        except StoppedError:
            if self.interrupts.reason in ("fence", "lease"):
                raise FenceLostError(f"run {self.run.id}: {self.interrupts.reason} lost") from None
            return "stopped", None, None, False
        except Exception as failed:
            return "failed", None, error_of(failed, None), not isinstance(failed, StepError)
        finally:
            shutil.rmtree(workspace, ignore_errors=True)

    def _pipeline(self, workspace: Path, timeout: float) -> Any:
        task, pipeline = self._definition()
        args = ready_arguments(self.services, task.parameters, self.run, workspace)
        handle = LiveRun(self.run, args, self.progress, workspace, time.monotonic() + timeout)
        try:
            return run_pipeline(self.services.catalog, pipeline, handle, self.progress, self.steps)
        except PipelineFailed as failed:
            # Said while the output is still the run's: the stack belongs in its terminal.
            for line in failed.error["traceback"].rstrip().split("\n"):
                self.progress.line(line, "stderr")
            raise

    def _definition(self) -> tuple[CatalogTask, Pipeline]:
        if self.task is None:
            raise StepError(f"there is no task '{self.run.task_id}' any more")
        pipeline = self.services.catalog.pipelines.get(self.task.pipeline)
        if pipeline is None:
            raise StepError(f"there is no pipeline '{self.task.pipeline}' any more")
        return self.task, pipeline

    def _timed_out(self, error: dict[str, Any], timeout: float) -> dict[str, Any]:
        return error | {"type": "Timeout", "message": f"timed out after {text_of(timeout)}"}

    def _try_again(self, error: dict[str, Any] | None, worth: bool) -> bool:
        """Whether another attempt follows in this process. One that has to wait for long is queued, and this process is done."""
        if not worth or self.run.attempt > self.run.retry_count or self.interrupts.reason is not None:
            return False
        delay = random.uniform(0.5, 1.0) * min(BACKOFF_MOST, BACKOFF_BASE * 2 ** (self.run.attempt - 1))
        failed = self._record("failed", error)
        says = f"attempt {self.run.attempt} failed: {(error or {}).get('message', '')}; trying again in {text_of(delay)}"
        self.progress.line(hide(says, self.secrets), "log", level="warning")
        if delay > SHORT_BACKOFF or time.monotonic() + delay + 1 > self.lambda_ends:
            self._queue_again(failed, delay)
            return False
        try:
            with self.interrupts.armed(self.lambda_ends - time.monotonic()):
                time.sleep(delay)
        except StoppedError:
            return True  # the next attempt ends at once, for the reason that is noted
        self.publisher.next_attempt(failed)
        return True

    def _queue_again(self, failed: dict[str, Any], delay: float) -> None:
        from chalicelib.engine.requeue import queue_again

        self.interrupts.over()
        self.progress.say("status", status="queued", attempt=self.run.attempt + 1)
        self.publisher.finish()
        if self.publisher.lost:
            raise FenceLostError(f"run {self.run.id} is somebody else's by now")
        self.publisher.flush_rest()
        queue_again(self.services, self.run, failed, self.services.now() + int(delay * 1000))
        raise FenceLostError(f"run {self.run.id} is queued for attempt {self.run.attempt + 1}")

    def _end(self, status: Status, result: Any, error: dict[str, Any] | None) -> None:
        self.interrupts.over()  # its code has ended: what is left must not be cut short
        self.publisher.finish()
        if self.publisher.lost:
            return
        self.publisher.flush_rest(MOST_LEFT)
        at = self.services.now()
        error = hide(error, self.secrets)
        events = final_events(self.run, status, at, [*self.run.tail, *self.progress.take_all()], error)
        ending = Ending(
            status=status,
            at=at,
            events=events,
            result=hide(result, self.secrets),
            error=error,
            steps=hide(self.steps, self.secrets),
            usage=_usage(),
            attempt=self._record(status, error),
            progress=self.progress.fraction,
        )
        followers = end(self.services, self.run, ending, self.claimant)
        if self.services.settings.log_task_execution:
            self.services.log.info("run ends", extra={"status": status})
        hand_on(self.services, self.run)  # first: whoever waits for a slot does not wait for somebody's screen
        tell(self.services, self.run, ending, followers - self.publisher.behind())
        if status == "completed" and any(self.run.task_id in t.depends_on for t in self.services.catalog.tasks.values()):
            from chalicelib.engine.dependents import start_dependents

            start_dependents(self.services, self.run.task_id)

    def _record(self, status: str, error: dict[str, Any] | None) -> dict[str, Any]:
        short = None  # there may be a hundred of them in the run's item
        if error:
            short = {"type": error["type"], "message": cut(error["message"], 500), "step": error["step"]}
        return {
            "attempt": self.run.attempt,
            "status": status,
            "started_at": self.began,
            "finished_at": self.services.now(),
            "error": hide(short, self.secrets),
        }

    def _force_end(self) -> None:
        """The code does not end: end the run without it, and then this process; its slots are the sweeper's to hand on."""
        error = {"type": "Killed", "message": "did not end when it was told to", "step": None, "traceback": ""}
        try:
            if self.interrupts.reason in ("stop", "timeout"):
                self.publisher.finish()
                self.publisher.flush_rest(MOST_LEFT)
                status: Status = "stopped" if self.interrupts.reason == "stop" else "failed"
                at = self.services.now()
                events = final_events(self.run, status, at, [*self.run.tail, *self.progress.take_all()], error)
                ended = self._record(status, error)
                close(self.services, self.run, Ending(status, at, events, error=error, attempt=ended), self.claimant)
        finally:
            os._exit(EXIT_FORCED)


def _made_at_run_time(services: Services, task_id: str) -> CatalogTask | None:
    try:
        return services.registry.task(task_id)
    except UnknownTaskError:
        return None


def checked_result(result: Any) -> Any:
    """The result, if it can be kept. Raises StepError."""
    try:
        size = len(pack([result]))
    except (TypeError, ValueError, RecursionError) as error:
        raise StepError(f"the result is not JSON: {error}") from None
    if size > MOST_RESULT:
        raise StepError(f"the result is too large to keep ({size:,} bytes deflated): write it to a file and upload that")
    return result


def _usage() -> dict[str, Any]:
    """What this process and its children used so far. ru_maxrss is in KiB on Linux, in bytes on macOS."""
    import sys

    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    unit = 1024 * 1024 if sys.platform == "darwin" else 1024
    return {
        "cpu_seconds": round(own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime, 3),
        "peak_memory_mb": round(max(own.ru_maxrss, children.ru_maxrss) / unit, 1),
    }
