"""The processor `python`."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from chalicelib.catalog.decorators import call_task, processor
from chalicelib.domain.handle import RunHandle
from chalicelib.processors.base import Processor
from chalicelib.processors.functions import FUNCTION_PATTERN, load_function, output_of


@processor("python")
class Python(Processor):
    """Calls a Python function with the run's arguments: the step that every @task consists of."""

    function: str = Field(pattern=FUNCTION_PATTERN, description="module:function, like chalicelib.tasks.reports:monthly")

    def __call__(self, run: RunHandle) -> Any:
        """Output: what the function returns; anything but a mapping stands under `value`. A generator yields checkpoints."""
        return output_of(call_task(load_function(self.function), run, run.args))
