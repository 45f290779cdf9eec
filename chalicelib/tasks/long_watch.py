"""Watching the machine for a while, over as many Lambdas as that takes."""

from __future__ import annotations

import time
from collections.abc import Generator
from datetime import UTC, datetime
from typing import Annotated, Any

from chalicelib import Param, Run, task

KEPT = 30  # measurements in the result
WIDTH = 20  # characters of a bar
GREEN, YELLOW, RED = 32, 33, 31  # as terminals know them


def bar(percent: float) -> str:
    """So much of a whole, in a colour that says whether that is a lot."""
    full = min(WIDTH, round(WIDTH * percent / 100))
    colour = GREEN if percent < 50 else YELLOW if percent < 85 else RED
    return f"\x1b[{colour}m{'█' * full}\x1b[2m{'░' * (WIDTH - full)}\x1b[0m"


@task(title="System watch", category="admin", icon="activity", tags=["monitoring", "long"], timeout="5h")
def long_watch(
    run: Run,
    seconds: Annotated[int, Param(ge=1, le=14_400, help="How long to watch; up to four hours")] = 120,
    interval: Annotated[float, Param(ge=0.1, le=60, help="Seconds between two looks")] = 1.0,
) -> Generator[dict[str, Any], None, dict[str, Any]]:
    """Says CPU and memory at each interval, for two minutes unless told otherwise; the result is what it measured.

    It yields a checkpoint after each look, so that another Lambda can go on when this one's time is over.
    """
    import psutil

    seen = run.checkpoint or {"began": time.time(), "count": 0, "cpu_sum": 0.0, "cpu_highest": 0.0, "rows": []}
    psutil.cpu_percent()  # the first call only begins to measure
    while (passed := time.time() - seen["began"]) < seconds:
        time.sleep(min(interval, seconds - passed))
        run.check_stopped()
        cpu, memory = psutil.cpu_percent(), psutil.virtual_memory().percent
        row = {"at": datetime.now(UTC).strftime("%H:%M:%S"), "cpu": cpu, "memory": memory}
        seen = seen | {"count": seen["count"] + 1, "cpu_sum": seen["cpu_sum"] + cpu, "rows": [*seen["rows"], row][-KEPT:]}
        seen["cpu_highest"] = max(seen["cpu_highest"], cpu)
        print(f"{row['at']}  cpu {bar(cpu)} {cpu:5.1f} %   memory {bar(memory)} {memory:5.1f} %")
        run.progress(min(1.0, (time.time() - seen["began"]) / seconds), f"{seen['count']} measurements")
        yield seen
    mean = round(seen["cpu_sum"] / max(1, seen["count"]), 1)
    return {"measurements": seen["count"], "cpu_mean": mean, "cpu_highest": seen["cpu_highest"], "rows": seen["rows"]}
