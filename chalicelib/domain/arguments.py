"""A run's arguments against its task's parameters: the one place that decides, wherever they come from."""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any

from chalicelib.domain.errors import FieldError, InvalidArgumentsError
from chalicelib.domain.model import Parameter

UPLOADS = "uploads/"
MASK = "***"

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_BOOLEANS = {"true": True, "on": True, "yes": True, "1": True, "false": False, "off": False, "no": False, "0": False}


def validate_arguments(parameters: Sequence[Parameter], args: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments as the task gets them: JSON values of the right type, defaults filled in.

    Numbers and booleans may come as text, as HTML forms send them; null and (but for a text with a default) an empty
    text stand for "not given". An optional parameter that is not given and has no default is absent. Raises
    InvalidArgumentsError with a FieldError for each wrong field.
    """
    if not isinstance(args, Mapping):
        raise InvalidArgumentsError("args is an object of names and values", [FieldError("args", "give an object")])
    errors = [FieldError(str(name), _unknown(str(name), parameters)) for name in args if name not in _names(parameters)]
    cleaned: dict[str, Any] = {}
    for parameter in parameters:
        value = args.get(parameter.name)
        if _absent(parameter, value):
            if parameter.default is not None:
                cleaned[parameter.name] = parameter.default
            elif parameter.required:
                errors.append(FieldError(parameter.name, "is required"))
            continue
        try:
            cleaned[parameter.name] = check_value(parameter, value)
        except ValueError as error:
            errors.append(FieldError(parameter.name, str(error)))
    if errors:
        text = "; ".join(f"{error.field} {error.message}" for error in errors)
        raise InvalidArgumentsError(f"invalid arguments: {text}", errors)
    return cleaned


def masked(parameters: Sequence[Parameter], args: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments fit to be shown: secrets as `***`."""
    secrets = {parameter.name for parameter in parameters if parameter.type == "secret"}
    return {name: MASK if name in secrets and value is not None else value for name, value in args.items()}


def check_value(parameter: Parameter, value: Any) -> Any:
    """One given value as its parameter's type has it. Raises ValueError that says what would be right."""
    return _CHECKS[parameter.type](parameter, value)


def _names(parameters: Sequence[Parameter]) -> set[str]:
    return {parameter.name for parameter in parameters}


def _unknown(name: str, parameters: Sequence[Parameter]) -> str:
    if not parameters:
        return "is not a parameter: the task takes none"
    from difflib import get_close_matches

    near = get_close_matches(name, sorted(_names(parameters)), 1)
    if near:
        return f"is not a parameter: did you mean {near[0]}?"
    return f"is not a parameter: there are {', '.join(p.name for p in parameters)}"


def _absent(parameter: Parameter, value: Any) -> bool:
    if value == "" and parameter.type in ("text", "multiline", "secret"):
        # A cleared text field means "no text" where there would be a default otherwise.
        return parameter.default in (None, "")
    return value is None or value == ""


def _text(parameter: Parameter, given: Any) -> str:
    if not isinstance(given, str):
        raise ValueError(f"is a text, not {_sort(given)}")  # never the value: it may be a secret
    try:
        given.encode()
    except UnicodeEncodeError:
        raise ValueError("is not valid Unicode text") from None
    value = given.replace("\r\n", "\n") if parameter.type == "multiline" else given  # forms send CRLF
    if parameter.min_length is not None and len(value) < parameter.min_length:
        raise ValueError(f"needs at least {_characters(parameter.min_length)}, has {len(value)}")
    if parameter.max_length is not None and len(value) > parameter.max_length:
        raise ValueError(f"has at most {_characters(parameter.max_length)}, not {len(value)}")
    if parameter.pattern is not None and re.fullmatch(parameter.pattern, value) is None:
        raise ValueError(f"does not match {parameter.pattern}" + (f" ({parameter.help})" if parameter.help else ""))
    return value


def _number(parameter: Parameter, given: Any) -> int | float:
    kind = "a whole number" if parameter.integer else "a number"
    value: int | float = _number_of_text(given.strip(), kind) if isinstance(given, str) else given
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"is {kind}, not {_kind(value)}")
    if not math.isfinite(value):
        raise ValueError(f"is {kind}, and a finite one")
    if parameter.integer:
        if value != int(value):
            raise ValueError(f"is a whole number, not {value}")
        value = int(value)
    if parameter.minimum is not None and value < float(parameter.minimum):
        raise ValueError(f"is at least {_plain(parameter.minimum)}, not {value}")
    if parameter.maximum is not None and value > float(parameter.maximum):
        raise ValueError(f"is at most {_plain(parameter.maximum)}, not {value}")
    return value


