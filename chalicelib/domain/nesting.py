"""Steps within steps: which fields of a processor hold them."""

from __future__ import annotations

import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any

from pydantic import BaseModel, WithJsonSchema

from chalicelib.domain.model import Step


class AskedLater:
    """Marks a field whose references the processor resolves itself, when it comes to that."""


_STEP = {"type": "object", "title": "Step", "description": "A step, as in a pipeline"}
_CONDITION = {"title": "Condition", "anyOf": [{"type": "object"}, {"type": "string"}, {"type": "boolean"}]}

Steps = Annotated[list[Step], WithJsonSchema({"type": "array", "items": _STEP})]
Condition = Annotated[Any, AskedLater(), WithJsonSchema(_CONDITION)]


def step_fields(processor: Any) -> list[str]:
    """The keys of a processor that hold steps: those with `list[Step]` somewhere in their annotation."""
    return [key for key, info in _fields(processor) if _has_steps(info.annotation)]


def late_fields(processor: Any) -> set[str]:
    """The keys whose references are not resolved before the processor begins: steps within it, conditions."""
    late = {key for key, info in _fields(processor) if any(isinstance(mark, AskedLater) for mark in info.metadata)}
    return {*late, *step_fields(processor)}


def step_lists(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], list[Any]]]:
    """The lists of steps in what such a field holds: it is one, a mapping of them by name, or a list of them; with their paths."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from step_lists(inner, (*path, name))
    elif isinstance(value, list) and value and all(isinstance(inner, list) for inner in value):
        for index, inner in enumerate(value):
            yield from step_lists(inner, (*path, index))
    elif isinstance(value, list):
        yield path, value


def with_step_lists(value: Any, change: Callable[[list[Any]], Any]) -> Any:
    """The same with each list of steps changed."""
    if isinstance(value, Mapping):
        return {name: with_step_lists(inner, change) for name, inner in value.items()}
    if isinstance(value, list) and value and all(isinstance(inner, list) for inner in value):
        return [with_step_lists(inner, change) for inner in value]
    return change(value) if isinstance(value, list) else value


def value_at(config: Any, path: tuple[str | int, ...]) -> Any:
    """What stands at a path; None where nothing does."""
    for part in path:
        if isinstance(config, Mapping):
            config = config.get(part)
        elif isinstance(config, list) and isinstance(part, int) and part < len(config):
            config = config[part]
        else:
            return None
    return config


def _fields(processor: Any) -> list[tuple[str, Any]]:
    if not (isinstance(processor, type) and issubclass(processor, BaseModel)):
        return []
    return [(info.alias or name, info) for name, info in processor.model_fields.items()]


def _has_steps(annotation: Any) -> bool:
    pending = [annotation]
    while pending:
        hint = pending.pop()
        if hint is Step:
            return True
        pending.extend(typing.get_args(hint))
    return False
