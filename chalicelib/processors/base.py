"""What every processor is: a pydantic model of its configuration that is called with the run."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, WithJsonSchema

from chalicelib.domain.durations import seconds_of
from chalicelib.domain.handle import RunHandle

# Seconds, written like 45s, 1m30s, 2h or 1d; a bare number is seconds.
Duration = Annotated[
    float,
    BeforeValidator(seconds_of),
    WithJsonSchema({"type": ["string", "number"], "examples": ["45s", "1m30s", "7d"]}),
]


class Processor(BaseModel):
    """A kind of step. Its fields are its configuration; an unknown key is refused when the catalog is compiled.

    A subclass is registered with `@processor("name")` from chalicelib.catalog.decorators; its docstring is its
    description. A plain BaseModel with `__call__` will do as well: this base adds the strictness and `applies`.
    """

    model_config = ConfigDict(extra="forbid")

    def applies(self, failed: bool) -> bool:
        """Whether the step runs at all, `failed` saying that a step before it failed. Steps go on while all is well."""
        return not failed

    def __call__(self, run: RunHandle) -> dict[str, Any] | None:
        """Do the work. What is returned is the step's output (JSON); what is raised fails the step."""
        raise NotImplementedError
