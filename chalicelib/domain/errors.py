"""Every error of Nightshift, drawn as one tree, and the one table that turns it into HTTP.

NightshiftError
├── NotFoundError           UnknownTaskError  UnknownRunError  UnknownArtifactError
├── ConflictError           NothingToStopError  TaskDisabledError  RunFinishedError  RunNotFinishedError  KeyReusedError
├── ChangedMeanwhileError   the state that a change was made on is not the state any more
├── InvalidError            InvalidArgumentsError  InvalidRequestError  InvalidCursorError
├── UnauthorizedError
├── ForbiddenError
├── RateLimitedError
├── DefinitionErrors        a task, pipeline or processor is written wrongly
├── SettingsError           a TASK_* variable or a key of `task:` is wrong
├── StepError               a step cannot do its work (permanent)
├── TransientError          worth another attempt
│   └── StepTimeoutError    a step took longer than its own timeout
├── NewerFormatError        an item was written by a newer release: this code must not touch it
└── FenceLostError          a newer attempt owns the run: this process must not write any more
StoppedError (BaseException) raised inside a run's code when somebody pressed stop
└── TimedOutError           the same, when its timeout is over
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class FieldError:
    """One wrong field: its name (dotted for nested ones) and what would be right."""

    field: str
    message: str


class NightshiftError(Exception):
    """Something Nightshift can say in one sentence."""

    def __init__(self, message: str, errors: list[FieldError] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.errors = errors or []


class NotFoundError(NightshiftError):
    """Nothing of that name."""


class UnknownTaskError(NotFoundError):
    """There is no such task."""

    def __init__(self, task_id: str) -> None:
        super().__init__(f"there is no task '{task_id}'")


class UnknownRunError(NotFoundError):
    """There is no such run, or it is older than the retention."""

    def __init__(self, run_id: str) -> None:
        super().__init__(f"there is no run '{run_id}'")


class UnknownArtifactError(NotFoundError):
    """The run keeps no file of that name."""

    def __init__(self, run_id: str, name: str) -> None:
        super().__init__(f"run '{run_id}' has no artifact '{name}'")


class ConflictError(NightshiftError):
    """Right in itself, but not in the state things are in."""


class NothingToStopError(ConflictError):
    """None of the task's runs is active."""


class TaskDisabledError(ConflictError):
    """A disabled task starts no runs."""


class RunFinishedError(ConflictError):
    """The run has ended already."""


class RunNotFinishedError(ConflictError):
    """The run has not ended yet."""


class KeyReusedError(ConflictError):
    """The Idempotency-Key was used before, with other arguments."""


class ChangedMeanwhileError(NightshiftError):
    """If-Match names another state than there is."""


class InvalidError(NightshiftError):
    """The request says something that cannot be; `errors` name the fields."""


class InvalidArgumentsError(InvalidError):
    """Arguments do not fit the task's parameters."""


class InvalidRequestError(InvalidError):
    """Body, query or header is malformed."""


class InvalidCursorError(InvalidError):
    """The cursor is not one that a list of this kind gave out."""


class UnauthorizedError(NightshiftError):
    """No token, or an unknown one."""


class ForbiddenError(NightshiftError):
    """Known, but not allowed."""


class RateLimitedError(NightshiftError):
    """Too many starts; `retry_after` in seconds."""

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class SettingsError(NightshiftError):
    """A setting is unknown or malformed; the message names it."""


class StepError(NightshiftError):
    """A step cannot do its work, and trying again would not help."""


class TransientError(NightshiftError):
    """A step failed for a passing reason; another attempt may succeed."""


class StepTimeoutError(TransientError):
    """A step took longer than its own `timeout`; the run's time is not over yet."""


class NewerFormatError(NightshiftError):
    """An item was written by a newer release than this code's."""


class FenceLostError(NightshiftError):
    """A newer attempt owns the run, or it has ended: nothing of this one may be written."""


class StoppedError(BaseException):
    """Raised inside a run's code when it is stopped; not an Exception, so `except Exception` does not swallow it."""


class TimedOutError(StoppedError):
    """Raised inside a run's code when its time is over."""


@dataclass(frozen=True)
class Problem:
    """One wrong place in a definition. `line` counts from 1; None where a file has no lines to show."""

    file: str
    line: int | None
    key: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.key}: {self.message}" + (f" ({self.hint})" if self.hint else "")


class DefinitionErrors(NightshiftError):
    """Every wrong place in the definitions, not the first alone."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(str(p) for p in problems))
        self.problems = problems


HTTP_STATUS: dict[type[NightshiftError], int] = {
    InvalidCursorError: 400,
    InvalidRequestError: 400,
    UnauthorizedError: 401,
    ForbiddenError: 403,
    NotFoundError: 404,
    ConflictError: 409,
    ChangedMeanwhileError: 412,
    InvalidError: 422,
    DefinitionErrors: 422,
    RateLimitedError: 429,
}


def http_status(error: NightshiftError) -> int:
    """The HTTP status of an error: the table's entry for its nearest ancestor, else 500."""
    for kind in type(error).__mro__:
        if kind in HTTP_STATUS:
            return HTTP_STATUS[kind]
    return 500
