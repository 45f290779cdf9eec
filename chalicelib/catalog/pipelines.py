"""Pipelines as they are written -> pipelines with checked steps."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from chalicelib.catalog.checks import PYTHON_PREFIX
from chalicelib.catalog.faults import Fault, suggestion, validate
from chalicelib.domain.model import Pipeline, Step

STEP_KEYWORDS = tuple(name for name in Step.model_fields if name not in ("processor", "config"))
"""What may stand beside the processor in a step (`- copy: {...}` + `name: first`): every other field of Step."""

_KEYS = ("name", "description", "processors")
_SHAPE = "a step is one processor with its configuration, like - copy: {source: a, destination: b}"

Processors = Mapping[str, type[Any]]


def check_pipeline(raw: Any, processors: Processors, complete: bool = True) -> tuple[Pipeline | None, list[Fault]]:
    """The pipeline of a definition, its steps named, and every fault of it.

    `complete` is false where some processors could not be imported, so that an unknown one is no fault.
    """
    if not isinstance(raw, Mapping):
        return None, [Fault((), "a pipeline is a mapping with name and processors")]
    faults = [Fault((key,), f"unknown key '{key}'", suggestion(key, _KEYS)) for key in raw if key not in _KEYS]
    steps, step_faults = _steps(raw.get("processors"), processors, complete)
    faults += [fault.under("processors") for fault in step_faults]
    if isinstance(raw.get("name"), str) and raw["name"].startswith(PYTHON_PREFIX):
        faults.append(Fault(("name",), f"names beginning with {PYTHON_PREFIX} belong to @task functions"))
    placeholder = [Step(processor="?")]
    head = {key: raw[key] for key in ("name", "description") if key in raw}
    pipeline, head_faults = validate(Pipeline, {**head, "steps": steps or placeholder})
    faults += head_faults
    return (None if faults else pipeline), faults


def processors_of(steps: list[Step], processors: Processors) -> set[str]:
    """The names of all processors that steps use, those within other steps included."""
    names = set()
    for step in steps:
        names.add(step.processor)
        for key in _step_fields(processors.get(step.processor)):
            inner = step.config.get(key)
            names |= processors_of([Step.model_validate(entry) for entry in inner or []], processors)
    return names


def _steps(raw: Any, processors: Processors, complete: bool) -> tuple[list[Step], list[Fault]]:
    if raw is None or raw == []:
        return [], [Fault((), "a pipeline needs at least one processor", "like - copy: {source: a, destination: b}")]
    if not isinstance(raw, list):
        return [], [Fault((), "is a list of processors, each behind a dash", _SHAPE)]
    steps: list[Step] = []
    faults: list[Fault] = []
    for index, entry in enumerate(raw):
        step, found = _step(entry, processors, complete)
        faults += [fault.under(index) for fault in found]
        if step is not None:
            steps.append(step)
    return _named(steps, faults), faults


def _step(raw: Any, processors: Processors, complete: bool) -> tuple[Step | None, list[Fault]]:
    if isinstance(raw, str):
        raw = {raw: None}
    if not isinstance(raw, Mapping):
        return None, [Fault((), _SHAPE)]
    names = [key for key in raw if key not in STEP_KEYWORDS]
    if len(names) != 1:
        return None, [_ambiguous(names, processors)]
    name, config = names[0], raw[names[0]] or {}
    if not isinstance(config, Mapping):
        return None, [Fault((name,), f"the configuration of {name} is a mapping of names and values", _SHAPE)]
    keywords = {key: raw[key] for key in raw if key != name}
    step, faults = validate(Step, {"processor": name, "config": {}, **keywords})
    if name not in processors:
        if complete:
            faults.append(Fault((name,), f"there is no processor '{name}'", suggestion(name, processors)))
        return step, faults
    checked, config_faults = _config(processors[name], config, processors, complete)
    faults += [fault.under(name) for fault in config_faults]
    return (step.model_copy(update={"config": checked}) if step else None), faults


def _ambiguous(names: list[str], processors: Processors) -> Fault:
    """A step that names no processor, or several; of several, the one that is none is probably a misspelt keyword."""
    if not names:
        return Fault((), "names no processor", _SHAPE)
    strangers = [name for name in names if name not in processors]
    if len(strangers) == len(names) - 1:
        what = ", ".join(f"'{name}'" for name in strangers)
        hint = f"beside the processor there may be {', '.join(STEP_KEYWORDS)}; its own configuration goes below it"
        return Fault((strangers[0],), f"unknown key {what} beside a processor", hint)
    return Fault((names[1],), f"names several processors: {', '.join(names)}", "put a dash before each")


def _config(cls: type[Any], raw: Mapping[str, Any], processors: Processors, complete: bool) -> tuple[dict[str, Any], list[Fault]]:
    """The configuration with the steps within it made Steps, and its faults."""
    config = dict(raw)
    faults: list[Fault] = []
    for key in _step_fields(cls):
        if isinstance(config.get(key), list):
            steps, found = _steps(config[key], processors, complete) if config[key] else ([], [])
            faults += [fault.under(key) for fault in found]
            config[key] = [step.model_dump() for step in steps] or config[key]
    if faults or not (isinstance(cls, type) and issubclass(cls, BaseModel)):
        return config, faults
    return config, [*_unknown_keys(cls, config), *validate(cls, config)[1]]


def _unknown_keys(cls: type[BaseModel], config: Mapping[str, Any]) -> list[Fault]:
    """Keys that a plain BaseModel would silently ignore. A model that sets `extra` has its own way."""
    if "extra" in cls.model_config:
        return []
    known = set(cls.model_fields)
    for info in cls.model_fields.values():
        for alias in (info.alias, info.validation_alias):
            if alias is not None and not isinstance(alias, str):
                return []
            known |= {alias} if alias else set()
    return [Fault((key,), f"unknown key '{key}'", suggestion(key, known)) for key in config if key not in known]


def _step_fields(cls: type[Any] | None) -> list[str]:
    """The fields of a processor that hold steps: those annotated `list[Step]`, with or without `| None`."""
    if cls is None or not issubclass(cls, BaseModel):
        return []
    found = []
    for name, info in cls.model_fields.items():
        pending = [info.annotation]
        while pending:
            hint = pending.pop()
            if hint is Step:
                found.append(info.alias or name)
                break
            pending.extend(typing.get_args(hint))
    return found


def _named(steps: list[Step], faults: list[Fault]) -> list[Step]:
    """Each step with a name of its own: the given one, else the processor's with a number from the second on."""
    given = [step.name for step in steps if step.name]
    for index, step in enumerate(steps):
        if step.name and step.name in [earlier.name for earlier in steps[:index]]:
            faults.append(Fault((index, "name"), f"there is a step '{step.name}' already", "give each its own name"))
    taken = set(given)
    named = []
    for step in steps:
        name, number = step.name or step.processor, 1
        while not step.name and name in taken:
            number += 1
            name = f"{step.processor}-{number}"
        taken.add(name)
        named.append(step.model_copy(update={"name": name}))
    return named
