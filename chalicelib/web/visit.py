"""One visit of a page: the request, where the product's root lies from there, and what a page gives back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from chalicelib.api.http import Reply, Request
from chalicelib.engine.services import Services


@dataclass
class Visit:
    """A request for a page.

    Links are relative to the page's own address, so they hold below any stage or base path: `root` climbs to the product's root.
    """

    request: Request
    resource: str  # the route's path, like /admin/task/{key}
    path: str  # as it was asked for: with the stage before it, and perhaps a slash at its end
    hosts: frozenset[str] = frozenset()  # the names this product answers to
    secure: bool = False  # whether the browser speaks HTTPS
    answer_headers: dict[str, Any] = field(default_factory=dict)

    @property
    def services(self) -> Services:
        """Table, catalog, settings."""
        return self.request.services

    @property
    def root(self) -> str:
        """`../../` for /admin/task/{key}."""
        depth = self.resource.count("/") - 1
        if self.path.endswith("/") and self.resource != "/":
            depth += 1
        return "../" * depth or "./"

    @property
    def here(self) -> str:
        """This page's own path below the root."""
        return self.resource.format_map({k: quote(v, safe="") for k, v in self.request.params.items()})

    def link(self, path: str, **query: Any) -> str:
        """The address of a path of this product (`/admin/task`), as seen from this page."""
        text = urlencode({k: v for k, v in query.items() if v not in (None, "")})
        return self.root + path.lstrip("/") + (f"?{text}" if text else "")

    @property
    def wants_json(self) -> bool:
        """Whether a program asks."""
        accept = self.request.headers.get("accept", "")
        return "json" in accept and "text/html" not in accept

    @property
    def fragment(self) -> str:
        """Which part of the page alone is wanted; empty for the whole."""
        return self.request.headers.get("x-fragment", "")

    def cookie(self, name: str) -> str:
        """A cookie's value, or nothing."""
        for part in self.request.headers.get("cookie", "").split(";"):
            key, _, value = part.strip().partition("=")
            if key == name:
                return value
        return ""


@dataclass
class View:
    """A page: `data` is its JSON, and with `extra` what its template sees."""

    template: str
    data: dict[str, Any]
    extra: dict[str, Any] = field(default_factory=dict)
    status: int = 200


def redirect(visit: Visit, path: str, **query: Any) -> Reply:
    """After a form: go and GET that page of ours."""
    return Reply("", 303, {"Location": visit.link(path, **query)})
