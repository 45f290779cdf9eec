"""One task or settings block against its rules, whoever wrote it: YAML, a decorator, or a request at run time."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any

from chalicelib.catalog.faults import Fault, suggestion, validate
from chalicelib.catalog.timing import EXAMPLES, timing_faults, with_example
from chalicelib.domain.arguments import check_value
from chalicelib.domain.ids import slug
from chalicelib.domain.model import Parameter, Task
from chalicelib.domain.timetable import check_zone
from chalicelib.settings import SETTINGS

RESERVED_IDS = {"runtime"}
"""Its function would be task_runtime, which runs the tasks made at run time."""

PYTHON_PREFIX = "python:"
"""Of the pipelines that @task functions become."""

FUNCTION_PREFIX = "task_"
SLUG_LENGTH = 36  # `nightshift-{stage}-task_{slug}` has at most 64 characters


def check_settings(raw: Mapping[str, Any]) -> tuple[dict[str, Any], list[Fault]]:
    """The settings that a `task:` block gives, durations in seconds, and every fault of it."""
    settings: dict[str, Any] = {}
    faults = _written(raw, "time_zone", check_zone)
    for key, value in raw.items():
        if key not in SETTINGS:
            faults.append(Fault((key,), f"unknown key '{key}'", suggestion(key, SETTINGS)))
        elif not any(fault.path == (key,) for fault in faults):
            _variable, parse, example, _purpose = SETTINGS[key]
            try:
                settings[key] = parse(value)
            except ValueError as error:
                faults.append(Fault((key,), f"is {value!r}, which is not right: {error}", f"for example {example}"))
    return settings, faults


def check_task(
    raw: Mapping[str, Any], pipelines: Collection[str] | None = None, default_zone: str = "UTC"
) -> tuple[Task | None, list[Fault]]:
    """The task of a definition as it is written, and every fault that it has by itself; relations.py knows those among others.

    A timeout is written like `30m`, parameters are a list or a mapping by name, and `blackouts` stands for `except`.
    `pipelines` are the names that it may refer to; None leaves that unchecked. `default_zone` is of tasks that name none.
    """
    raw = dict(raw)
    if renamed := "blackouts" in raw and "except" not in raw:
        raw["except"] = raw.pop("blackouts")
    names: list[str] = []
    if isinstance(raw.get("parameters"), Mapping):
        written = raw["parameters"]
        names = [str(name) for name in written]
        raw["parameters"] = [
            {"name": n, **value} if isinstance(value, Mapping) else value or {"name": n} for n, value in written.items()
        ]
    task, faults = validate(Task, raw)
    if not raw.get("pipeline") and pipelines and not any(fault.path == ("pipeline",) for fault in faults):
        faults.append(Fault(("pipeline",), "is missing"))
    faults = [_with_pipelines(fault, pipelines) for fault in faults]
    faults += timing_faults(raw, task or _timed(raw, faults), default_zone)
    pipeline = raw.get("pipeline")
    if pipelines is not None and isinstance(pipeline, str) and pipeline and pipeline not in pipelines:
        faults.append(Fault(("pipeline",), f"there is no pipeline '{pipeline}'", suggestion(pipeline, pipelines)))
    if isinstance(raw.get("id"), str) and raw["id"] in RESERVED_IDS:
        faults.append(Fault(("id",), f"'{raw['id']}' is reserved", "choose another id"))
    if task is not None:
        faults += _parameter_faults(task.parameters)
        faults += _metadata_faults(task.metadata)
    if names:
        faults = [_by_name(fault, names) for fault in faults]
    faults = [with_example(fault) for fault in faults]
    if renamed:
        faults = [replace(f, path=("blackouts", *f.path[1:])) if f.path[:1] == ("except",) else f for f in faults]
    return (None if faults else task), faults


def function_name(task_id: str) -> str:
    """The name of a task's function: `task_` and the id's slug, shortened if Lambda would refuse the length."""
    text = slug(task_id)
    if len(text) > SLUG_LENGTH:
        import hashlib

        text = f"{text[: SLUG_LENGTH - 7]}_{hashlib.sha256(task_id.encode()).hexdigest()[:6]}"
    return f"{FUNCTION_PREFIX}{text}"


def _timed(raw: Mapping[str, Any], faults: list[Fault]) -> Task | None:
    """A task of nothing but the right ones among the keys about time, so that those are checked whatever else is wrong."""
    wrong = {fault.path[0] for fault in faults if fault.path}
    keys = {key: raw[key] for key in EXAMPLES if key in raw and key not in wrong}
    return validate(Task, {"id": "unnamed", "pipeline": "none", **keys})[0]


def _with_pipelines(fault: Fault, pipelines: Collection[str] | None) -> Fault:
    if fault.path == ("pipeline",) and not fault.hint and pipelines is not None:
        shown = sorted(name for name in pipelines if not name.startswith(PYTHON_PREFIX))
        return Fault(fault.path, fault.message, f"one of {', '.join(shown)}" if shown else "define it under pipelines:")
    return fault


def _written(raw: Mapping[str, Any], key: str, check: Callable[[str], None]) -> list[Fault]:
    """The fault of a text that has a grammar of its own; that it is no text at all is the model's to say."""
    if not isinstance(raw.get(key), str):
        return []
    try:
        check(raw[key])
    except ValueError as error:
        return [Fault((key,), str(error))]
    return []


