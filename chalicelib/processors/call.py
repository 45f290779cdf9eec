"""The processor `call`."""

from __future__ import annotations

import inspect
from typing import Any

from pydantic import Field

from chalicelib.catalog.decorators import processor
from chalicelib.domain.errors import StepError
from chalicelib.domain.handle import RunHandle
from chalicelib.processors.base import Processor
from chalicelib.processors.functions import FUNCTION_PATTERN, load_function, output_of


@processor("call")
class Call(Processor):
    """Calls any Python function with arguments of the step's own, and gives on what it returns.

    A function with a parameter `run` gets the run: it can say lines, show progress and use the workspace.
    """

    function: str = Field(pattern=FUNCTION_PATTERN, description="module:function, like chalicelib.tasks.reports:monthly")
    args: dict[str, Any] = Field({}, description="Its keyword arguments")

    def describe(self, run: RunHandle) -> str:
        """As Python would write it."""
        args = ", ".join(f"{name}={value!r}" for name, value in self.args.items())
        return f"Calls {self.function}({args})"

    def __call__(self, run: RunHandle) -> Any:
        """Output: what the function returns; anything but a mapping stands under `value`. A generator yields checkpoints."""
        function = load_function(self.function)
        return output_of(function(**self._arguments(function, run)))

    def _arguments(self, function: Any, run: RunHandle) -> dict[str, Any]:
        """The arguments, if the function takes them. StepError says which it does not."""
        try:
            signature = inspect.signature(function)
        except ValueError:  # some of C's tell nothing of themselves
            return self.args
        args = {"run": run, **self.args} if "run" in signature.parameters else self.args
        try:
            signature.bind(**args)
        except TypeError as error:
            raise StepError(f"{self.function}{signature}: {error}") from None
        return args
