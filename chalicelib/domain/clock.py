"""Instants: epoch milliseconds inside, ISO 8601 UTC with `Z` outside."""

from __future__ import annotations

import time
from datetime import UTC, datetime


def now_ms() -> int:
    """Now, in milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def iso(ms: int) -> str:
    """`2026-01-31T02:00:00.000Z` for milliseconds since 1970."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{ms % 1000:03d}Z"


def parse_iso(text: str) -> int:
    """Milliseconds since 1970 of an ISO 8601 instant with a zone. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("give a zone, like 2026-01-31T02:00:00Z")
    return round(moment.timestamp() * 1000)
