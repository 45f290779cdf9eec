"""The processor `check_http`."""

from __future__ import annotations

import json
import time
from typing import Any, Literal

from pydantic import ConfigDict, Field, field_validator

from chalicelib.catalog.decorators import processor
from chalicelib.domain.errors import StepError
from chalicelib.domain.handle import RunHandle
from chalicelib.processors.base import Duration, Processor
from chalicelib.processors.credentials import Credentials
from chalicelib.processors.http import Status, expected
from chalicelib.processors.http_client import Headers, Reply, Request, Url, ask, shown_url
from chalicelib.processors.paths import Location

_MOST_READ = 10_000_000  # bytes
_MISSING = object()


@processor("check_http")
class CheckHttp(Processor):
    """Fails when a URL does not answer as it should: status, text, a value in JSON, how fast, how long its certificate lasts.

    All that is wrong is said at once. A server that does not answer, or answers 5xx or 429, is worth another attempt.
    """

    model_config = ConfigDict(hide_input_in_errors=True)

    url: Url = Field(description="What to ask, http or https", examples=["https://www.example.com/health"])
    method: Literal["GET", "HEAD", "POST", "OPTIONS"] = Field("GET", description="The method")
    headers: Headers = Field(default_factory=dict, description="Headers to send")
    auth: Credentials | None = Field(None, description="Who is asking: username and password, bearer, or api_key")
    status: list[Status] = Field(["2xx"], min_length=1, description="Statuses that are well", examples=[["2xx", 401]])
    contains: list[str] = Field(default_factory=list, description="Texts that the answer must hold; one or a list")
    lacks: list[str] = Field(default_factory=list, description="Texts that the answer must not hold; one or a list")
    json_values: dict[str, Any] = Field(
        default_factory=dict,
        alias="json",
        description="Values that the JSON answer must have, by dotted path",
        examples=[{"status": "green", "nodes.0.alive": True}],
    )
    max_latency: Duration | None = Field(None, gt=0, description="Longest time for the whole answer")
    certificate_days: int | None = Field(None, ge=0, description="Fail when the certificate expires in fewer days")
    timeout: Duration = Field(10.0, gt=0, description="When to give up")
    follow_redirects: bool = Field(True, description="Go where the server points to")
    trusted: Location | None = Field(None, description="PEM file of certificates to trust instead of the system's")

    @field_validator("contains", "lacks", "status", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        return [value] if isinstance(value, str | int) else value

    def describe(self, run: RunHandle) -> str:
        """What it would do, in one sentence."""
        return f"checks that {shown_url(self.url)} answers {', '.join(map(str, self.status))}"

    def __call__(self, run: RunHandle) -> dict[str, Any]:
        """Output: status, seconds, bytes, url (where redirects led), certificate_days (with https and if asked for)."""
        began = time.monotonic()
        headers = {**self.headers, **(self.auth.headers() if self.auth else {})}
        request = Request(self.method, self.url, headers, None, self.timeout, self.follow_redirects, self.trusted)
        with ask(run, request) as reply:
            if not expected(reply.status, self.status):
                raise reply.refused()
            content = reply.read(_MOST_READ)
        seconds = round(time.monotonic() - began, 3)
        output: dict[str, Any] = {"status": reply.status, "seconds": seconds, "bytes": len(content), "url": reply.url}
        problems = [*self._wrong_text(content), *self._wrong_values(content)]
        if self.max_latency is not None and seconds > self.max_latency:
            problems.append(f"it took {seconds:g} s, at most {self.max_latency:g} s are allowed")
        problems += self._wrong_certificate(run, reply, output)
        if problems:
            raise StepError(f"{reply.shown} is not well: {'; '.join(problems)}")
        run.log(f"{reply.shown}: {reply.status} {reply.reason} in {seconds:g} s")
        return output

    def _wrong_text(self, content: bytes) -> list[str]:
        text = content.decode("utf-8", "replace") if self.contains or self.lacks else ""
        missing = [f"the answer does not hold {one!r}" for one in self.contains if one not in text]
        return missing + [f"the answer holds {one!r}" for one in self.lacks if one in text]

    def _wrong_values(self, content: bytes) -> list[str]:
        if not self.json_values:
            return []
        try:
            found = json.loads(content)
        except ValueError:
            return ["the answer is no JSON"]
        problems = []
        for path, wanted in self.json_values.items():
            value = _at(found, path)
            if value is _MISSING:
                problems.append(f"the answer has no '{path}'")
            elif value != wanted or isinstance(value, bool) is not isinstance(wanted, bool):
                problems.append(f"'{path}' is {json.dumps(value)[:100]}, not {json.dumps(wanted, default=str)[:100]}")
        return problems

    def _wrong_certificate(self, run: RunHandle, reply: Reply, output: dict[str, Any]) -> list[str]:
        from urllib.parse import urlsplit

        parts = urlsplit(self.url)
        if self.certificate_days is None:
            return []
        if parts.scheme != "https" or not parts.hostname:
            return ["there is no certificate without https"]
        from chalicelib.processors.certificates import shown_by

        found = shown_by(parts.hostname, parts.port or 443, parts.hostname, max(0.1, min(self.timeout, run.remaining())))
        output["certificate_days"] = found.days_left
        if found.days_left < self.certificate_days:
            return [f"its certificate expires in {found.days_left} days, on {found.not_after:%Y-%m-%d}"]
        return []


def _at(value: Any, path: str) -> Any:
    """The value at a dotted path; numbers count into lists."""
    for part in path.split("."):
        if isinstance(value, dict) and part in value:
            value = value[part]
        elif isinstance(value, list) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        else:
            return _MISSING
    return value
