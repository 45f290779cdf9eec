"""The handle that a running attempt gives to its code."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Literal

from chalicelib.domain.errors import StoppedError
from chalicelib.domain.handle import Level, RunHandle
from chalicelib.domain.run import RunRecord
from chalicelib.engine.progress import Progress


class LiveRun(RunHandle):
    """Streams what is said into the run's events."""

    def __init__(self, run: RunRecord, args: dict[str, Any], progress: Progress, workspace: Path, ends_at: float) -> None:
        super().__init__(run.id, run.task_id, args)
        self.attempt = run.attempt
        self.workspace = workspace
        self.stopping = False
        self._progress = progress
        self._ends_at = ends_at

    def log(self, text: str, level: Level = "info") -> None:
        for line in text.split("\n"):
            self._progress.line(line, "log", level=level)

    def write(self, text: str, stream: Literal["stdout", "stderr"] = "stdout") -> None:
        self._progress.line(text, stream)

    def progress(self, fraction: float, message: str = "") -> None:
        self._progress.report(fraction, message)

    def check_stopped(self) -> None:
        if self.stopping:
            raise StoppedError("stopped")

    def remaining(self) -> float:
        return max(0.0, self._ends_at - time.monotonic())
