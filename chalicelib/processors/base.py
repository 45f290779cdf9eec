"""What every processor is: a pydantic model of its configuration that is called with the run."""

from __future__ import annotations

import inspect
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, WithJsonSchema

from chalicelib.domain.definition import Seconds
from chalicelib.domain.handle import RunHandle

# With what forms and editors are told of it.
Duration = Annotated[Seconds, WithJsonSchema({"type": ["string", "number"], "examples": ["45s", "1m30s", "7d"]})]


MOST_SHOWN = 80  # characters of a value within a sentence


class Processor(BaseModel):
    """A kind of step. Its fields are its configuration; an unknown key is refused when the catalog is compiled.

    A subclass is registered with `@processor("name")` from chalicelib.catalog.decorators; its docstring is its
    description. A plain BaseModel with `__call__` will do as well: this base adds the strictness and `applies`.
    """

    model_config = ConfigDict(extra="forbid")

    def applies(self, failed: bool) -> bool:
        """Whether the step runs at all, `failed` saying that a step before it failed. Steps go on while all is well."""
        return not failed

    def describe(self, run: RunHandle) -> str:
        """One sentence of what the step would do, for a dry run; references to steps are texts like `‹steps.dump.output.path›`."""
        return describe_by_docstring(self)

    def __call__(self, run: RunHandle) -> dict[str, Any] | None:
        """Do the work. What is returned is the step's output (JSON); what is raised fails the step."""
        raise NotImplementedError


def first_sentence(processor: type[Any]) -> str:
    """Of a processor's description."""
    paragraph = inspect.cleandoc(processor.__doc__ or "").split("\n\n")[0].replace("\n", " ")
    return f"{paragraph} ".split(". ")[0].strip(". ")


def describe_by_docstring(processor: BaseModel) -> str:
    """The first sentence of a processor's description, and the values it was given as far as they are short."""
    sentence = first_sentence(type(processor))
    given = {name: getattr(processor, name) for name in type(processor).model_fields if name in processor.model_fields_set}
    shown = {name: value for name, value in given.items() if isinstance(value, str | int | float) and len(str(value)) <= MOST_SHOWN}
    values = ", ".join(f"{name} {value}" for name, value in shown.items())
    return f"{sentence} ({values})" if sentence and values else sentence or values
