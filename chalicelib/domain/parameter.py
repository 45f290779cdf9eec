"""The arguments that a task takes."""

from __future__ import annotations

import re
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from chalicelib.domain.definition import Definition

ParameterType = Literal["text", "select", "boolean", "number", "date", "file", "multiline", "secret"]


class Choice(Definition):
    """One entry of a select parameter."""

    value: str | int | float | bool
    label: str = ""


class Parameter(Definition):
    """One argument that a task takes. Bounds that do not fit the type are refused."""

    name: str = Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", description="The argument's name")
    type: ParameterType = Field("text", description="Which kind")
    title: str = Field("", description="Label in the form; otherwise the name")
    help: str = Field("", description="A sentence below the field")
    required: bool = Field(False, description="Without it a run is refused")
    default: Any = Field(None, description="What holds when it is not given")
    choices: list[Choice] = Field([], description="Of a select: values, or {value, label}")
    pattern: str | None = Field(None, description="Regular expression that the whole text matches")
    min_length: int | None = Field(None, ge=0, description="Least characters")
    max_length: int | None = Field(None, ge=1, description="Most characters")
    minimum: float | str | None = Field(None, description="Lowest number, or earliest date")
    maximum: float | str | None = Field(None, description="Highest number, or latest date")
    integer: bool = Field(False, description="A number without a fraction")
    accept: str = Field("", description="File types, as in an HTML input: `.csv,text/csv`")
    max_bytes: int | None = Field(None, ge=1, description="Largest file")
    placeholder: str = Field("", description="Grey text in the empty field")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.type == "select" and not self.choices:
            raise ValueError("a select parameter needs choices, like choices: [sql, tar]")
        if self.type != "select" and self.choices:
            raise ValueError(f"choices belong to type: select, not to {self.type}")
        if self.pattern is not None:
            try:
                re.compile(self.pattern)
            except re.error as error:
                raise ValueError(f"pattern is not a regular expression: {error}") from None
        return self

    @field_validator("choices", mode="before")
    @classmethod
    def _plain_choices(cls, value: Any) -> Any:
        return [c if isinstance(c, dict | Choice) else {"value": c} for c in value] if isinstance(value, list) else value
