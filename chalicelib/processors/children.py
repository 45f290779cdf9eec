"""Ending a child process and whatever it has started."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psutil

GRACE = 1.0  # seconds between SIGTERM and SIGKILL
MARKER = "NIGHTSHIFT_EXEC"  # the variable by which a descendant is known that has left the process group


class Family:
    """The descendants of a command: known by their parents, their group, or the marker in their environment."""

    def __init__(self, process: subprocess.Popen[bytes] | None, marker: str) -> None:
        self.process, self.marker = process, marker
        self._seen: set[psutil.Process] = set()  # also those whose parents have ended meanwhile

    def alive(self) -> set[int]:
        """The ids of those that still run."""
        import psutil

        own = os.getpid()
        for other in psutil.process_iter():
            # Gone meanwhile, or somebody else's: none of ours.
            with suppress(psutil.Error, OSError):
                if other.pid != own and other.environ().get(MARKER) == self.marker:
                    self._seen.add(other)
        if self.process is not None and self.process.poll() is None:
            with suppress(psutil.Error):
                leader = psutil.Process(self.process.pid)
                # One that has cleared its environment still has its parents.
                self._seen |= {leader, *leader.children(recursive=True)}
        return {other.pid for other in self._seen if _runs(other)}

    def signal(self, pids: set[int], number: signal.Signals) -> None:
        """Signal them, the group first and at once, so that nobody in it can start others between two kills."""
        if self.process is not None:
            with suppress(ProcessLookupError, PermissionError):  # the group's number is the leader's
                os.killpg(self.process.pid, number)
        for pid in pids:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)


def end_all(process: subprocess.Popen[bytes] | None, marker: str) -> int:
    """Terminate, and after GRACE kill, the process, its group, its descendants and everything that carries the marker.

    How many were still alive. Safe to interrupt: an exception (a second stop) skips the grace, never the kill.
    """
    family = Family(process, marker)
    alive = family.alive()
    if alive:
        try:
            family.signal(alive, signal.SIGTERM)
            deadline = time.monotonic() + GRACE
            while time.monotonic() < deadline and family.alive():
                time.sleep(0.02)
        finally:
            # Again, until a process that was forking meanwhile has nobody left.
            for _ in range(5):
                rest = family.alive()
                if not rest:
                    break
                family.signal(rest, signal.SIGKILL)
                time.sleep(0.005)
    if process is not None:
        process.wait()
    return len(alive)


def _runs(process: psutil.Process) -> bool:
    import psutil

    with suppress(psutil.Error):
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    return False
