"""The processor `exec`."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

from pydantic import Field, model_validator

from chalicelib.catalog.decorators import processor
from chalicelib.domain.errors import StepError, TransientError
from chalicelib.domain.handle import RunHandle
from chalicelib.processors.base import Processor
from chalicelib.processors.children import MARKER, end_all
from chalicelib.processors.output import Output
from chalicelib.processors.paths import Location, find_folder


@processor("exec")
class Exec(Processor):
    """Runs a command and streams what it prints, line by line.

    The command finds the run in its environment: NIGHTSHIFT_RUN_ID, NIGHTSHIFT_TASK_ID, NIGHTSHIFT_ATTEMPT, and each
    argument of the run as NIGHTSHIFT_ARG_NAME. Whatever it has started ends with it, also when the run is stopped.
    """

    command: list[str] | str = Field(min_length=1, description="Program and arguments; with `shell: true` one line of sh")
    shell: bool = Field(False, description="Let /bin/sh run the line: pipes, wildcards, variables")
    cwd: Location | None = Field(None, description="Folder to run in; default: the run's workspace")
    env: dict[str, str | int | float] = Field({}, description="Variables beside those of the function")
    ok_codes: list[int] = Field([0], description="Exit codes that mean success")
    # 75 is EX_TEMPFAIL of sysexits.h: "temporary failure, user is invited to retry".
    transient_codes: list[int] = Field([75], description="Exit codes that are worth another attempt")

    @model_validator(mode="after")
    def _command_fits_shell(self) -> Self:
        if self.shell and not isinstance(self.command, str):
            raise ValueError("with shell: true the command is one text, like command: 'du -s * | sort -n'")
        if not self.shell and isinstance(self.command, str):
            raise ValueError("without shell: true the command is a list, like command: [df, -h]")
        return self

    def __call__(self, run: RunHandle) -> dict[str, Any]:
        """Output: exit_code, lines (of both streams). StepError or TransientError for a code not among `ok_codes`."""
        folder = find_folder(run, self.cwd) if self.cwd else run.workspace
        marker = uuid4().hex
        process: subprocess.Popen[bytes] | None = None
        output = Output(run)
        try:
            process = self._start(folder, self._environment(run) | {MARKER: marker})
            output.stream(process)
        finally:
            # By the marker too: a stop can come between the start and the assignment.
            left_behind = end_all(process, marker)
            output.finish()
        if left_behind:
            run.log(f"ended {left_behind} processes that the command had left behind", level="warning")
        self._judge(process.returncode, output.last_error)
        return {"exit_code": process.returncode, "lines": output.count}

    def _start(self, folder: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
        argv = ["/bin/sh", "-c", self.command] if isinstance(self.command, str) else self.command
        try:
            return subprocess.Popen(
                argv,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                start_new_session=True,
            )
        except FileNotFoundError as error:
            raise StepError(f"there is no command '{argv[0]}' here") from error
        except (OSError, ValueError) as error:
            raise StepError(f"'{argv[0]}' cannot be run: {getattr(error, 'strerror', None) or error}") from error

    def _environment(self, run: RunHandle) -> dict[str, str]:
        arguments = {
            f"NIGHTSHIFT_ARG_{name.upper()}": str(value["path"] if isinstance(value, dict) and "path" in value else value)
            for name, value in run.args.items()
            if value is not None
        }
        return {
            "PYTHONUNBUFFERED": "1",  # Python keeps back what it prints into a pipe, and the run would look dead
            **os.environ,
            "NIGHTSHIFT_RUN_ID": run.id,
            "NIGHTSHIFT_TASK_ID": run.task_id,
            "NIGHTSHIFT_ATTEMPT": str(run.attempt),
            **arguments,
            **{name: str(value) for name, value in self.env.items()},
        }

    def _judge(self, code: int, last_error: str) -> None:
        if code in self.ok_codes:
            return
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        shown = self.command if isinstance(self.command, str) else " ".join(self.command)
        shown = shown if len(shown) <= 80 else shown[:79] + "…"
        kind = TransientError if code in self.transient_codes else StepError
        raise kind(f"`{shown}` {how}" + (f": {last_error}" if last_error else ""))
