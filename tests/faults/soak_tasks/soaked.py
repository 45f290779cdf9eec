"""One task of each kind that can go wrong. Each notes that an attempt of it began, which may happen once."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from chalicelib import Run, TransientError, task


@task
def brief(run: Run, note: str) -> dict[str, Any]:
    """Over at once."""
    _begin(run, note)
    time.sleep(0.02)
    return {"attempt": run.attempt}


@task(retry_count=1)
def chatty(run: Run, note: str, lines: int = 40) -> None:
    """Says a line every few hundredths of a second, and much at the end."""
    _begin(run, note)
    for number in range(lines):
        print(f"line {number}")
        run.progress(number / lines)
        time.sleep(0.03)
    print("\n".join("x" * 200 for _ in range(50)))


@task(retry_count=3)
def shaky(run: Run, note: str) -> dict[str, Any]:
    """Fails the first time."""
    _begin(run, note)
    print(f"attempt {run.attempt}")
    if run.attempt == 1:
        raise TransientError("not yet")
    return {"attempt": run.attempt}


@task
def failing(run: Run, note: str) -> None:
    """Fails."""
    _begin(run, note)
    print("about to fail")
    raise ValueError("as it should")


@task(timeout="2m")
def endless(run: Run, note: str) -> None:
    """Has to be stopped."""
    _begin(run, note)
    print("waiting to be stopped")
    time.sleep(100)


@task(retry_count=1, max_concurrent=2, pool="narrow", slots=2)
def heavy(run: Run, note: str) -> None:
    """Needs three semaphores, and two slots of its pool."""
    _begin(run, note)
    print("heavy")
    time.sleep(0.2)


def _begin(run: Run, note: str) -> None:
    # One short write in append mode is atomic, whoever else writes.
    descriptor = os.open(Path(note), os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, f"{run.id} {run.attempt}\n".encode())
    os.close(descriptor)
