"""As little as a task can do, so that what is measured is everything around it."""

from __future__ import annotations

import time

from chalicelib import Run, task


@task
def speak() -> None:
    """Says one thing."""
    print("here")


@task
def short(milliseconds: int = 50) -> None:
    """Takes a moment."""
    time.sleep(milliseconds / 1000)


@task(timeout="3m")
def victim() -> None:
    """Waits to be killed; its end is the run's."""
    print("waiting")
    time.sleep(150)


@task(timeout="3m", retry_count=1)
def phoenix(run: Run) -> None:
    """Waits to be killed, and does better the second time."""
    print(f"attempt {run.attempt}")
    if run.attempt == 1:
        time.sleep(150)
