"""What a task's code holds in its hands while it runs. `from chalicelib import Run` gives this class."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Literal

from chalicelib.domain.artifacts import artifact_of
from chalicelib.domain.clock import now_ms

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
        self.trigger: str = "manual"  # why the run exists: schedule, manual, api, dependency or retry
        self.created_at = now_ms()  # epoch milliseconds, as fire_at
        self.fire_at: int | None = None  # the scheduled instant that the run is for
        self.outputs: dict[str, Any] = {}  # what each finished step gave, by the step's name
        self.previous: dict[str, Any] = {}  # what the step before gave
        self.failure: dict[str, Any] | None = None  # the error of the step that failed: {type, message, step}
        self.checkpoint: Any = None  # what this step yielded last, when it goes on in another Lambda; None: it begins
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

    def add_secret(self, text: str) -> None:
        """Hide a text from now on in everything that the run says and keeps."""

    def mask(self, text: str) -> str:
        """The text without the secrets known so far. Only who cuts a text in pieces has to ask; what is said is masked anyway."""
        return text

    def remaining(self) -> float:
        """Seconds until this run's timeout."""
        return float("inf")

    def artifact(self, path: Path | str, name: str | None = None, content_type: str | None = None) -> dict[str, Any]:
        """Keep a file of the workspace with the run, to be downloaded when it is over; `{name, path, bytes, content_type, sha256}`.

        Without a name it is the file's own; the same name again replaces what was kept. Raises StepError for what is no file of the
        workspace. Without an engine nothing is kept, only checked.
        """
        return artifact_of(self.workspace, path, name, content_type)[1]

    def limited(self, seconds: float) -> AbstractContextManager[None]:
        """Within: StepTimeoutError ends the code when so many seconds are over. May be nested, also in another thread."""
        return nullcontext()

    def finishing(self) -> AbstractContextManager[None]:
        """Within: a stop or timeout that has come already does not interrupt again, so that things can be put in order, soon."""
        return nullcontext()
