"""What a run has used of its machine."""

from __future__ import annotations

import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

LOOK_EVERY = 1.0  # seconds at least between two looks at a workspace, which may have many files


class Meter:
    """CPU time, memory and disk from now on, added to what earlier legs have used."""

    def __init__(self, before: dict[str, Any] | None = None) -> None:
        self._before = before or {}
        self._cpu = _cpu_seconds()
        self._disk: float = self._before.get("disk_mb", 0.0)
        self._looked = -LOOK_EVERY

    def look_at(self, workspace: Path, *, at_last: bool = False) -> None:
        """Remember how much lies in the workspace, if that is the most so far; `at_last` whenever that was done before."""
        if at_last or time.monotonic() - self._looked >= LOOK_EVERY:
            self._disk = max(self._disk, round(_bytes_in(workspace) / 1_000_000, 1))
            self._looked = time.monotonic()

    def read(self) -> dict[str, Any]:
        """`{cpu_seconds, peak_memory_mb, disk_mb}` of this process and its children; the memory's peak is the process's own, of all
        it ever ran; the disk is the most that lay in the workspace after a step, or at the end."""
        return {
            "cpu_seconds": round(self._before.get("cpu_seconds", 0.0) + _cpu_seconds() - self._cpu, 3),
            "peak_memory_mb": max(self._before.get("peak_memory_mb", 0.0), _peak_memory_mb()),
            "disk_mb": self._disk,
        }


def _bytes_in(folder: Path) -> int:
    """Of its files, in all its folders. What comes or goes meanwhile may be counted or not."""
    found, pending = 0, [str(folder)]
    while pending:
        try:
            with os.scandir(pending.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
                    else:
                        found += entry.stat(follow_symlinks=False).st_size
        except OSError:
            continue
    return found


def _cpu_seconds() -> float:
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def _peak_memory_mb() -> float:
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    unit = 1024 * 1024 if sys.platform == "darwin" else 1024  # ru_maxrss is in KiB on Linux, in bytes on macOS
    return round(max(own.ru_maxrss, children.ru_maxrss) / unit, 1)
