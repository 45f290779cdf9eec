"""What a run that has ended tells CloudWatch, X-Ray or a collector, where settings ask for it.

A process that dies before this leaves a gap there, and only there: the run itself has all of it, at GET /run/{id}/trace. What
cannot be told is logged, and makes no run worse.
"""

from __future__ import annotations

import json
import re
import sys
import time
from typing import Any

from chalicelib.domain.run import RunRecord
from chalicelib.domain.tracing.spans import spans_of
from chalicelib.engine.services import Services
from chalicelib.store.runs import get_runs

NAMESPACE = "Nightshift"
_SECRET = re.compile(r"\$\{secret:([^}]+)\}")
PATIENCE = 3.0  # seconds that a collector may take
LEFT_ALONE = 30.0  # seconds; who stops or sweeps many runs must not wait for a dead receiver at each of them
_given_up: dict[str, float] = {}  # receiver -> until when this process does not try it
UNITS = {"Runs": "Count", "Completed": "Count", "Failed": "Count", "Stopped": "Count", "Duration": "Seconds", "Waited": "Seconds"}


def report(services: Services, run_id: str) -> None:
    """Tell of a run that has just become terminal. Raises nothing."""
    try:
        (run,) = get_runs(services.table, [run_id])
        if services.settings.metrics != "none":
            # Past the logger, whose level may leave it out; CloudWatch reads metrics out of the log.
            print(
                json.dumps(metrics_line(run, services.settings.stage, services.settings.metrics)), file=sys.__stdout__, flush=True
            )
        tracing = services.settings.tracing
        if tracing == "none" or _given_up.get(tracing, 0.0) > time.monotonic():
            return
        _given_up[tracing] = time.monotonic() + LEFT_ALONE  # unless it goes well
        (_to_xray if tracing == "xray" else _to_collector)(services, run)
        del _given_up[tracing]
    except Exception:
        services.log.exception("could not tell of a run's end", extra={"run_id": run_id, "tracing": services.settings.tracing})


def metrics_line(run: RunRecord, stage: str, by: str) -> dict[str, Any]:
    """A run's metrics in CloudWatch's embedded metric format. `by`: stage, or task for each task's too."""
    values: dict[str, float] = {"Runs": 1, run.status.capitalize(): 1}
    if run.duration is not None:
        values["Duration"] = run.duration
    if run.started_at is not None:
        values["Waited"] = max(0, run.started_at - (run.fire_at or run.created_at)) / 1000
    about = {
        "Namespace": NAMESPACE,
        "Dimensions": [["Stage"], ["Stage", "Task"]] if by == "task" else [["Stage"]],
        "Metrics": [{"Name": name, "Unit": UNITS[name]} for name in values],
    }
    return {
        "_aws": {"Timestamp": run.finished_at, "CloudWatchMetrics": [about]},
        "Stage": stage,
        "Task": run.task_id,
        "run_id": run.id,
        **values,
    }


def _to_xray(services: Services, run: RunRecord) -> None:
    from chalicelib.domain.tracing.xray import segment_of

    assert services.clients is not None
    document = segment_of(run.id, spans_of(run, services.now()), services.settings.stage)
    answer = services.clients("xray").put_trace_segments(TraceSegmentDocuments=[document])
    if answer.get("UnprocessedTraceSegments"):
        raise RuntimeError(f"X-Ray did not take the trace: {answer['UnprocessedTraceSegments']}")


def _to_collector(services: Services, run: RunRecord) -> None:
    import urllib3

    from chalicelib.domain.tracing.otlp import otlp_of

    settings = services.settings
    body = json.dumps(otlp_of(run.id, spans_of(run, services.now()), settings.stage)).encode()
    address = settings.tracing if settings.tracing.endswith("/v1/traces") else f"{settings.tracing}/v1/traces"
    headers = {"Content-Type": "application/json"}
    for name, value in settings.tracing_headers.items():
        headers[name] = _SECRET.sub(lambda found: services.secrets(found[1]), value)
    with urllib3.PoolManager() as pool:
        answer = pool.request("POST", address, body=body, headers=headers, timeout=PATIENCE, retries=False, redirect=False)
    if answer.status >= 300:
        raise RuntimeError(f"the collector answered {answer.status}: {answer.data[:200]!r}")
