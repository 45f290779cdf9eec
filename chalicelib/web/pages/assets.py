"""Static files."""

from __future__ import annotations

from chalicelib.api.http import Reply
from chalicelib.domain.errors import NotFoundError
from chalicelib.web.static_files import KINDS, files, version
from chalicelib.web.visit import Visit

FOREVER = "public, max-age=31536000, immutable"


def show(visit: Visit) -> Reply:
    """A file; kept by caches for ever when it was asked for by its present version, else not at all."""
    path = files().get(visit.request.params["name"])
    if path is None:
        raise NotFoundError("there is no such file")
    current = visit.request.params["version"] == version()
    headers = {"Content-Type": KINDS[path.suffix], "Cache-Control": FOREVER if current else "no-cache", "Vary": "Accept-Encoding"}
    return Reply(path.read_text(encoding="utf-8"), headers=headers)
