"""What can go wrong between a client and its server.

    ClientError
    ├── Unreachable      nobody answered
    ├── InvalidAnswer    somebody answered, but not Nightshift
    └── ProblemError     the server said no (RFC 9457)

The text of each is one line for the person at the terminal.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any


class ClientError(Exception):
    """Every error that a client raises on its own account."""


class Unreachable(ClientError):
    """Nobody answered. `url` is the base URL that was tried, `reason` what the socket said."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(f"cannot reach {url} ({reason}): is `nightshift up` running, or is NIGHTSHIFT_URL wrong?")
        self.url = url
        self.reason = reason


class InvalidAnswer(ClientError):
    """A success whose body is not what the contract promises: most often another server behind the URL."""


class ProblemError(ClientError):
    """An answer of 400 or more.

    `errors` has the fields of a 422: `[{"field": …, "message": …}]`, empty for other problems.
    """

    def __init__(self, status: int, title: str, detail: str = "", errors: Sequence[dict[str, str]] = ()) -> None:
        self.status = status
        self.title = title
        self.detail = detail
        self.errors = list(errors)
        super().__init__(self._text())

    def _text(self) -> str:
        text = self.detail or self.title
        if self.status == HTTPStatus.UNAUTHORIZED:
            text += "; give the token with --token or NIGHTSHIFT_TOKEN"
        fields = ", ".join(f"{error['field']}: {error['message']}" for error in self.errors)
        return f"{text} ({fields})" if fields else text

    @classmethod
    def from_response(cls, status: int, reason: str, body: bytes) -> ProblemError:
        """Read a problem document. Gateways answer `{"message": …}` or plain text instead: that becomes the detail."""
        title = reason or _phrase(status)
        try:
            document: Any = json.loads(body)
        except ValueError:
            return cls(status, title, "" if body.lstrip().startswith(b"<") else body.decode(errors="replace")[:200])
        if not isinstance(document, dict):
            return cls(status, title)
        errors = [
            {"field": str(error.get("field", "")), "message": str(error.get("message", ""))}
            for error in document.get("errors") or []
            if isinstance(error, dict)
        ]
        detail = document.get("detail") or document.get("message") or ""
        return cls(status, str(document.get("title") or title), str(detail), errors)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return f"HTTP {status}"
