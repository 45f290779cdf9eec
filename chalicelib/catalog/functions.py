"""Checks that the functions which steps call by name are there."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from chalicelib.catalog.faults import Fault, Path, suggestion
from chalicelib.catalog.pipelines import ENDINGS, Processors
from chalicelib.catalog.python_source import PACKAGE
from chalicelib.domain.model import Pipeline, Step
from chalicelib.domain.nesting import step_fields, step_lists
from chalicelib.domain.references import has_reference

CALLERS = ("call", "python")
"""The processors whose `function` is `module:function`."""


def function_faults(pipeline: Pipeline, processors: Processors) -> list[Fault]:
    """Steps whose function cannot be found. Only the project's own modules are looked into; others have to be there."""
    faults = []
    lists = {"processors": pipeline.steps} | {name: getattr(pipeline, name) for name in ENDINGS}
    for name, steps in lists.items():
        for step, path in _callers(steps, (name,), processors):
            function = step.config.get("function")
            if isinstance(function, str) and not has_reference(function) and (wrong := _fault(function)) is not None:
                faults.append(Fault((*path, step.processor, "function"), *wrong))
    return faults


def _callers(steps: Iterable[Step], path: Path, processors: Processors) -> Iterator[tuple[Step, Path]]:
    for index, step in enumerate(steps):
        if step.processor in CALLERS:
            yield step, (*path, index)
        cls: Any = processors.get(step.processor)
        for key in step_fields(cls):
            around = () if step.processor == "if" else (step.processor,)  # its branches stand beside it
            for inner, entries in step_lists(step.config.get(key), (*path, index, *around, key)):
                yield from _callers(map(Step.model_validate, entries), inner, processors)


def _fault(function: str) -> tuple[str, str] | None:
    module, _, qualname = function.partition(":")
    if module != PACKAGE and not module.startswith(f"{PACKAGE}."):
        return None if _is_there(module) else (f"there is no module '{module}'", "module:function, as Python imports it")
    found: Any = sys.modules.get(module)
    if found is None:
        own = [name for name in sys.modules if name.startswith(f"{PACKAGE}.")]
        return f"there is no module '{module}'", suggestion(module, own)
    for name in qualname.split("."):
        if not hasattr(found, name):
            functions = [known for known, value in vars(found).items() if callable(value) and not known.startswith("_")]
            return f"'{module}' has no '{qualname}'", suggestion(name, functions)
        found = getattr(found, name)
    return None if callable(found) else (f"'{function}' is not a function", "module:function")


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError, AttributeError):
        return False
