"""How a step says who it is to an HTTP server."""

from __future__ import annotations

from base64 import b64encode
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Credentials(BaseModel):
    """One of: username and password, bearer, api_key. Write them as `${secret:name}`."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    username: str | None = Field(None, description="For Basic authentication, with `password`")
    password: str | None = Field(None, description="For Basic authentication, with `username`")
    bearer: str | None = Field(None, min_length=1, description="A token, sent as `Authorization: Bearer …`")
    api_key: str | None = Field(None, min_length=1, description="Sent as `Authorization: ApiKey …`, as Elasticsearch takes it")

    @model_validator(mode="after")
    def _one(self) -> Self:
        basic = self.username is not None or self.password is not None
        if basic + (self.bearer is not None) + (self.api_key is not None) != 1:
            raise ValueError("give one of: username and password, bearer, api_key")
        if basic and (self.username is None or self.password is None):
            raise ValueError("username and password go together")
        if self.username is not None and ":" in self.username:
            raise ValueError("a user name holds no colon")
        if any(not part.isprintable() for part in (self.bearer or "", self.api_key or "")):
            raise ValueError("a token is one line of printable characters")
        return self

    def headers(self) -> dict[str, str]:
        """The header that says it."""
        if self.bearer is not None:
            return {"Authorization": f"Bearer {self.bearer}"}
        if self.api_key is not None:
            return {"Authorization": f"ApiKey {self.api_key}"}
        pair = f"{self.username}:{self.password}".encode()
        return {"Authorization": f"Basic {b64encode(pair).decode()}"}
