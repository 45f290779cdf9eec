"""Which function made which AWS request, for tests and for the curious."""

from __future__ import annotations

import time
from collections import Counter, deque
from typing import Any


class RequestLog:
    """Keeps the last requests. `seq` numbers them from 1; a marker is the seq of the last one seen."""

    def __init__(self, keep: int = 50_000) -> None:
        self.entries: deque[tuple[int, float, str, str, str, int, float]] = deque(maxlen=keep)
        self.seq = 0

    def add(self, function: str, service: str, operation: str, status: int, seconds: float) -> None:
        self.seq += 1
        self.entries.append((self.seq, time.time(), function, service, operation, status, seconds))

    def since(self, marker: int, function: str | None = None, listed: bool = True) -> dict[str, Any]:
        """{"marker", "total", "counts": {"dynamodb.GetItem": n}, "requests": [...]} after the marker."""
        found = [e for e in self.entries if e[0] > marker and (function is None or e[2] == function)]
        report: dict[str, Any] = {
            "marker": self.seq,
            "total": len(found),
            "counts": dict(Counter(f"{e[3]}.{e[4]}" for e in found)),
        }
        if listed:
            names = ("seq", "at", "function", "service", "operation", "status", "seconds")
            report["requests"] = [dict(zip(names, e, strict=True)) for e in found]
        return report
