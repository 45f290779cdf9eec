"""What a task's code holds in its hands while it runs. `from chalicelib import Run` gives this class."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

Level = Literal["debug", "info", "warning", "error"]


class RunHandle:
    """One running attempt, as the code of a task or processor sees it.

    The engine's own handle (engine/context.py) streams what is said here into the run's events; this base says it on the
    console, so that a task's function can be called and tested like any other.
    """

    def __init__(self, run_id: str = "local", task_id: str = "local", args: dict[str, Any] | None = None) -> None:
        self.id = run_id
        self.task_id = task_id
        self.args = args or {}
        self.attempt = 1
        self.outputs: dict[str, Any] = {}  # what each finished step gave, by the step's name
        self.previous: dict[str, Any] = {}  # what the step before gave
        self.failure: dict[str, Any] | None = None  # the error of the step that failed: {type, message, step}
        self.workspace: Path = Path.cwd()  # a folder of this run alone; relative paths of steps are meant in it

    def log(self, text: str, level: Level = "info") -> None:
        """Say one line. Several lines in `text` become several."""
        print(text)

    def write(self, text: str, stream: Literal["stdout", "stderr"] = "stdout") -> None:
        """Say one line of a stream, as a child process or print said it (no line end)."""
        print(text)

    def progress(self, fraction: float, message: str = "") -> None:
        """How far the work is: 0.0 to 1.0, and what it is at."""

    def check_stopped(self) -> None:
        """Raise StoppedError if somebody pressed stop. Pure Python code is interrupted without asking."""

    def remaining(self) -> float:
        """Seconds until this run's timeout."""
        return float("inf")
