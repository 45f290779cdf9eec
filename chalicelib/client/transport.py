"""HTTP with kept-alive connections, on the standard library."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit

from chalicelib.client.errors import ClientError, InvalidAnswer, ProblemError, Unreachable

TIMEOUT = 40.0
"""Seconds. API Gateway gives up after 29, and `_run` waits up to 25: longer than both."""

_GONE = (ConnectionResetError, BrokenPipeError, ConnectionAbortedError, http.client.RemoteDisconnected)
"""How a connection looks that the other side has closed: worth one more try on a new one."""


class Response(NamedTuple):
    """A success (below 400) with its raw body."""

    status: int
    body: bytes

    def json(self) -> Any:
        """The body as JSON; `InvalidAnswer` when it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            raise InvalidAnswer(f"expected JSON, got: {self.body[:80]!r}; is the URL that of a Nightshift?") from None


class Transport:
    """Requests against one base URL. Safe to share between threads: an idle connection has one user at a time."""

    def __init__(self, url: str, token: str, timeout: float = TIMEOUT, agent: str = "nightshift-client") -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ClientError(f"not a URL with http:// or https://: {url!r}")
        self.url = url
        self._host, self._port = parts.hostname, parts.port
        self._secure = parts.scheme == "https"
        self._base = parts.path.rstrip("/")
        self._timeout = timeout
        self._headers = {"Accept": "application/json", "User-Agent": agent}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"
        self._idle: list[http.client.HTTPConnection] = []

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        idempotent: bool | None = None,
    ) -> Response:
        """Send one request and read the whole answer.

        Query values that are None are left out. An idempotent request (by default all but POST and PATCH) may use an
        idle connection and is sent once more when it is cut before the answer; any other gets a connection of its own.

        Raises `ProblemError` for 400 and above, `Unreachable` when nobody answers.
        """
        if idempotent is None:
            idempotent = method not in ("POST", "PATCH")
        target = self._base + path
        if given := {key: value for key, value in (query or {}).items() if value is not None}:
            target += "?" + urlencode(given)
        payload = None if body is None else json.dumps(body).encode()
        sent = self._headers | dict(headers or {}) | ({"Content-Type": "application/json"} if payload else {})

        attempts = 2 if idempotent else 1
        while True:
            attempts -= 1
            # The second try never takes an idle connection: the ones beside a dead one are dead too.
            connection = self._idle.pop() if self._idle and idempotent and attempts else self._connect()
            try:
                connection.request(method, target, body=payload, headers=sent)
                response = connection.getresponse()
                content = response.read()
            except BaseException as error:
                connection.close()
                if attempts and isinstance(error, _GONE):
                    continue
                if isinstance(error, (OSError, http.client.HTTPException)):
                    raise Unreachable(self.url, _reason(error)) from error
                raise
            if response.will_close:
                connection.close()
            else:
                self._idle.append(connection)
            if response.status >= 400:
                raise ProblemError.from_response(response.status, response.reason, content)
            return Response(response.status, content)

    def close(self) -> None:
        """Close what is idle. The transport stays usable."""
        while self._idle:
            self._idle.pop().close()

    def _connect(self) -> http.client.HTTPConnection:
        kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        return kind(self._host, self._port, timeout=self._timeout)


def _reason(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return text.lower() if text[:1].isupper() and not text[1:2].isupper() else text
