"""Route /run/{id}/trace."""

from __future__ import annotations

from chalicelib.api.http import Reply, Request
from chalicelib.domain.tracing.otlp import otlp_of
from chalicelib.domain.tracing.spans import spans_of
from chalicelib.store.runs import get_run


def get_trace(request: Request) -> Reply:
    """The run as a trace in OpenTelemetry's JSON; of one that is not over yet, as far as it has come."""
    services = request.services
    run = get_run(services.table, request.params["run_id"])
    trace = otlp_of(run.id, spans_of(run, services.now()), services.settings.stage)
    return Reply(trace, headers={"Content-Disposition": f'attachment; filename="{run.task_id}-{run.id}.trace.json"'})
