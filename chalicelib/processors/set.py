"""The processor `set`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Self

from pydantic import ConfigDict, model_validator

from chalicelib.catalog.decorators import processor
from chalicelib.domain.errors import StepError
from chalicelib.domain.handle import RunHandle
from chalicelib.processors.control import Checkpoints, Control, Flow

NAME = r"[A-Za-z_]\w*"


@processor("set")
class Set(Control):
    """Sets variables: `- set: {day: "${run.date}", keep: 7}`. The steps after it refer to them as `${vars.day}`."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Any]

    @model_validator(mode="after")
    def _names_to_refer_to(self) -> Self:
        import re

        if not self.__pydantic_extra__:
            raise ValueError("sets nothing: write it like set: {day: 2026-01-31}")
        for name in self.__pydantic_extra__:
            if not re.fullmatch(NAME, name):
                raise ValueError(f"'{name}' cannot be a variable's name: letters, digits and _")
        return self

    @classmethod
    def keeps(cls, config: Mapping[str, Any]) -> Iterable[str]:
        """All of them."""
        return config

    def describe(self, run: RunHandle) -> str:
        """What it sets."""
        return f"Sets {', '.join(self.__pydantic_extra__)}"

    def control(self, run: RunHandle, flow: Flow) -> Checkpoints:
        """Output: the variables that it set."""
        import json

        values = dict(self.__pydantic_extra__)
        try:
            json.dumps(values)
        except (TypeError, ValueError) as error:
            raise StepError(f"a variable is JSON: {error}") from None
        flow.set_variables(values)
        yield from ()
        return values
