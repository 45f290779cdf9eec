"""A function's signature as the parameters of its task, and the way back from JSON to what the function takes."""

from __future__ import annotations

import datetime
import enum
import inspect
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chalicelib.catalog.decorators import File, Function, Param
from chalicelib.domain.handle import RunHandle

Convert = Callable[[Any], Any]

SUPPORTED = "str, int, float, bool, Literal[...], an Enum, datetime.date, File, pydantic.SecretStr, each also with `| None`"


class AnnotationError(Exception):
    """An annotation that makes no parameter."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


@dataclass(frozen=True)
class Argument:
    """One parameter: `raw` as a Parameter is written, `convert` from its JSON value to the annotated type."""

    name: str
    raw: dict[str, Any]
    convert: Convert
    has_default: bool


@dataclass(frozen=True)
class Signature:
    """`run` is the name of the parameter that takes the handle; `faults` are (parameter, message, hint)."""

    run: str | None = None
    arguments: list[Argument] = field(default_factory=list)
    faults: list[tuple[str, str, str]] = field(default_factory=list)


def read_signature(function: Function) -> Signature:
    """All that a function's parameters say; what cannot be understood is among the faults."""
    run: str | None = None
    arguments: list[Argument] = []
    faults: list[tuple[str, str, str]] = []
    for index, parameter in enumerate(inspect.signature(function).parameters.values()):
        try:
            hint = _hint(function, parameter)
            if index == 0 and (parameter.name == "run" or _is_run(hint)):
                run = parameter.name
            else:
                arguments.append(_argument(parameter, hint))
        except AnnotationError as error:
            faults.append((parameter.name, error.message, error.hint))
    return Signature(run, arguments, faults)


def _is_run(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, RunHandle)


def _hint(function: Function, parameter: inspect.Parameter) -> Any:
    """The annotation with its strings resolved. Each alone: a return type only for type checkers is no fault."""
    if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
        raise AnnotationError("*args, **kwargs and positional-only parameters cannot be filled from a form", "name each one")
    if parameter.annotation is parameter.empty:
        return parameter.empty
    scope = getattr(inspect.unwrap(function), "__globals__", {})
    holder = types.SimpleNamespace(__annotations__={parameter.name: parameter.annotation})
    try:
        return typing.get_type_hints(holder, globalns=scope, include_extras=True)[parameter.name]
    except NameError as error:
        raise AnnotationError(
            f"the annotation {parameter.annotation!r} cannot be resolved: {error}",
            "import the name at the module's top level, outside of `if TYPE_CHECKING`",
        ) from None
    except Exception as error:
        raise AnnotationError(f"the annotation {parameter.annotation!r} cannot be read: {error}") from None


def _argument(parameter: inspect.Parameter, hint: Any) -> Argument:
    if hint is parameter.empty:
        raise AnnotationError("has no annotation", f"annotate it with one of {SUPPORTED}")
    kind, metadata, optional = _unwrap(hint)
    raw, convert, optional_by_value = _kind(kind)
    for entry in metadata:
        _add(raw, entry)
    has_default = parameter.default is not parameter.empty
    raw = {"name": parameter.name, **raw, "required": not (has_default or optional or optional_by_value)}
    if has_default and parameter.default is not None:
        raw["default"] = plain(parameter.default)
    return Argument(parameter.name, raw, convert, has_default)


def _unwrap(hint: Any) -> tuple[Any, list[Any], bool]:
    """(the type itself, its Annotated metadata, whether None is allowed), whatever the order they are nested in."""
    metadata: list[Any] = []
    optional = False
    while True:
        if typing.get_origin(hint) is typing.Annotated:
            metadata[:0] = hint.__metadata__
            hint = hint.__origin__
        elif typing.get_origin(hint) in (typing.Union, types.UnionType):
            members = [member for member in typing.get_args(hint) if member is not type(None)]
            if len(members) != 1 or len(members) == len(typing.get_args(hint)):
                raise AnnotationError(f"{_name(hint)} is not supported: one type only", f"supported are {SUPPORTED}")
            hint, optional = members[0], True
        elif hasattr(hint, "__supertype__"):  # a NewType
            hint = hint.__supertype__
        elif hasattr(hint, "__value__") and not isinstance(hint, type):  # a `type X = ...` alias
            hint = hint.__value__
        else:
            return hint, metadata, optional


def _kind(kind: Any) -> tuple[dict[str, Any], Convert, bool]:
    """(the parameter's type with what follows from it, its conversion, whether None is among its values)."""
    if typing.get_origin(kind) is typing.Literal:
        values = typing.get_args(kind)
        return _select([{"value": v} for v in values if v is not None], str(kind)), _same, None in values
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        members = {member.value: member for member in kind}
        choices = [{"value": m.value, "label": "" if isinstance(m.value, str) else m.name} for m in kind]
        return _select(choices, kind.__name__), lambda value: members[value], False
    if isinstance(kind, type) and kind in _PLAIN:
        raw, convert = _PLAIN[kind]
        return dict(raw), convert, False
    if _is_secret(kind):
        return {"type": "secret"}, kind, False
    if _is_run(kind):
        raise AnnotationError("the run handle is the first parameter", "move it to the front")
    if kind is datetime.datetime:
        raise AnnotationError("datetime is not supported", "use datetime.date, or str with a pattern")
    raise AnnotationError(f"{_name(kind)} is not supported", f"supported are {SUPPORTED}")


