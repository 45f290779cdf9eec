"""A pipeline tried out in this process: no table, no lease, nothing kept. For a person who is writing it."""

from __future__ import annotations

import hashlib
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from chalicelib.domain.clock import iso, now_ms
from chalicelib.domain.durations import text_of
from chalicelib.domain.errors import NightshiftError, StoppedError, TimedOutError
from chalicelib.domain.ids import new_run_id
from chalicelib.domain.model import Catalog, CatalogTask, Pipeline
from chalicelib.domain.pipeline_state import PipelineState
from chalicelib.domain.run import Event, RunRecord, Status
from chalicelib.engine.arguments import ready_arguments, secrets_of
from chalicelib.engine.artifacts import Artifacts, collect
from chalicelib.engine.context import LiveRun
from chalicelib.engine.interrupts import Interrupts
from chalicelib.engine.output import captured_output
from chalicelib.engine.pipeline import PipelineFailed, error_of, run_pipeline
from chalicelib.engine.progress import OWN_WORDS, Progress
from chalicelib.engine.values import Values

Show = Callable[[Event], None]


@dataclass
class Trial:
    """What is tried: a pipeline of the catalog with a run's arguments. `secret` fetches one by its name; `timeout` in seconds."""

    catalog: Catalog
    pipeline: Pipeline
    task: CatalogTask | None
    args: dict[str, Any]
    secret: Callable[[str], str]
    timeout: float
    workspace: Path | None = None  # None: one that is removed afterwards

    def record(self) -> RunRecord:
        """The run that it would be."""
        name = self.task.id if self.task else self.pipeline.name
        now = now_ms()
        return RunRecord(new_run_id(), name, "running", "manual", now, self.args, started_at=now, timeout=self.timeout)


@dataclass
class Outcome:
    """How it went, as a run's record would say it."""

    status: Status
    seconds: float
    result: Any = None
    error: dict[str, Any] | None = None
    steps: list[dict[str, Any]] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        shown = {"status": self.status, "duration": text_of(round(self.seconds, 3)), "result": self.result}
        return {**shown, "error": self.error, "steps": self.steps}


class ShownProgress(Progress):
    """Events that somebody sees at once, in place of being published."""

    def __init__(self, show: Show, secrets: list[str]) -> None:
        super().__init__(1, 0, secrets)
        self._show = show

    def say(self, kind: str, **values: Any) -> None:
        values = {name: value if name in OWN_WORDS else self.masker.hide_in(value) for name, value in values.items()}
        with self._shielded(), self._changed:
            self.seq += 1
            self._show({"seq": self.seq, "at": iso(now_ms()), "type": kind, **values})


def run_trial(trial: Trial, show: Show) -> Outcome:
    """Run it, and tell `show` each event. SIGINT stops it as the stop button would; a second one raises KeyboardInterrupt."""
    run = trial.record()
    progress = ShownProgress(show, secrets_of(trial.task.parameters if trial.task else [], trial.args))
    interrupts = Interrupts(progress, _end_at_once)
    state = PipelineState()
    began = time.monotonic()
    try:
        with _workspace(trial.workspace) as workspace, _stopped_by_sigint(interrupts):
            try:
                result = _work(trial, run, progress, interrupts, state, workspace)
                outcome = Outcome("completed", 0.0, result)
            except PipelineFailed as failed:
                stopped = interrupts.reason == "stop"
                late = isinstance(failed.cause, TimedOutError)
                error = failed.error | ({"type": "Timeout", "message": f"timed out after {text_of(trial.timeout)}"} if late else {})
                outcome = Outcome("stopped", 0.0) if stopped else Outcome("failed", 0.0, error=error)
            except StoppedError as ended:
                error = error_of(ended, None, progress.masker.hide)
                outcome = Outcome("failed", 0.0, error=error) if isinstance(ended, TimedOutError) else Outcome("stopped", 0.0)
            except Exception as failed:
                outcome = Outcome("failed", 0.0, error=error_of(failed, None, progress.masker.hide))
    finally:
        interrupts.over()
    hide = progress.masker.hide_in
    seconds = time.monotonic() - began
    return Outcome(outcome.status, seconds, hide(outcome.result), hide(outcome.error), hide(state.steps))


def _work(trial: Trial, run: RunRecord, progress: Progress, interrupts: Interrupts, state: PipelineState, workspace: Path) -> Any:
    from chalicelib.engine.attempt import checked_result

    # Files come with their content here: no bucket is asked.
    args = ready_arguments(cast(Any, None), trial.task.parameters if trial.task else [], run, workspace)
    with captured_output(progress), interrupts.armed(trial.timeout):
        ends_at = time.monotonic() + trial.timeout
        handle = LiveRun(run, args, progress, workspace, ends_at, interrupts, _NothingKept(cast(Any, None), run.id, []))
        values = Values(handle, trial.secret, state)
        try:
            result = run_pipeline(trial.catalog, trial.pipeline, handle, progress, state, values)
        except PipelineFailed as failed:
            if not isinstance(failed.cause, NightshiftError):  # those say it all in their message
                for line in failed.error["traceback"].rstrip().split("\n"):
                    progress.line(line, "stderr")
            raise
        collect(handle, trial.task.artifacts if trial.task else [])
        return checked_result(result)


class _NothingKept(Artifacts):
    """Artifacts are noted, and not uploaded."""

    def keep(self, file: Path, note: dict[str, Any]) -> dict[str, Any]:
        with file.open("rb") as source:
            done = note | {"sha256": hashlib.file_digest(source, "sha256").hexdigest()}
        self._kept[note["name"]] = done
        return dict(done)


@contextmanager
def _workspace(kept: Path | None) -> Iterator[Path]:
    if kept is not None:
        kept.mkdir(parents=True, exist_ok=True)
        yield kept.resolve()
        return
    folder = Path(tempfile.mkdtemp(prefix="nightshift-trial-")).resolve()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _stopped_by_sigint(interrupts: Interrupts) -> Iterator[None]:
    before = signal.getsignal(signal.SIGINT)

    def stop(*_: object) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        interrupts.request("stop")

    signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _end_at_once() -> None:
    """Code that ends neither when told to nor when interrupted."""
    import os

    os._exit(70)
