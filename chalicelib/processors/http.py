"""The processor `http`."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from chalicelib.catalog.decorators import processor
from chalicelib.domain.errors import StepError
from chalicelib.domain.handle import RunHandle
from chalicelib.processors.base import Duration, Processor
from chalicelib.processors.bodies import made, one_file, reading
from chalicelib.processors.credentials import Credentials
from chalicelib.processors.failures import said_plainly
from chalicelib.processors.http_client import Headers, Reply, Request, Url, ask, shown_url
from chalicelib.processors.meter import Meter, size_text
from chalicelib.processors.paths import Location, destination_of, file_below, into_folder

Status = Annotated[int, Field(ge=100, le=599)] | Annotated[str, Field(pattern=r"^[1-5]xx$")]

_MOST_KEPT = 250_000  # bytes of an answer that is not saved: it is kept with the run
_MOST_SAVED = 5_000_000_000


@processor("http")
class Http(Processor):
    """Sends one HTTP request, and gives the answer to the steps after it or saves it to a file.

    Certificates are verified. A status of 5xx or 429, a broken connection and a timeout are worth another attempt; other
    unexpected statuses are not.
    """

    model_config = ConfigDict(hide_input_in_errors=True)

    url: Url = Field(description="Where to, http or https", examples=["https://api.example.com/orders"])
    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] = Field("GET", description="The method")
    headers: Headers = Field(default_factory=dict, description="Headers to send", examples=[{"Accept": "application/json"}])
    params: dict[str, str | int | float | bool | list[str | int | float]] = Field(
        default_factory=dict, description="Added to the URL's query, escaped", examples=[{"page": 1, "tag": ["a", "b"]}]
    )
    json_body: Any = Field(None, alias="json", description="A body sent as JSON", examples=[{"name": "value"}])
    form: dict[str, str | int | float | bool] | None = Field(None, description="A body sent like an HTML form")
    body: str | None = Field(None, description="A body sent as it is, in UTF-8; say its Content-Type in `headers`")
    file: Location | None = Field(None, description="A file sent as the body, streamed")
    auth: Credentials | None = Field(None, description="Who is asking: username and password, bearer, or api_key")
    expect: list[Status] = Field(["2xx"], min_length=1, description="Statuses that are well", examples=[["2xx", 404]])
    save_to: Location | None = Field(None, description="Where to save the answer; a name, or a folder ending in /. Takes {date}")
    max_bytes: int | None = Field(None, gt=0, description="Longest answer; default: 250 kB, 5 GB with `save_to`")
    timeout: Duration = Field(30.0, gt=0, description="For the whole exchange, the answer's body included")
    follow_redirects: bool = Field(True, description="Go where the server points to; headers that may be secret stay behind")
    trusted: Location | None = Field(None, description="PEM file of certificates to trust instead of the system's")

    @model_validator(mode="after")
    def _one_body(self) -> Self:
        given = [name for name in ("json_body", "form", "body", "file") if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError("give one of json, form, body, file")
        if given and self.method in ("GET", "HEAD"):
            raise ValueError(f"{self.method} carries no body: say method: POST or PUT")
        return self

    def describe(self, run: RunHandle) -> str:
        """What it would do, in one sentence."""
        return f"sends {self.method} {shown_url(self.url)}" + (f" and saves the answer to {self.save_to}" if self.save_to else "")

    def __call__(self, run: RunHandle) -> dict[str, Any]:
        """Output: status, headers (lower case, no cookies), url (where redirects led), seconds, bytes; json or text, or path."""
        began = time.monotonic()
        with self._body(run) as (body, headers):
            request = Request(
                self.method,
                self._address(),
                {**headers, **self.headers, **(self.auth.headers() if self.auth else {})},
                body,
                self.timeout,
                self.follow_redirects,
                self.trusted,
            )
            with ask(run, request) as reply:
                if not expected(reply.status, self.expect):
                    raise reply.refused()
                output: dict[str, Any] = {"status": reply.status, "headers": _shown(reply.headers), "url": reply.url}
                output |= self._saved(run, reply) if self.save_to else self._kept(reply)
        output["seconds"] = round(time.monotonic() - began, 3)
        run.log(f"{self.method} {reply.shown}: {reply.status} {reply.reason}, {size_text(output['bytes'])}")
        return output

    def _address(self) -> str:
        from urllib.parse import urlencode

        pairs = [(name, one) for name, value in self.params.items() for one in (value if isinstance(value, list) else [value])]
        if not pairs:
            return self.url
        query = urlencode([(name, str(one).lower() if isinstance(one, bool) else str(one)) for name, one in pairs])
        address, hash_, fragment = self.url.partition("#")
        return f"{address}{'&' if '?' in address else '?'}{query}{hash_}{fragment}"

    @contextmanager
    def _body(self, run: RunHandle) -> Iterator[tuple[bytes | IO[bytes] | None, dict[str, str]]]:
        from urllib.parse import urlencode

        if self.json_body is not None:
            yield json.dumps(self.json_body).encode(), {"Content-Type": "application/json"}
        elif self.form is not None:
            yield urlencode(self.form).encode(), {"Content-Type": "application/x-www-form-urlencoded"}
        elif self.file is not None:
            entry = one_file(run, self.file)
            with reading(entry) as stream:
                yield stream, {"Content-Type": "application/octet-stream", "Content-Length": str(entry.size)}
        else:
            yield None if self.body is None else self.body.encode(), {}

    def _kept(self, reply: Reply) -> dict[str, Any]:
        content = reply.read(self.max_bytes or _MOST_KEPT)
        kind, _, more = reply.headers.get("content-type", "").lower().partition(";")
        output: dict[str, Any] = {"bytes": len(content)}
        if content and (kind.strip() == "application/json" or kind.strip().endswith("+json")):
            try:
                return output | {"json": json.loads(content)}
            except ValueError as error:
                raise StepError(f"{reply.shown} answered what is no JSON, though it says so: {error}") from error
        charset = more.partition("charset=")[2].split(";")[0].strip(" \"'") or "utf-8"
        # What is no text, an image say, is counted only.
        with suppress(UnicodeDecodeError, LookupError):
            output["text"] = content.decode(charset)
        return output

    def _saved(self, run: RunHandle, reply: Reply) -> dict[str, Any]:
        from urllib.parse import urlsplit

        assert self.save_to is not None
        target = destination_of(run, self.save_to)
        if into_folder(self.save_to, target):
            target = file_below(run, target, Path(urlsplit(reply.url).path).name.lstrip(".") or "answer")
        most = self.max_bytes or _MOST_SAVED
        # How much is coming is known only where it comes as it is.
        coming = reply.headers.get("content-length", "") if "content-encoding" not in reply.headers else ""
        meter = Meter(run, int(coming)) if coming.isdigit() and int(coming) else None
        size = 0
        with said_plainly(f"saving {target}"), made(run, target) as partial, partial.open("wb") as writer:
            for block in reply.blocks():
                size += len(block)
                if size > most:
                    raise StepError(f"{reply.shown} answered more than {most} bytes")
                writer.write(block)
                if meter:
                    meter.add(len(block))
                    meter.show()
        return {"bytes": size, "path": str(target)}


def _shown(headers: dict[str, str]) -> dict[str, str]:
    """Without what lets others in."""
    return {name: value for name, value in headers.items() if name not in ("set-cookie", "set-cookie2")}


def expected(status: int, allowed: list[Status]) -> bool:
    """Whether a status is one of these: numbers, or classes like `2xx`."""
    return any(status == one or f"{status // 100}xx" == one for one in allowed)
