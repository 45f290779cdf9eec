"""From `--arg name=value` to the typed arguments of a task. The server validates; here values merely get their type."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from chalicelib.cli.command import UsageProblem

FILE_LIMIT = 4 * 1024 * 1024
"""Bytes. Base64 makes a third more of it, and a Lambda request may have 6 MB."""

_BOOLEANS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


def read_arguments(parameters: Sequence[Mapping[str, Any]], pairs: Sequence[str], file: str | None) -> dict[str, Any]:
    """Arguments from a JSON or YAML file (`-`: stdin), with the pairs `name=value` over them.

    A pair without `=` sets a boolean; `@path` is the content of a file for a file parameter. Raises `UsageProblem` with
    every value that does not fit.
    """
    arguments = _read_file(file) if file else {}
    known = {str(parameter["name"]): parameter for parameter in parameters}
    errors = []
    for pair in pairs:
        name, equals, value = pair.partition("=")
        try:
            parameter = known.get(name, {})
            arguments[name] = _parse(parameter, value) if equals else _flag(parameter)
        except ValueError as error:
            errors.append({"field": name, "message": str(error)})
    if errors:
        raise UsageProblem("invalid arguments", errors)
    return arguments


def _parse(parameter: Mapping[str, Any], value: str) -> Any:
    match parameter.get("type"):
        case "boolean":
            return _boolean(value)
        case "number":
            return _number(value)
        case "file":
            return _file(value)
        case "select":
            choices = [choice["value"] for choice in parameter.get("choices") or []]
            return next((choice for choice in choices if _text_of(choice) == value), value)
        case _:
            return value


def _flag(parameter: Mapping[str, Any]) -> bool:
    if parameter.get("type") != "boolean":
        raise ValueError("needs a value: --arg name=value")
    return True


def _text_of(choice: Any) -> str:
    """A choice as it is typed: `true`, not `True`."""
    return choice if isinstance(choice, str) else json.dumps(choice)


def _boolean(value: str) -> bool:
    if (known := _BOOLEANS.get(value.strip().lower())) is None:
        raise ValueError(f"true or false, not {value!r}")
    return known


def _number(value: str) -> int | float:
    try:
        return int(value)
    except ValueError:
        pass
    try:
        return float(value)
    except ValueError:
        raise ValueError(f"not a number: {value!r}") from None


def _file(value: str) -> dict[str, str]:
    """`{"name", "content_base64"}`."""
    if not value.startswith("@"):
        raise ValueError("a file is given as @path")
    path = Path(value[1:]).expanduser()
    try:
        size = path.stat().st_size
        if size > FILE_LIMIT:
            raise ValueError(f"{path} has {size / 1_048_576:.1f} MB, at most 4 MB fit; upload it in the browser")
        content = path.read_bytes()
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}") from None
    return {"name": path.name, "content_base64": base64.b64encode(content).decode()}


def _read_file(name: str) -> dict[str, Any]:
    text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
    try:
        found = json.loads(text)
    except ValueError:
        import yaml

        try:
            found = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise UsageProblem(f"{name}: neither JSON nor YAML: {error}") from None
    if not isinstance(found, dict):
        raise UsageProblem(f"{name}: expected an object of arguments")
    return found
