"""Ending a child process and whatever it has started."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress

GRACE = 1.0  # seconds between SIGTERM and SIGKILL
MARKER = "NIGHTSHIFT_EXEC"  # the variable by which a descendant is known that has left the process group


def end_all(process: subprocess.Popen[bytes] | None, marker: str) -> int:
    """Terminate, and after GRACE kill, the process, its group, and everything that carries the marker.

    How many were still alive. Safe to interrupt: an exception (a second stop) skips the grace, never the kill.
    """
    alive = _alive(process, marker)
    if alive:
        try:
            _signal(process, alive, signal.SIGTERM)
            deadline = time.monotonic() + GRACE
            while time.monotonic() < deadline and _alive(process, marker):
                time.sleep(0.02)
        finally:
            # Again, until a process that was forking meanwhile has nobody left.
            for _ in range(5):
                rest = _alive(process, marker)
                if not rest:
                    break
                _signal(process, rest, signal.SIGKILL)
                time.sleep(0.005)
    if process is not None:
        process.wait()
    return len(alive)


def _alive(process: subprocess.Popen[bytes] | None, marker: str) -> set[int]:
    import psutil

    found = {process.pid} if process is not None and process.poll() is None else set()
    own = os.getpid()
    for other in psutil.process_iter():
        # Gone meanwhile, a zombie, or somebody else's: none of ours.
        with suppress(psutil.Error, OSError):
            if other.pid != own and other.environ().get(MARKER) == marker and other.status() != psutil.STATUS_ZOMBIE:
                found.add(other.pid)
    return found


def _signal(process: subprocess.Popen[bytes] | None, pids: set[int], number: signal.Signals) -> None:
    if process is not None:
        # The group first, at once, so that nobody in it can start others between two kills. Its number is the leader's.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
    for pid in pids:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)
