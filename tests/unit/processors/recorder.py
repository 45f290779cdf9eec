"""A run that remembers what it was told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from chalicelib.domain.errors import StoppedError
from chalicelib.domain.handle import RunHandle


class Recorder(RunHandle):
    """`lines` are (stream or level, text); `stop_when` is asked after each line and at each check."""

    def __init__(self, workspace: Path, **args: Any) -> None:
        super().__init__("01RUN", "some_task", args)
        self.workspace = workspace
        self.lines: list[tuple[str, str]] = []
        self.fractions: list[float] = []
        self.stop_when: Callable[[], bool] = lambda: False

    def log(self, text: str, level: str = "info") -> None:  # type: ignore[override]
        self.lines.append((level, text))

    def write(self, text: str, stream: str = "stdout") -> None:  # type: ignore[override]
        self.lines.append((stream, text))

    def progress(self, fraction: float, message: str = "") -> None:
        assert 0 <= fraction <= 1
        self.fractions.append(fraction)

    def check_stopped(self) -> None:
        if self.stop_when():
            raise StoppedError()

    def texts(self, stream: str = "stdout") -> list[str]:
        """What was said on one stream, or at one level."""
        return [text for kind, text in self.lines if kind == stream]
