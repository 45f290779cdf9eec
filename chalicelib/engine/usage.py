"""What a run has used of its machine."""

from __future__ import annotations

import resource
import sys
from typing import Any


class Meter:
    """CPU time and memory from now on, added to what earlier legs have used."""

    def __init__(self, before: dict[str, Any] | None = None) -> None:
        self._before = before or {}
        self._cpu = _cpu_seconds()

    def read(self) -> dict[str, Any]:
        """`{cpu_seconds, peak_memory_mb}` of this process and its children; the peak is the process's own, of all it ever ran."""
        return {
            "cpu_seconds": round(self._before.get("cpu_seconds", 0.0) + _cpu_seconds() - self._cpu, 3),
            "peak_memory_mb": max(self._before.get("peak_memory_mb", 0.0), _peak_memory_mb()),
        }


def _cpu_seconds() -> float:
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def _peak_memory_mb() -> float:
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    unit = 1024 * 1024 if sys.platform == "darwin" else 1024  # ru_maxrss is in KiB on Linux, in bytes on macOS
    return round(max(own.ru_maxrss, children.ru_maxrss) / unit, 1)
