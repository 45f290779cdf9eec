"""Tasks that last, hang or die."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from pathlib import Path
from typing import Any

from chalicelib import Run, task


@task(timeout="2m")
def sleeper(seconds: float = 60.0) -> dict[str, Any]:
    """Sleeps."""
    print("sleeping")
    time.sleep(seconds)
    return {"slept": seconds}


@task(timeout="2m")
def outlasting(seconds: float = 27.0) -> dict[str, Any]:
    """Takes longer than anybody waits."""
    time.sleep(seconds)
    return {"slept": seconds}


@task(timeout="2m")
def busy() -> None:
    """Never gives way, and swallows what it can."""
    print("busy")
    while True:
        try:
            sum(range(1000))
        except Exception:
            continue


@task(timeout="2s")
def slow() -> None:
    """Outlives its own timeout."""
    print("slow")
    time.sleep(60)


@task(timeout="2m")
def stamped(file: str, name: str, seconds: float = 0.3) -> None:
    """Notes when it begins and when it ends."""
    _note(file, "begin", name)
    time.sleep(seconds)
    _note(file, "end", name)


def _note(file: str, what: str, name: str) -> None:
    # One short write in append mode is atomic, whoever else writes.
    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, f"{time.time():.6f} {what} {name}\n".encode())
    os.close(descriptor)


@task
def exits() -> None:
    """Ends its process."""
    print("last words")
    time.sleep(1.5)  # until they are published
    os._exit(3)


@task
def stuck() -> None:
    """Hangs in native code that holds the interpreter: no thread of it can do anything any more."""
    print("stuck")
    time.sleep(1.5)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM, signal.SIGUSR1})
    while True:
        ctypes.PyDLL(None).sleep(600)


@task(timeout="2m")
def victim(seconds: float = 60.0) -> None:
    """Waits to be killed; no second attempt."""
    print("waiting for the end")
    time.sleep(seconds)


@task(timeout="2m", retry_count=1)
def phoenix(run: Run) -> dict[str, Any]:
    """Its first attempt waits to be killed."""
    print(f"attempt {run.attempt}")
    if run.attempt == 1:
        time.sleep(60)
    return {"attempt": run.attempt}


@task(timeout="2m")
def shelter(run: Run, note: str) -> None:
    """Starts nothing but says where it works."""
    Path(note).write_text(str(run.workspace))
    time.sleep(60)