def _number_of_text(text: str, kind: str) -> int | float:
    if len(text) > 40 or _NUMBER.fullmatch(text) is None:
        raise ValueError(f"is {kind}, not '{_short(text)}'")
    return int(text) if text.lstrip("+-").isdigit() else float(text)


def _boolean(parameter: Parameter, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    known = _BOOLEANS.get(value.strip().lower()) if isinstance(value, str) else None
    if known is None:
        raise ValueError(f"is true or false, not {_kind(value)}")
    return known


def _select(parameter: Parameter, value: Any) -> str | int | float | bool:
    offered = [choice.value for choice in parameter.choices]
    for choice in offered:
        if choice == value and isinstance(choice, bool) == isinstance(value, bool):
            return choice
    for choice in offered:
        if isinstance(value, str) and not isinstance(choice, str) and _json_text(choice) == value.strip().lower():
            return choice
    raise ValueError(f"is one of {', '.join(_json_text(choice) for choice in offered)}, not {_kind(value)}")


def _date(parameter: Parameter, value: Any) -> str:
    try:
        if not isinstance(value, str) or date.fromisoformat(value).isoformat() != value:
            raise ValueError
    except ValueError:
        raise ValueError(f"is a date like 2026-01-31, not {_kind(value)}") from None
    if parameter.minimum is not None and value < str(parameter.minimum):
        raise ValueError(f"is {parameter.minimum} or later")
    if parameter.maximum is not None and value > str(parameter.maximum):
        raise ValueError(f"is {parameter.maximum} or earlier")
    return value


def _file(parameter: Parameter, value: Any) -> dict[str, str]:
    """`{"name", "key"}` of an upload, or `{"name", "content_base64"}`."""
    shape = 'is a file: {"name", "key"} of an upload, or {"name", "content_base64"}'
    if not isinstance(value, Mapping) or not all(isinstance(entry, str) for entry in value.values()):
        raise ValueError(shape)
    if set(value) not in ({"name", "key"}, {"name", "content_base64"}):
        raise ValueError(shape)
    file = {str(key): str(entry) for key, entry in value.items()}
    name = file["name"]
    if not name.isprintable() or name in ("", ".", "..") or re.search(r"[/\\]", name) or len(name.encode()) > 255:
        raise ValueError("has a name that is no plain file name")
    if parameter.accept and not _accepted(name, parameter.accept):
        raise ValueError(f"is a file of type {parameter.accept}, not {name}")
    if "key" in file:
        # Whoever may start a task must not read the rest of the bucket by it.
        if not file["key"].startswith(UPLOADS) or ".." in file["key"].split("/") or not file["key"].isprintable():
            raise ValueError(f"has a key that is no upload's: it begins with {UPLOADS}")
        return file
    try:
        size = len(base64.b64decode(file["content_base64"], validate=True))
    except (binascii.Error, ValueError):
        raise ValueError("has a content_base64 that is not base64") from None
    if parameter.max_bytes is not None and size > parameter.max_bytes:
        raise ValueError(f"has at most {parameter.max_bytes} bytes, not {size}")
    return file


def _accepted(name: str, accept: str) -> bool:
    """As a browser reads `accept`: endings, types, `image/*`."""
    import mimetypes

    guessed = mimetypes.guess_type(name)[0] or ""
    for entry in (part.strip().lower() for part in accept.split(",")):
        if entry.startswith("."):
            if name.lower().endswith(entry):
                return True
        elif entry in ("*/*", guessed) or (entry.endswith("/*") and guessed.startswith(entry[:-1])):
            return True
    return False


def _kind(value: Any) -> str:
    """A wrong value in an error: short ones as they are, long ones by their kind."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return _short(str(value))
    if isinstance(value, str):
        return f"'{_short(value)}'"
    return _sort(value)


def _sort(value: Any) -> str:
    names = {bool: "a boolean", int: "a number", float: "a number", dict: "an object", list: "a list"}
    return names.get(type(value), type(value).__name__)


def _short(text: str) -> str:
    text = text.encode(errors="replace").decode()
    return text if len(text) <= 40 else text[:37] + "..."


def _json_text(value: str | int | float | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _plain(bound: float | str) -> str:
    return f"{bound:.15g}" if isinstance(bound, float) else str(bound)


def _characters(count: int) -> str:
    return f"{count} character{'s' * (count != 1)}"


_CHECKS: dict[str, Callable[[Parameter, Any], Any]] = {
    "text": _text,
    "multiline": _text,
    "secret": _text,
    "number": _number,
    "boolean": _boolean,
    "select": _select,
    "date": _date,
    "file": _file,
}
