"""Tells people of failed runs: a message to the deployment's topic, and a point of the metric that the alarm watches.

The metric costs no request: CloudWatch reads it out of the log line. Neither ever makes a run worse: what cannot be told is logged.
"""

from __future__ import annotations

import time
from typing import Any

from chalicelib.domain.durations import text_of
from chalicelib.domain.run import RunRecord
from chalicelib.engine.services import Services

NAMESPACE = "Nightshift"
METRIC = "FailedRuns"
MOST_MESSAGE = 2_000  # characters of the error's own words


def tell_failure(services: Services, run: RunRecord, error: dict[str, Any] | None, at: int) -> None:
    """Say that a run has failed for good. `at`: when, in epoch ms. Raises nothing."""
    said = error or {"type": "Failed", "message": ""}
    stage = services.settings.stage
    what = {"run_id": run.id, "task_id": run.task_id, "error": f"{said['type']}: {str(said['message'])[:MOST_MESSAGE]}"}
    services.log.error("a run failed", extra={**what, **_metric(stage)})
    if not services.settings.topic_arn or services.clients is None:
        return
    try:
        services.clients("sns").publish(
            TopicArn=services.settings.topic_arn,
            Subject=f"{run.task_id} failed ({stage})",  # ids are ASCII, and short enough for SNS
            Message=_message(services, run, said, at),
            MessageAttributes={
                name: {"DataType": "String", "StringValue": value}
                for name, value in (("task_id", run.task_id), ("status", "failed"), ("stage", stage))
            },
        )
    except Exception:
        services.log.exception("could not tell of a failed run", extra={"topic": services.settings.topic_arn, **what})


def _message(services: Services, run: RunRecord, error: dict[str, Any], at: int) -> str:
    lines = [f"{run.task_id} failed: {error['type']}: {str(error['message'])[:MOST_MESSAGE]}"]
    if error.get("step"):
        lines.append(f"Step: {error['step']}")
    if run.started_at is not None:
        lines.append(f"After: {text_of((at - run.started_at) / 1000)}, attempt {run.attempt}")
    lines += [f"Stage: {services.settings.stage}", f"Run: {run.id}"]
    if services.settings.api_url:
        lines.append(f"{services.settings.api_url}/admin/run/{run.id}")
    return "\n".join(lines)


def _metric(stage: str) -> dict[str, Any]:
    """CloudWatch's embedded metric format, as fields of a log line."""
    metric = {"Namespace": NAMESPACE, "Dimensions": [["Stage"]], "Metrics": [{"Name": METRIC, "Unit": "Count"}]}
    return {"_aws": {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [metric]}, "Stage": stage, METRIC: 1}
