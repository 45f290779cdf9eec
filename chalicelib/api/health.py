"""Route /healthz."""

from __future__ import annotations

from chalicelib.api.http import Reply, Request
from chalicelib.store.semaphores import read_semaphore


def healthz(request: Request) -> Reply:
    """200 when the table answers and the catalog is loaded. Says nothing that a stranger may not know."""
    read_semaphore(request.services.table, "global")
    return Reply({"status": "ok"})
