"""What a task's Lambda does: claim the run, work through its pipeline, end it, hand its slots on."""

from __future__ import annotations

import os
import time
import uuid
from typing import Any

from chalicelib.domain.durations import text_of
from chalicelib.domain.errors import FenceLostError, StoppedError, UnknownTaskError
from chalicelib.domain.model import CatalogTask
from chalicelib.domain.pipeline_state import PipelineState
from chalicelib.domain.retry import delay, is_worth, policy_of
from chalicelib.domain.run import RunRecord, Status
from chalicelib.engine.arguments import secrets_of
from chalicelib.engine.artifacts import Artifacts
from chalicelib.engine.attempt import Attempt, Outcome
from chalicelib.engine.ending import close, end, final_events, tell
from chalicelib.engine.interrupts import Interrupts
from chalicelib.engine.legs import LegClock
from chalicelib.engine.pipeline import cut
from chalicelib.engine.progress import Progress
from chalicelib.engine.publisher import LEASE_MS, MOST_LEFT, Publisher
from chalicelib.engine.services import Services
from chalicelib.engine.slots import hand_on, invoke_run
from chalicelib.engine.usage import Meter
from chalicelib.store import runs
from chalicelib.store.closing import Ending

SHORT_BACKOFF = 30.0  # seconds; a longer one gives the slot back and queues again
FRESH_SHARE = 0.8  # of a Lambda's limit that the next attempt in it is to have, if its timeout allows it that long
EXIT_FORCED = 70


def run_task(services: Services, run_id: str, attempt: int, seconds_left: float, leg: int = 1) -> None:
    """Run one leg of an attempt, and further attempts after short waits. `seconds_left` until Lambda ends this process.

    A message that comes twice, or late, finds the run claimed or over and does nothing; but the slots of a run that was over before
    it began go on from here.
    """
    claimant = uuid.uuid4().hex
    asked, now = time.monotonic(), services.now()
    run, mine = runs.claim(services.table, run_id, attempt, claimant, now, now + LEASE_MS, leg)
    if mine:
        _Process(services, run, claimant, asked, seconds_left).work()
    elif run.terminal:
        hand_on(services, run)


