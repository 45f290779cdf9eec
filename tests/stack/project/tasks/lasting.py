"""Tasks that last, hang or die."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from collections.abc import Generator
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


@task(timeout="1m", artifacts=["*.txt"])
def relay(run: Run, pieces: int = 110) -> Generator[int, None, dict[str, int]]:
    """Takes longer than its Lambda may, piece by piece."""
    notes = run.workspace / "notes.txt"
    began_at = run.checkpoint or 0
    print(f"begins after {began_at}")
    for piece in range(began_at + 1, pieces + 1):
        with notes.open("a") as file:
            file.write(f"{piece}\n")
        print(f"piece {piece}")
        run.progress(piece / pieces, f"piece {piece}")
        time.sleep(0.1)
        yield piece
    return {"pieces": len(notes.read_text().splitlines())}


@task(timeout="1m", retry_count=3)
def unbroken() -> None:
    """Takes longer than its Lambda may, in one piece."""
    time.sleep(60)
