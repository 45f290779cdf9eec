"""A trace as OpenTelemetry's JSON (OTLP 1), which collectors, Jaeger, Tempo and their like take."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from chalicelib.domain.tracing.spans import Span, clean, root_id, trace_id

INTERNAL = 1
CODES = {"unset": 0, "ok": 1, "error": 2}
SCOPE = {"name": "nightshift"}


def otlp_of(run_id: str, spans: Iterable[Span], stage: str) -> dict[str, Any]:
    """An ExportTraceServiceRequest."""
    about = {"service.name": "nightshift", "deployment.environment.name": stage, "cloud.provider": "aws"}
    told = [_span(trace_id(run_id), span) for span in spans]
    return {"resourceSpans": [{"resource": {"attributes": _attributes(about)}, "scopeSpans": [{"scope": SCOPE, "spans": told}]}]}


def _span(trace: str, span: Span) -> dict[str, Any]:
    told: dict[str, Any] = {
        "traceId": trace,
        "spanId": span.id,
        "name": clean(span.name),
        "kind": INTERNAL,
        "startTimeUnixNano": _nanoseconds(span.start),
        "endTimeUnixNano": _nanoseconds(span.end),
        "attributes": _attributes(span.attributes),
        "status": {"code": CODES[span.outcome]},
    }
    if span.parent:
        told["parentSpanId"] = span.parent
    if span.error:
        told["status"]["message"] = clean(f"{span.error['type']}: {span.error['message']}")
        told["events"] = [_exception(span.error, span.end)]
    if span.links:
        told["links"] = [{"traceId": trace_id(run_id), "spanId": root_id(run_id)} for run_id in span.links]
    return told


def _exception(error: Mapping[str, Any], at: int) -> dict[str, Any]:
    about = {"exception.type": error["type"], "exception.message": error["message"]}
    if error.get("traceback"):
        about["exception.stacktrace"] = error["traceback"]
    return {"timeUnixNano": _nanoseconds(at), "name": "exception", "attributes": _attributes(about)}


def _attributes(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"key": name, "value": _value(value)} for name, value in values.items()]


def _value(value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}  # 64 bits are text in this JSON
    return {"doubleValue": value} if isinstance(value, float) else {"stringValue": clean(value)}


def _nanoseconds(ms: int) -> str:
    return str(ms * 1_000_000)