class _Process:
    """A claimed run at work in this process."""

    def __init__(self, services: Services, run: RunRecord, claimant: str, asked: float, seconds_left: float) -> None:
        self.services, self.run, self.claimant = services, run, claimant
        # A task of the code is what the code says; only one made at run time has to be asked for.
        self.task = services.catalog.tasks.get(run.task_id) or _made_at_run_time(services, run.task_id)
        parameters = self.task.parameters if self.task else []
        self.policy = self.task.retry_policy if self.task else policy_of(None, run.retry_count)
        self.progress = Progress(services.settings.buffer_size, run.seq, secrets_of(parameters, run.args))
        self.hide = self.progress.masker.hide_in
        self.interrupts = Interrupts(self.progress, self._force_end)
        self.publisher = Publisher(services, run, self.progress, self.interrupts.request, asked)
        self.clock = LegClock.starting(seconds_left)
        self.artifacts = Artifacts(services, run.id, run.artifacts)
        carried = run.carried or {}
        self.meter = Meter(carried.get("usage"))
        self.began: int = carried.get("began") or services.now()  # the attempt, epoch ms
        self.attempt: Attempt | None = None

    @property
    def state(self) -> PipelineState:
        """What the attempt at hand has come to."""
        return self.attempt.state if self.attempt else PipelineState()

    def work(self) -> None:
        """All of it."""
        if self.services.settings.log_task_execution:
            self.services.log.info("run begins", extra={"attempt": self.run.attempt, "leg": self.run.leg})
        if self.run.stop_requested:
            self.interrupts.request("stop")
        self.publisher.start()
        try:
            while True:
                self.attempt = Attempt(self.services, self.run, self.task, self)
                outcome = self.attempt.work()
                if outcome.carried is not None:
                    self._next_leg(outcome.carried)
                    return
                if outcome.status != "failed" or not self._try_again(outcome):
                    break
            self._end(outcome)
        except FenceLostError as lost:
            self.publisher.finish()
            self.services.log.warning(str(lost))
        finally:
            self.interrupts.over()

    def _next_leg(self, carried: dict[str, Any]) -> None:
        """Everything that was said is published, then the fence moves on, then the next process is called."""
        self._publish_all()
        run = self.run
        more = {"began": self.began, "usage": self.meter.read()}
        now = self.services.now()
        runs.next_leg(self.services.table, run, carried | more, now, now + LEASE_MS, self.artifacts.list())
        invoke_run(self.services, run.id, run.task_id, run.attempt, run.leg + 1)

    def _try_again(self, failed: Outcome) -> bool:
        """Whether another attempt follows in this process. One that has to wait for long is queued, and this process is done."""
        worth = failed.cause is not None and is_worth(self.policy, failed.cause)
        if not worth or self.run.attempt > self.run.retry_count or self.interrupts.reason is not None:
            return False
        wait = delay(self.policy, self.run.attempt)
        record = self._record("failed", failed.error)
        says = f"attempt {self.run.attempt} of {self.run.retry_count + 1} failed: {(failed.error or {}).get('message', '')}"
        self.progress.line(self.hide(f"{says}; trying again in {text_of(wait)}"), "log", level="warning")
        if wait > SHORT_BACKOFF or wait + 1 > self.clock.left:
            self._queue_again(record, wait)
        try:
            with self.interrupts.armed(self.clock.left):
                time.sleep(wait)
        except StoppedError:
            return True  # the next attempt ends at once, for the reason that is noted
        if self.clock.left < min(self.run.timeout, FRESH_SHARE * self.clock.limit):
            self._again_in_a_fresh_process(record)
        self.publisher.next_attempt(record, self.artifacts.list())
        self.began = self.services.now()
        return True

    def _queue_again(self, record: dict[str, Any], wait: float) -> None:
        from chalicelib.engine.requeue import queue_again

        self._publish_all("queued")
        queue_again(self.services, self.run, record, self.services.now() + int(wait * 1000), self.artifacts.list())
        raise FenceLostError(f"run {self.run.id} is queued for attempt {self.run.attempt + 1}")

    def _again_in_a_fresh_process(self, record: dict[str, Any]) -> None:
        from chalicelib.engine.requeue import retry_now

        self._publish_all("queued")
        retry_now(self.services, self.run, record, self.artifacts.list())
        raise FenceLostError(f"run {self.run.id} goes on elsewhere with attempt {self.run.attempt + 1}")

    def _publish_all(self, status: str | None = None) -> None:
        """The last that this process says of a run that goes on elsewhere. Raises FenceLostError."""
        self.interrupts.over()
        if status:
            self.progress.say("status", status=status, attempt=self.run.attempt + 1)
        self.publisher.finish()
        if self.publisher.lost:
            raise FenceLostError(f"run {self.run.id} is somebody else's by now")
        self.publisher.flush_rest()

    def _end(self, outcome: Outcome) -> None:
        self.interrupts.over()  # its code has ended: what is left must not be cut short
        self.publisher.finish()
        if self.publisher.lost:
            return
        self.publisher.flush_rest(MOST_LEFT)
        at = self.services.now()
        status, error = outcome.status, self.hide(outcome.error)
        events = final_events(self.run, status, at, [*self.run.tail, *self.progress.take_all()], error)
        ending = Ending(
            status=status,
            at=at,
            events=events,
            result=self.hide(outcome.result),
            error=error,
            steps=self.hide(self.state.steps),
            usage=self.meter.read(),
            attempt=self._record(status, error),
            progress=self.progress.fraction,
            artifacts=self.artifacts.list(),
            warnings=self.hide(self.state.warnings),
            partial=status == "completed" and self.state.partial,
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
        record = {
            "attempt": self.run.attempt,
            "status": status,
            "started_at": self.began,
            "finished_at": self.services.now(),
            "error": self.hide(short),
        }
        return record | ({"legs": self.run.leg} if self.run.leg > 1 else {})

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
                ending = Ending(status, at, events, error=error, attempt=self._record(status, error))
                ending.steps, ending.artifacts = self.hide(self.state.steps), self.artifacts.list()
                close(self.services, self.run, ending, self.claimant)
        finally:
            os._exit(EXIT_FORCED)


def _made_at_run_time(services: Services, task_id: str) -> CatalogTask | None:
    try:
        return services.registry.task(task_id)
    except UnknownTaskError:
        return None
