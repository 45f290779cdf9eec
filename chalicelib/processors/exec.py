"""The processor `exec`."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from pathlib import Path
from typing import Annotated, Any, Self
from uuid import uuid4

from pydantic import BeforeValidator, Field, StringConstraints, ValidationInfo, WithJsonSchema, field_validator, model_validator

from chalicelib.catalog.decorators import processor
from chalicelib.domain.errors import StepError, TransientError
from chalicelib.domain.handle import RunHandle
from chalicelib.processors.base import Processor
from chalicelib.processors.children import MARKER, end_all
from chalicelib.processors.output import Output
from chalicelib.processors.paths import Location, find_folder

# References to what somebody else may have written. `run.…` and `env.…` are the author's own.
_DATA = re.compile(r"\$\{\s*((?:args|steps|previous|item|vars|error|secret)\b[^{}|]*|(?!run\.|env\.)\w+[.\[][^{}]*)[^{}]*\}")


def _argument(value: Any) -> Any:
    """Numbers and yes-or-no as text, as a reference to an argument of the run may give them."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else value


Argument = Annotated[str, BeforeValidator(_argument), WithJsonSchema({"type": ["string", "number", "boolean"]})]
VariableName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_]\w*$")]


@processor("exec")
class Exec(Processor):
    """Runs a command and streams what it prints, line by line.

    The command finds the run in its environment: NIGHTSHIFT_RUN_ID, NIGHTSHIFT_TASK_ID, NIGHTSHIFT_ATTEMPT, and each
    argument of the run as NIGHTSHIFT_ARG_NAME. Whatever it has started ends with it, also when the run is stopped.

    Each element of `command` is one argument, whatever a value in it says; a program may still take one that begins with `-`
    for an option, so put `--` before it. A shell line takes values by `env` only.
    """

    command: list[Argument] | str = Field(
        min_length=1,
        description="Program and arguments; with `shell: true` one line of sh",
        examples=[["pg_dump", "--file=shop.sql", "shop"], "du -s * | sort -n"],
    )
    shell: bool = Field(False, description="Let /bin/sh run the line: pipes, wildcards, variables")
    cwd: Location | None = Field(None, description="Folder to run in; default: the run's workspace")
    env: dict[VariableName, Argument | None] = Field(
        {}, description="Variables beside those of the function; null leaves one out", examples=[{"PGHOST": "db.example"}]
    )
    ok_codes: list[int] = Field([0], description="Exit codes that mean success")
    # 75 is EX_TEMPFAIL of sysexits.h: "temporary failure, user is invited to retry".
    transient_codes: list[int] = Field([75], description="Exit codes that are worth another attempt")

    # At `shell`, not at `command`: a fault of a value with references in it would wait until they are resolved.
    @field_validator("shell")
    @classmethod
    def _runs_no_values(cls, shell: bool, info: ValidationInfo) -> bool:
        command = info.data.get("command")
        if shell and isinstance(command, str) and (found := _DATA.search(command)):
            # Whatever stood there would become part of the script: `; rm -rf ~` as well.
            name = re.sub(r"\W+", "_", found[1]).upper().strip("_").removeprefix("ARGS_")
            raise ValueError(
                f"a shell line with {found[0]} in it would run what the value says: pass it by env, like "
                f'env: {{{name}: "{found[0]}"}}, and write "${name}" in the line'
            )
        return shell

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

    def describe(self, run: RunHandle) -> str:
        """What it would do."""
        return f"runs `{self._shown()}`" + (f" in '{self.cwd}'" if self.cwd else "")

    def _shown(self) -> str:
        shown = self.command if isinstance(self.command, str) else " ".join(self.command)
        return shown if len(shown) <= 80 else shown[:79] + "…"

    def _start(self, folder: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
        argv = ["/bin/sh", "-c", self.command] if isinstance(self.command, str) else list(self.command)
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
            **{name: value for name, value in self.env.items() if value is not None},
        }

    def _judge(self, code: int, last_error: str) -> None:
        if code in self.ok_codes:
            return
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        shown = self._shown()
        kind = TransientError if code in self.transient_codes else StepError
        raise kind(f"`{shown}` {how}" + (f": {last_error}" if last_error else ""))
