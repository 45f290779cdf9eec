"""Which run a WebSocket connection was let in for."""

from __future__ import annotations

from chalicelib.store.table import Table

LIFE_SECONDS = 3 * 3600  # API Gateway ends every connection after two hours


def put_connection(table: Table, connection: str, run_id: str, now: int) -> None:
    """Remember the run that a connection brought a ticket for. `now` in epoch ms."""
    table.put({"pk": f"CONNECTION#{connection}", "sk": "CONNECTION", "run_id": run_id, "expires_at": now // 1000 + LIFE_SECONDS})


def run_of_connection(table: Table, connection: str) -> str | None:
    """The run, None for a connection that is not known (any more)."""
    item = table.get((f"CONNECTION#{connection}", "CONNECTION"))
    return str(item["run_id"]) if item else None


def forget_connection(table: Table, connection: str) -> None:
    """The connection is closed."""
    table.delete((f"CONNECTION#{connection}", "CONNECTION"))
