"""Watching the machine for a while."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from statistics import fmean
from typing import Annotated, Any

from chalicelib import Param, Run, task


@task(title="System watch", category="admin", icon="activity", tags=["monitoring", "long"], timeout="15m")
def long_watch(
    run: Run,
    seconds: Annotated[int, Param(ge=1, le=840, help="How long to watch")] = 120,
    interval: Annotated[float, Param(ge=0.1, le=60, help="Seconds between two looks")] = 1.0,
) -> dict[str, Any]:
    """Says CPU and memory at each interval, for two minutes unless told otherwise; the result is what it measured."""
    import psutil

    rows: list[dict[str, Any]] = []
    started = time.monotonic()
    psutil.cpu_percent()  # the first call only begins to measure
    while (passed := time.monotonic() - started) < seconds:
        time.sleep(min(interval, seconds - passed))
        run.check_stopped()
        memory = psutil.virtual_memory().percent
        row = {"at": datetime.now(UTC).strftime("%H:%M:%S"), "cpu": psutil.cpu_percent(), "memory": memory}
        rows.append(row)
        print(f"{row['at']}  cpu {row['cpu']:5.1f} %  memory {memory:5.1f} %")
        run.progress(min(1.0, (time.monotonic() - started) / seconds), f"{len(rows)} measurements")
    cpu = [row["cpu"] for row in rows]
    return {"measurements": len(rows), "cpu_mean": round(fmean(cpu), 1), "cpu_highest": max(cpu), "rows": rows[-120:]}