def _same(value: Any) -> Any:
    return value


def _select(choices: list[dict[str, Any]], name: str) -> dict[str, Any]:
    if not choices or not all(isinstance(choice["value"], str | int | float | bool) for choice in choices):
        raise AnnotationError(f"{name}: every choice is a text, a number or a boolean")
    return {"type": "select", "choices": [{**choice, "value": plain(choice["value"])} for choice in choices]}


def _file(value: Mapping[str, Any]) -> File:
    return File(str(value["name"]), Path(value["path"]), int(value["size"]))


_PLAIN: dict[type, tuple[dict[str, Any], Convert]] = {
    str: ({"type": "text"}, str),
    int: ({"type": "number", "integer": True}, int),
    float: ({"type": "number"}, float),
    bool: ({"type": "boolean"}, bool),
    datetime.date: ({"type": "date"}, datetime.date.fromisoformat),
    File: ({"type": "file"}, _file),
}


def _is_secret(kind: Any) -> bool:
    from pydantic import SecretStr

    return isinstance(kind, type) and issubclass(kind, SecretStr)


def _name(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) and not typing.get_args(hint) else str(hint).replace("typing.", "")


def plain(value: Any) -> Any:
    """A Python value as JSON has it: an Enum's value, a date as text, a secret in the clear (checked against later)."""
    if isinstance(value, enum.Enum):
        return plain(value.value)
    if isinstance(value, datetime.date):
        return value.isoformat()
    return value.get_secret_value() if _is_secret(type(value)) else value


def _add(raw: dict[str, Any], entry: Any) -> None:
    """What one entry of Annotated[...] says. Those that are no constraint belong to other tools and are left alone."""
    from annotated_types import BaseMetadata, GroupedMetadata
    from pydantic.fields import FieldInfo

    if isinstance(entry, Param):
        _add_param(raw, entry)
    elif isinstance(entry, FieldInfo):
        raw.update({k: v for k, v in (("title", entry.title), ("help", entry.description)) if v})
        for part in entry.metadata:
            _add(raw, part)
    elif isinstance(entry, GroupedMetadata):
        for part in typing.cast(Iterable[Any], entry):
            _add(raw, part)
    elif isinstance(entry, BaseMetadata) or hasattr(entry, "pattern"):
        _add_constraint(raw, entry)


def _add_constraint(raw: dict[str, Any], entry: Any) -> None:
    """A constraint of annotated_types, or pydantic's bag of the others."""
    from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen

    if isinstance(entry, Gt | Lt):
        if not raw.get("integer"):
            raise AnnotationError("gt and lt work for int only", "use ge and le")
        entry = Ge(typing.cast(int, entry.gt) + 1) if isinstance(entry, Gt) else Le(typing.cast(int, entry.lt) - 1)
    match entry:
        case Ge():
            raw["minimum"] = plain(entry.ge)
        case Le():
            raw["maximum"] = plain(entry.le)
        case MinLen():
            raw["min_length"] = entry.min_length
        case MaxLen():
            raw["max_length"] = entry.max_length
        case _ if isinstance(pattern := getattr(entry, "pattern", None), str):
            raw["pattern"] = pattern
        case _ if hasattr(entry, "pattern"):
            pass
        case _:
            raise AnnotationError(f"the constraint {entry!r} is not supported", "see Param for those that are")


def _add_param(raw: dict[str, Any], param: Param) -> None:
    if param.choices is not None:
        if raw["type"] not in ("text", "number"):
            raise AnnotationError(f"Param(choices=...) does not go with a {raw['type']} parameter")
        raw.pop("integer", None)
        labels = param.choices if isinstance(param.choices, Mapping) else dict.fromkeys(param.choices, "")
        raw.update(_select([{"value": value, "label": label} for value, label in labels.items()], "choices"))
    for flag in ("multiline", "secret"):
        if getattr(param, flag):
            if raw["type"] != "text":
                raise AnnotationError(f"Param({flag}=True) needs str, and nothing else that changes its kind")
            raw["type"] = flag
    bounds = {
        "minimum": param.ge if param.minimum is None else param.minimum,
        "maximum": param.le if param.maximum is None else param.maximum,
    }
    for name in ("title", "help", "placeholder", "pattern", "min_length", "max_length", "accept", "max_bytes"):
        bounds[name] = getattr(param, name)
    raw.update({name: plain(value) for name, value in bounds.items() if value not in (None, "")})
