"""A function's signature becomes the parameters of its task, and its arguments come back as what it is annotated with."""

from __future__ import annotations

import datetime
import enum
from pathlib import Path
from typing import Annotated, Any, Literal, NewType, Optional

import pytest
from annotated_types import Ge, Le, Len
from pydantic import Field, PositiveInt, SecretStr, StringConstraints

from chalicelib import File, Param, Run, task
from chalicelib.catalog import decorators
from chalicelib.catalog.decorators import call_task
from chalicelib.catalog.signature import read_signature
from chalicelib.domain.arguments import validate_arguments
from chalicelib.domain.model import Parameter


class Colour(enum.Enum):
    RED = "red"
    GREEN = "green"


class Size(enum.IntEnum):
    SMALL = 1
    LARGE = 2


Name = NewType("Name", str)
DAY = datetime.date(2026, 1, 31)


def parameter_of(function: Any) -> dict[str, Any]:
    """The only parameter of a function, without what is default anyway and without its name."""
    signature = read_signature(function)
    assert signature.faults == []
    [argument] = signature.arguments
    return Parameter.model_validate(argument.raw).model_dump(exclude_defaults=True, exclude={"name"})


def choices(*values: Any) -> list[dict[str, Any]]:
    return [{"value": value} for value in values]


def test_each_type_becomes_its_kind_of_field() -> None:
    def text(x: str): ...
    def whole(x: int): ...
    def number(x: float): ...
    def boolean(x: bool): ...
    def literal(x: Literal["a", "b"]): ...
    def numbers(x: Literal[1, 2]): ...
    def colour(x: Colour): ...
    def size(x: Size): ...
    def day(x: datetime.date): ...
    def file(x: File): ...
    def secret(x: SecretStr): ...
    def multiline(x: Annotated[str, Param(multiline=True)]): ...
    def secret_text(x: Annotated[str, Param(secret=True)]): ...
    def alias(x: Name): ...
    def chosen(x: Annotated[str, Param(choices={"a": "First", "b": "Second"})]): ...

    expected: list[tuple[Any, dict[str, Any]]] = [
        (text, {}),
        (whole, {"type": "number", "integer": True}),
        (number, {"type": "number"}),
        (boolean, {"type": "boolean"}),
        (literal, {"type": "select", "choices": choices("a", "b")}),
        (numbers, {"type": "select", "choices": choices(1, 2)}),
        (colour, {"type": "select", "choices": choices("red", "green")}),
        (size, {"type": "select", "choices": [{"value": 1, "label": "SMALL"}, {"value": 2, "label": "LARGE"}]}),
        (day, {"type": "date"}),
        (file, {"type": "file"}),
        (secret, {"type": "secret"}),
        (multiline, {"type": "multiline"}),
        (secret_text, {"type": "secret"}),
        (alias, {}),
        (chosen, {"type": "select", "choices": [{"value": "a", "label": "First"}, {"value": "b", "label": "Second"}]}),
    ]
    for function, parameter in expected:
        assert parameter_of(function) == {"required": True, **parameter}, function.__name__


def test_default_or_none_makes_it_optional() -> None:
    def default(x: int = 3): ...
    def none(x: str | None = None): ...
    def optional(x: Optional[str]): ...  # noqa: UP045
    def inside(x: Annotated[str | None, Param(help="h")]): ...
    def outside(x: Annotated[str, Param(help="h")] | None): ...
    def literal(x: Literal["a", None]): ...
    def enumerated(x: Colour = Colour.GREEN): ...
    def day(x: datetime.date = DAY): ...

    assert parameter_of(default) == {"type": "number", "integer": True, "default": 3}
    assert parameter_of(none) == parameter_of(optional) == {}
    assert parameter_of(inside) == parameter_of(outside) == {"help": "h"}
    assert parameter_of(literal) == {"type": "select", "choices": choices("a")}
    assert parameter_of(enumerated)["default"] == "green"
    assert parameter_of(day)["default"] == "2026-01-31"


