"""The handle that a running attempt gives to its code."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Literal

from chalicelib.domain.artifacts import artifact_of
from chalicelib.domain.errors import StepError
from chalicelib.domain.handle import Level, RunHandle
from chalicelib.domain.run import RunRecord
from chalicelib.engine.artifacts import Artifacts
from chalicelib.engine.interrupts import Interrupts
from chalicelib.engine.progress import Progress


class LiveRun(RunHandle):
    """Streams what is said into the run's events."""

    def __init__(
        self,
        run: RunRecord,
        args: dict[str, Any],
        progress: Progress,
        workspace: Path,
        ends_at: float,
        interrupts: Interrupts,
        artifacts: Artifacts,
    ) -> None:
        """`ends_at`: the monotonic clock at the run's timeout."""
        super().__init__(run.id, run.task_id, args)
        self.attempt, self.trigger = run.attempt, run.trigger
        self.created_at, self.fire_at = run.created_at, run.fire_at
        self.workspace = workspace
        self._progress = progress
        self._ends_at = ends_at
        self._interrupts = interrupts
        self._artifacts = artifacts

    @property
    def stopping(self) -> bool:
        """Whether somebody pressed stop, or the run is somebody else's by now."""
        return self._interrupts.stopping

    def log(self, text: str, level: Level = "info") -> None:
        for line in self.mask(text).split("\n"):  # as a whole: a secret may have several lines
            self._progress.line(line, "log", level=level)

    def write(self, text: str, stream: Literal["stdout", "stderr"] = "stdout") -> None:
        self._progress.line(text, stream)

    def progress(self, fraction: float, message: str = "") -> None:
        self._progress.report(fraction, message)

    def check_stopped(self) -> None:
        self._interrupts.check()

    def add_secret(self, text: str) -> None:
        self._progress.masker.add(text)

    def mask(self, text: str) -> str:
        return self._progress.masker.hide(text)

    def remaining(self) -> float:
        return max(0.0, min(self._ends_at, self._interrupts.limit_ends()) - time.monotonic())

    def limited(self, seconds: float) -> AbstractContextManager[None]:
        return self._interrupts.limited(seconds)

    def finishing(self) -> AbstractContextManager[None]:
        return self._interrupts.finishing()

    def artifact(self, path: Path | str, name: str | None = None, content_type: str | None = None) -> dict[str, Any]:
        taken = {kept["name"]: kept["path"] for kept in self._artifacts.list()}
        file, note = artifact_of(self.workspace, path, name, content_type, taken)
        if self.mask(note["name"] + note["path"]) != note["name"] + note["path"]:
            raise StepError("an artifact has a secret in its name: rename the file, or give it another name")
        return self._artifacts.keep(file, note)
