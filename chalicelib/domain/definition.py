"""What every part of the catalog has in common."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict

from chalicelib.domain.durations import seconds_of

Seconds = Annotated[float, BeforeValidator(seconds_of)]
"""Written like 45s, 1m30s, 2h or 1d; a bare number is seconds."""


class Definition(BaseModel):
    """A part of the catalog: immutable, and an unknown key is an error."""

    # Python's own words (`except`, `from`) are keys too: read and dumped by alias, named differently in code.
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, serialize_by_alias=True)
