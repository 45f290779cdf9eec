"""Steps that decide about steps: what `if`, `for_each`, `parallel` and `set` are made of."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeVar

from chalicelib.domain.errors import NightshiftError, StepError
from chalicelib.domain.handle import RunHandle
from chalicelib.domain.model import Step
from chalicelib.domain.retry import is_transient
from chalicelib.processors.base import Processor

K = TypeVar("K")
Checkpoints = Generator[Any, None, Any]
"""Yields JSON that the work can be gone on with from, UnderWay or as it is; and returns the output."""

OnFailure = Literal["fail", "ignore", "collect"]
ON_FAILURE = "fail: end the others; collect: let them finish, then fail with every failure; ignore: go on, as a partial success"


class StepFailed(Exception):
    """A step within failed; `error` is `{type, message, step, traceback}`, `cause` what it raised."""

    def __init__(self, error: dict[str, Any], cause: BaseException) -> None:
        super().__init__(error["message"])
        self.error, self.cause = error, cause

    @property
    def brief(self) -> str:
        """Type and message in one line."""
        return f"{self.error['type']}: {self.error['message']}"

    @property
    def summary(self) -> dict[str, Any]:
        """The error without its traceback."""
        return {key: self.error[key] for key in ("type", "message", "step")}


class SeveralFailedError(NightshiftError):
    """More than one part of a step failed; the message lists them."""


@dataclass(frozen=True)
class UnderWay:
    """A checkpoint at a moment when the work must not be left: threads are at it."""

    checkpoint: Any


@dataclass(frozen=True)
class Inner:
    """A list of steps within a step, to be run once."""

    steps: list[Step]
    path: tuple[str, ...] = ()  # what stands between the step's name and theirs: a branch, an iteration
    local: Mapping[str, Any] = field(default_factory=dict)  # what only they can refer to
    saved: Any = None  # what it yielded last, when it goes on in another Lambda
    part_of: int = 1  # of how many of the kind it is one: their progress is the step's progress


class Flow(Protocol):
    """What the engine does for such a step."""

    def holds(self, condition: Any) -> bool:
        """Whether a condition holds here and now. Raises StepError where that cannot be said."""

    def run(self, inner: Inner) -> Generator[Any, None, dict[str, Any]]:
        """Runs the steps in order. Yields checkpoints (`Inner.saved`), returns their outputs by name. Raises StepFailed."""

    def together(self, inners: Mapping[K, Inner], most: int) -> Generator[tuple[K, dict[str, Any] | StepFailed], None, None]:
        """Runs several in threads, `most` at a time; each one's outputs or failure as it ends, in that order.

        Closing the generator, or an exception, ends those under way and waits for them. When this Lambda's time is nearly over no
        more are begun, and the generator ends early.
        """

    def has_done(self, count: int) -> None:
        """So many of `Inner.part_of` were done in an earlier Lambda."""

    def warn(self, failure: StepFailed) -> None:
        """The run goes on in spite of this failure, and is a partial success."""

    def set_variables(self, values: Mapping[str, Any]) -> None:
        """What `${vars.NAME}` stands for from now on."""


class Control(Processor):
    """A step that holds or steers others. `run` is the handle that any step gets."""

    @classmethod
    def keeps(cls, config: Mapping[str, Any]) -> Iterable[str]:
        """The keys whose values are kept with the run when it goes on in another Lambda, where no secret may be."""
        return ()

    def control(self, run: RunHandle, flow: Flow) -> Checkpoints:
        """Do it."""
        raise NotImplementedError

    def __call__(self, run: RunHandle) -> Any:
        """Such a step needs the engine around it."""
        raise StepError(f"{type(self).__name__} works within a pipeline only")


def wrapped(inner: Generator[Any, None, dict[str, Any]], wrap: Callable[[Any], Any]) -> Generator[Any, None, dict[str, Any]]:
    """The same generator, its checkpoints within the outer step's."""
    try:
        while True:
            try:
                position = next(inner)
            except StopIteration as end:
                return dict(end.value)
            yield UnderWay(wrap(position.checkpoint)) if isinstance(position, UnderWay) else wrap(position)
    finally:
        inner.close()


def several_failed(failures: Mapping[str, StepFailed], count: int, what: str) -> BaseException:
    """One exception for all of them; the one that another try would help least is its cause."""
    told = "; ".join(f"{name}: {failure.brief}" for name, failure in failures.items())
    error = SeveralFailedError(f"{len(failures)} of {count} {what} failed: {told}")
    causes = [failure.cause for failure in failures.values()]
    error.__cause__ = max(causes, key=lambda cause: (isinstance(cause, StepError), not is_transient(cause)))
    return error
