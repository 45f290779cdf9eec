"""The processor `python`."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from pydantic import Field

from chalicelib.catalog.decorators import call_task, processor
from chalicelib.domain.errors import StepError
from chalicelib.domain.handle import RunHandle
from chalicelib.processors.base import Processor


@processor("python")
class Python(Processor):
    """Calls a Python function with the run's arguments: the step that every @task consists of."""

    function: str = Field(
        pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$",
        description="module:function, like chalicelib.tasks.reports:monthly",
    )

    def __call__(self, run: RunHandle) -> dict[str, Any] | None:
        """Output: what the function returns; anything but a mapping stands under `value`."""
        result = call_task(self._function(), run, run.args)
        return result if result is None or isinstance(result, dict) else {"value": result}

    def _function(self) -> Any:
        module_name, _, qualname = self.function.partition(":")
        try:
            found: Any = import_module(module_name)
        except ModuleNotFoundError as error:
            # A package that the module itself misses is another thing, told as it is.
            if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
                raise
            raise StepError(f"there is no module '{error.name}' for the function '{self.function}'") from error
        for name in qualname.split("."):
            if not hasattr(found, name):
                raise StepError(f"'{module_name}' has no '{qualname}': give module:function")
            found = getattr(found, name)
        if not callable(found):
            raise StepError(f"'{self.function}' is not a function")
        return found
