"""Requests and replies between Chalice and the handlers, and errors as RFC 9457 problems."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib import import_module
from itertools import islice
from typing import Any

from chalicelib.domain.errors import (
    FieldError,
    InvalidArgumentsError,
    InvalidRequestError,
    NightshiftError,
    RateLimitedError,
    http_status,
)
from chalicelib.engine.services import Services

MOST_ROWS = 100_000  # of a list that lies in memory: it is given whole where no limit is asked for
TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    409: "Conflict",
    412: "Precondition Failed",
    422: "Unprocessable Content",
    429: "Too Many Requests",
    500: "Internal Server Error",
}


@dataclass
class Request:
    """What a handler gets. Header names are lower case; `query` holds the last of repeated values."""

    services: Services
    params: dict[str, str] = field(default_factory=dict)
    query: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    raw_body: bytes = b""
    who: str = ""  # whose token it carries, where tokens have names

    def body(self, known: set[str]) -> dict[str, Any]:
        """The JSON object of the body (an empty body is an empty object). Raises InvalidRequestError, InvalidArgumentsError."""
        if not self.raw_body.strip():
            return {}
        try:
            value = json.loads(self.raw_body)
        except ValueError as error:
            raise InvalidRequestError(f"the body is not JSON: {error}") from None
        if not isinstance(value, dict):
            raise InvalidRequestError('the body has to be a JSON object, like {"args": {}}')
        unknown = sorted(set(value) - known)
        if unknown:
            says = f"unknown; known are {', '.join(sorted(known))}"
            raise InvalidArgumentsError("the body has unknown fields", [FieldError(k, says) for k in unknown])
        return value

    def number(self, name: str, default: int, most: int, least: int = 1) -> int:
        """A whole number of the query. Raises InvalidRequestError."""
        text = self.query.get(name, str(default))
        if not (text.isascii() and text.isdigit() and len(text) < 12) or not least <= int(text) <= most:
            says = f"has to be a whole number from {least} to {most}, not '{text}'"
            raise InvalidRequestError(f"{name} {says}", [FieldError(name, says)])
        return int(text)

    def choice(self, name: str, among: tuple[str, ...]) -> str | None:
        """One of some words of the query, or None. Raises InvalidRequestError."""
        value = self.query.get(name)
        if value is not None and value not in among:
            says = f"has to be one of {', '.join(among)}, not '{value}'"
            raise InvalidRequestError(f"{name} {says}", [FieldError(name, says)])
        return value

    def page(self, rows: Iterable[dict[str, Any]], key: str) -> tuple[list[dict[str, Any]], str | None]:
        """Rows that lie in memory, in order of their `key`: those behind the cursor, all or `limit` of them, and the next cursor.

        Raises InvalidRequestError.
        """
        limit = self.number("limit", MOST_ROWS, MOST_ROWS)
        behind = self.query.get("cursor", "")
        found = list(islice((row for row in rows if row[key] > behind), limit + 1))
        if "limit" not in self.query or len(found) <= limit:
            return found, None
        return found[:limit], found[limit - 1][key]


@dataclass
class Reply:
    """What a handler gives: JSON (dict or list), or text with its own content type."""

    body: Any
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


def call(handler: str, request: Request) -> Reply:
    """Run the handler `module:function` of chalicelib.api; errors become problems."""
    module, function = handler.split(":")
    try:
        reply = getattr(import_module(f"chalicelib.api.{module}"), function)(request)
        assert isinstance(reply, Reply)
        return reply
    except NightshiftError as error:
        return problem(error)
    except Exception:
        request.services.log.exception("a request failed")
        return problem(NightshiftError("something went wrong inside; the function's log says what"))


def problem(error: NightshiftError) -> Reply:
    """An error as `{type, title, status, detail, errors}`."""
    status = http_status(error)
    body: dict[str, Any] = {"type": "about:blank", "title": TITLES[status], "status": status, "detail": error.message}
    if error.errors:
        body["errors"] = [{"field": e.field, "message": e.message} for e in error.errors]
    headers = {"Content-Type": "application/problem+json"}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, RateLimitedError):
        headers["Retry-After"] = str(max(1, round(error.retry_after)))
    return Reply(body, status, headers)
