"""What a module under chalicelib/tasks/ uses: `task`, `processor`, `Param`, `File`.

Decorating only remembers. Signatures are read when the catalog is compiled, so a Lambda that imports a task's module
pays nothing for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar, overload

if TYPE_CHECKING:
    import datetime

    from chalicelib.domain.handle import RunHandle

P = ParamSpec("P")
R = TypeVar("R")
C = TypeVar("C", bound=type[Any])

Function = Callable[..., Any]


@dataclass(frozen=True, kw_only=True)
class Param:
    """What the form and the validation of one parameter need beyond its type: `Annotated[str, Param(pattern=r"\\w+")]`.

    `ge` and `le` are `minimum` and `maximum`; `choices` is a list of values or a mapping of value to label and makes a select;
    `accept` is written as in an HTML input (`.csv,text/csv`).
    """

    title: str = ""
    help: str = ""
    placeholder: str = ""
    pattern: str | None = None
    min_length: int | None = None
    max_length: int | None = None
    minimum: float | str | datetime.date | None = None
    maximum: float | str | datetime.date | None = None
    ge: float | str | datetime.date | None = None
    le: float | str | datetime.date | None = None
    choices: Sequence[Any] | Mapping[Any, str] | None = None
    accept: str = ""
    max_bytes: int | None = None
    secret: bool = False
    multiline: bool = False


@dataclass(frozen=True)
class File:
    """A file argument, lying in the run's own folder. `name` is the sender's, `size` in bytes."""

    name: str
    path: Path
    size: int

    def read_bytes(self) -> bytes:
        """The whole content."""
        return Path(self.path).read_bytes()

    def read_text(self, encoding: str = "utf-8") -> str:
        """The whole content as text; a byte order mark is no part of it."""
        return Path(self.path).read_text(encoding="utf-8-sig" if encoding == "utf-8" else encoding)


@dataclass(frozen=True)
class Registered:
    """One decorated function with the options it was given."""

    function: Function
    options: dict[str, Any]


TASKS: list[Registered] = []
PROCESSORS: dict[str, type[Any]] = {}


@overload
def task(function: Callable[P, R], /) -> Callable[P, R]: ...


@overload
def task(
    *,
    id: str = ...,
    title: str = ...,
    name: str = ...,
    description: str = ...,
    category: str = ...,
    tags: Sequence[str] = ...,
    icon: str = ...,
    enabled: bool = ...,
    schedule: str | None = ...,
    every: str | float | None = ...,
    at: str | Sequence[str] = ...,
    time_zone: str | None = ...,
    start: str | None = ...,
    end: str | None = ...,
    blackouts: Sequence[Mapping[str, Any]] = ...,
    spread: str | float | None = ...,
    catch_up: Literal["latest", "all", "none"] = ...,
    catch_up_limit: int = ...,
    overlap: Literal["allow", "queue", "skip", "replace"] = ...,
    max_concurrent: int | None = ...,
    pool: str | None = ...,
    slots: int = ...,
    priority: int = ...,
    rate_limit: str | None = ...,
    depends_on: str | Sequence[str] = ...,
    paused: bool = ...,
    timeout: str | float | None = ...,
    retry_count: int = ...,
    retry: int | Mapping[str, Any] | None = ...,
    artifacts: str | Sequence[str] = ...,
    memory: int = ...,
    ephemeral_storage: int = ...,
    reserved_concurrency: int | None = ...,
    environment: Mapping[str, str] = ...,
    subnet_ids: Sequence[str] = ...,
    security_group_ids: Sequence[str] = ...,
    permissions: Sequence[Mapping[str, Any]] = ...,
    danger: str = ...,
    expensive: bool = ...,
    metadata: Mapping[str, Any] = ...,
    **more: Any,
) -> Callable[[Callable[P, R]], Callable[P, R]]: ...


def task(function: Function | None = None, /, **options: Any) -> Any:
    """Make a task of a function; its id is the function's name, its parameters are the function's own.

    Options are the keys of a task in YAML; `except`, which Python keeps for itself, is `blackouts`. `timeout`, `every` and `spread`
    are durations (`30m`) or seconds, `memory` and `ephemeral_storage` MB. The function stays what it is and can be called as
    before. Wrong options are told when the catalog is compiled, all of them at once.
    """

    def register(function: Function) -> Function:
        TASKS.append(Registered(function, options))
        return function

    return register if function is None else register(function)


def processor(name: str) -> Callable[[C], C]:
    """Make a kind of step, `- name: {config}` in YAML, of a pydantic model that can be called with the run.

    Raises ValueError for a name that another class has.
    """

    def register(cls: C) -> C:
        known = PROCESSORS.get(name)
        if known is not None and (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
            raise ValueError(f"there is a processor '{name}' already: {known.__module__}.{known.__qualname__}")
        PROCESSORS[name] = cls
        return cls

    return register


def call_task(function: Function, run: RunHandle, args: Mapping[str, Any]) -> Any:
    """Call a task's function with validated JSON arguments, each as the type that its annotation names.

    File arguments are `{"name", "path", "size"}` of a file on disk. What is not among `args` keeps the function's
    default, and is None where it has none.
    """
    from chalicelib.catalog.signature import read_signature

    signature = read_signature(function)
    keywords: dict[str, Any] = {} if signature.run is None else {signature.run: run}
    for argument in signature.arguments:
        value = args.get(argument.name)
        if value is not None:
            keywords[argument.name] = argument.convert(value)
        elif not argument.has_default:
            keywords[argument.name] = None
    return function(**keywords)
