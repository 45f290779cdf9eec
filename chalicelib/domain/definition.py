"""What every part of the catalog has in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Definition(BaseModel):
    """A part of the catalog: immutable, and an unknown key is an error."""

    # Python's own words (`except`, `from`) are keys too: read and dumped by alias, named differently in code.
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, serialize_by_alias=True)
