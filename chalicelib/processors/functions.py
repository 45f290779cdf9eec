"""Python functions by their name, `module:function`."""

from __future__ import annotations

from collections.abc import Callable, Generator
from importlib import import_module
from inspect import isgenerator
from typing import Any

from chalicelib.domain.errors import StepError

FUNCTION_PATTERN = r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$"


def load_function(reference: str) -> Callable[..., Any]:
    """The function of `module:function`. StepError when there is none; what the module itself raises passes as it is."""
    module_name, _, qualname = reference.partition(":")
    try:
        found: Any = import_module(module_name)
    except ModuleNotFoundError as error:
        # A package that the module itself misses is another thing, told as it is.
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise
        raise StepError(f"there is no module '{error.name}' for the function '{reference}'") from error
    for name in qualname.split("."):
        if not hasattr(found, name):
            raise StepError(f"'{module_name}' has no '{qualname}': give module:function")
        found = getattr(found, name)
    if not callable(found):
        raise StepError(f"'{reference}' is not a function")
    return found  # type: ignore[no-any-return]


def output_of(result: Any) -> Any:
    """A step's output of what a function returned: a mapping, None, or anything else under `value`.

    Of a generator it is what that returns in the end; what it yields are the step's checkpoints.
    """
    if isgenerator(result):
        steps: Generator[Any, None, Any] = result  # type: ignore[assignment]
        return _in_the_end(steps)
    return result if result is None or isinstance(result, dict) else {"value": result}


def _in_the_end(result: Generator[Any, None, Any]) -> Generator[Any, None, Any]:
    return output_of((yield from result))