def _by_name(fault: Fault, names: list[str]) -> Fault:
    """Parameters that were written as a mapping are found by name, not by number."""
    match fault.path:
        case ("parameters", int(index), *rest):
            return Fault(("parameters", names[index], *rest), fault.message, fault.hint)
    return fault


def _metadata_faults(metadata: dict[str, Any]) -> list[Fault]:
    import json

    try:
        json.dumps(metadata, allow_nan=False)
    except (TypeError, ValueError) as error:
        return [Fault(("metadata",), f"cannot be written as JSON: {error}")]
    return []


def _parameter_faults(parameters: list[Parameter]) -> list[Fault]:
    faults: list[Fault] = []
    seen: set[str] = set()
    for index, parameter in enumerate(parameters):
        if parameter.name in seen:
            message = f"there is a parameter '{parameter.name}' already"
            faults.append(Fault(("parameters", index, "name"), message, "give each its own name"))
        seen.add(parameter.name)
        faults += [fault.under("parameters", index) for fault in _faults_of(parameter)]
    return faults


_TEXTS = ("text", "multiline", "secret")
_KEYS_OF_TYPES = {
    "pattern": _TEXTS,
    "min_length": _TEXTS,
    "max_length": _TEXTS,
    "minimum": ("number", "date"),
    "maximum": ("number", "date"),
    "integer": ("number",),
    "accept": ("file",),
    "max_bytes": ("file",),
}


def _faults_of(parameter: Parameter) -> list[Fault]:
    """What the model does not see in a parameter: bounds that nothing can keep, a default that would be refused."""
    for key, types in _KEYS_OF_TYPES.items():
        if getattr(parameter, key) not in (None, "", False) and parameter.type not in types:
            return [Fault((key,), f"does not go with type {parameter.type}", f"it belongs to {', '.join(types)}")]
    low, high = parameter.min_length, parameter.max_length
    if low is not None and high is not None and low > high:
        return [Fault(("min_length",), f"is more than max_length, {high}")]
    if fault := _bounds_fault(parameter):
        return [fault]
    if parameter.default is None:
        return []
    if parameter.type == "file":
        return [Fault(("default",), "a file has no default", "leave it out, and let the task work without it")]
    if parameter.type == "secret" and parameter.default != "":
        message = "a secret has no default: it would be written into catalog.json"
        return [Fault(("default",), message, "leave it out")]
    try:
        cleaned = check_value(parameter, parameter.default)
    except ValueError as error:
        return [Fault(("default",), f"the default {error}")]
    if type(cleaned) is not type(parameter.default) and not isinstance(cleaned, int | float):
        return [Fault(("default",), f"the default is {parameter.default!r}, meant is {cleaned!r}")]
    return []


def _bounds_fault(parameter: Parameter) -> Fault | None:
    from datetime import date
    from math import isfinite

    for key in ("minimum", "maximum"):
        bound = getattr(parameter, key)
        if bound is None:
            continue
        if parameter.type == "number" and not (isinstance(bound, float) and isfinite(bound)):
            return Fault((key,), f"is a number, not '{bound}'")
        if parameter.type == "date":
            try:
                date.fromisoformat(str(bound))
            except ValueError:
                return Fault((key,), f"is a date like 2026-01-31, not '{bound}'")
    low, high = parameter.minimum, parameter.maximum
    dates = isinstance(low, str) and isinstance(high, str) and low > high
    numbers = isinstance(low, float) and isinstance(high, float) and low > high
    if dates or numbers:
        return Fault(("minimum",), f"is more than maximum, {high}")
    return None