def test_constraints_of_param_pydantic_and_annotated_types_are_kept() -> None:
    def param(x: Annotated[str, Param(title="T", help="H", pattern="a+", min_length=1, max_length=3, placeholder="P")]): ...
    def bounds(x: Annotated[float, Param(ge=1, maximum=2.5)]): ...
    def pydantic(x: Annotated[int, Field(ge=1, lt=10, title="T", description="H")]): ...
    def positive(x: PositiveInt): ...
    def types(x: Annotated[float, Ge(1), Le(2)]): ...
    def lengths(x: Annotated[str, Len(2, 4)]): ...
    def string(x: Annotated[str, StringConstraints(pattern="a+", min_length=2)]): ...
    def field(x: Annotated[SecretStr, Field(min_length=8)]): ...
    def day(x: Annotated[datetime.date, Param(ge=DAY)]): ...
    def upload(x: Annotated[File, Param(accept=".csv", max_bytes=10)]): ...
    def foreign(x: Annotated[str, "a note of another tool"]): ...

    expected: list[tuple[Any, dict[str, Any]]] = [
        (param, {"title": "T", "help": "H", "pattern": "a+", "min_length": 1, "max_length": 3, "placeholder": "P"}),
        (bounds, {"type": "number", "minimum": 1, "maximum": 2.5}),
        (pydantic, {"type": "number", "integer": True, "minimum": 1, "maximum": 9, "title": "T", "help": "H"}),
        (positive, {"type": "number", "integer": True, "minimum": 1}),
        (types, {"type": "number", "minimum": 1, "maximum": 2}),
        (lengths, {"min_length": 2, "max_length": 4}),
        (string, {"pattern": "a+", "min_length": 2}),
        (field, {"type": "secret", "min_length": 8}),
        (day, {"type": "date", "minimum": "2026-01-31"}),
        (upload, {"type": "file", "accept": ".csv", "max_bytes": 10}),
        (foreign, {}),
    ]
    for function, parameter in expected:
        assert parameter_of(function) == {"required": True, **parameter}, function.__name__


def test_handle_is_the_first_parameter_by_name_or_by_type() -> None:
    def by_name(run, x: str): ...
    def by_type(handle: Run, x: str): ...
    def none(x: str): ...

    assert [read_signature(function).run for function in (by_name, by_type, none)] == ["run", "handle", None]


def test_call_gives_each_argument_the_type_it_is_annotated_with(tmp_path: Path) -> None:
    got: dict[str, Any] = {}

    def everything(
        run: Run,
        text: str,
        whole: int,
        number: float,
        boolean: bool,
        colour: Colour,
        size: Size,
        day: datetime.date,
        file: File,
        secret: SecretStr,
        *,
        missing: str | None,
        other: str = "default",
    ) -> dict[str, Any]:
        got.update({name: value for name, value in locals().items() if name != "got"})
        return {"rows": 1}

    path = tmp_path / "x.csv"
    path.write_bytes(b"\xef\xbb\xbfa,b\n")
    signature = read_signature(everything)
    parameters = [Parameter.model_validate(argument.raw) for argument in signature.arguments]
    sent = {"text": "t", "whole": "3", "number": 2, "boolean": "on", "colour": "green", "size": "2", "day": "2026-01-31"}
    cleaned = validate_arguments(parameters, {**sent, "file": {"name": "x.csv", "key": "uploads/x"}, "secret": "s"})
    cleaned["file"] = {"name": "x.csv", "path": str(path), "size": 7}  # as the engine puts it
    run = Run()

    assert call_task(everything, run, cleaned) == {"rows": 1}

    assert got.pop("run") is run
    secret, file = got.pop("secret"), got.pop("file")
    assert secret.get_secret_value() == "s"
    assert (file.name, file.size, file.read_text(), file.read_bytes()[:3]) == ("x.csv", 7, "a,b\n", b"\xef\xbb\xbf")
    assert isinstance(got["number"], float)
    assert got == {
        "text": "t", "whole": 3, "number": 2.0, "boolean": True, "colour": Colour.GREEN, "size": Size.LARGE, "day": DAY,
        "missing": None, "other": "default",
    }  # fmt: skip


def test_decorated_function_stays_callable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decorators, "TASKS", [])

    @task
    def plain(x: int) -> int:
        return x + 1

    @task(title="With options", timeout="30m")
    def with_options(x: int) -> int:
        return x + 2

    assert (plain(1), with_options(1)) == (2, 3)
    assert [entry.options for entry in decorators.TASKS] == [{}, {"title": "With options", "timeout": "30m"}]
