"""The processor `echo`."""

from __future__ import annotations

from typing import Any, Self

from pydantic import Field, model_validator

from chalicelib.catalog.decorators import processor
from chalicelib.domain.handle import RunHandle
from chalicelib.processors.base import Processor


@processor("echo")
class Echo(Processor):
    """Says a message, or several lines, as output of the run."""

    message: str | None = Field(None, description="What to say; may have several lines")
    lines: list[str] = Field([], description="One line each")

    @model_validator(mode="after")
    def _something_to_say(self) -> Self:
        if self.message is None and not self.lines:
            raise ValueError("give message: a text, or lines: a list")
        return self

    def __call__(self, run: RunHandle) -> dict[str, Any]:
        """Output: lines (how many)."""
        lines = [*(self.message or "").splitlines(), *self.lines]
        for line in lines:
            run.write(line)
        return {"lines": len(lines)}
