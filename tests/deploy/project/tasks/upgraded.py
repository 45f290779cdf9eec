"""A task whose code changes while it runs."""

from __future__ import annotations

import time
from typing import Any

from chalicelib import Run, task

CODE = "old"


@task(title="Upgraded")
def upgraded(run: Run, seconds: float = 3.0) -> dict[str, Any]:
    """Says which code it is, waits, says it again."""
    print(f"{CODE} begins")
    time.sleep(seconds)
    print(f"{CODE} ends")
    return {"code": CODE}


@task(title="Fails")
def fails(run: Run) -> None:
    """Fails."""
    raise ValueError("the disk is full")
