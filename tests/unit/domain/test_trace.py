"""A run as spans: nothing is missing, parents hold their children, and the tools of others can read it."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from chalicelib.domain.clock import iso
from chalicelib.domain.ids import run_id_of
from chalicelib.domain.run import RunRecord
from chalicelib.domain.tracing.otlp import otlp_of
from chalicelib.domain.tracing.spans import Span, root_id, spans_of, trace_id
from chalicelib.domain.tracing.xray import MOST_BYTES, segment_of

BEGAN = 1_900_000_000_123
RUN, CAUSE = run_id_of(BEGAN, "a"), run_id_of(BEGAN, "b")
ERROR = {"type": "ValueError", "message": "no \u2028 such\ud83d row", "step": "load/2/check", "traceback": "Traceback…"}


def step(name: str, at: int, seconds: float | None, status: str = "completed", **more: Any) -> dict[str, Any]:
    return {"name": name, "processor": "exec", "status": status, "began": iso(BEGAN + at), "seconds": seconds} | more


def moment(status: str, at: int, attempt: int = 1) -> dict[str, Any]:
    return {"status": status, "at": BEGAN + at, "attempt": attempt}


def a_run(**values: Any) -> RunRecord:
    known: dict[str, Any] = {
        "id": RUN,
        "task_id": "nightly",
        "status": "failed",
        "trigger": "dependency",
        "created_at": BEGAN,
        "started_at": BEGAN + 1_000,
        "finished_at": BEGAN + 9_000,
        "attempt": 2,
        "caused_by": [CAUSE],
        "error": ERROR,
        "usage": {"cpu_seconds": 0.25, "peak_memory_mb": 80.0, "disk_mb": 0.0},
        "history": [
            moment("queued", 0),
            moment("running", 1_000),
            moment("queued", 3_000, 2),
            moment("running", 5_000, 2),
            moment("failed", 9_000, 2),
        ],
        "attempts": [
            {"attempt": 1, "status": "failed", "started_at": BEGAN + 1_000, "finished_at": BEGAN + 3_000, "error": ERROR},
            {
                "attempt": 2,
                "status": "failed",
                "started_at": BEGAN + 5_000,
                "finished_at": BEGAN + 9_000,
                "error": ERROR,
                "legs": 2,
            },
        ],
        "steps": [
            step("dump", 5_000, 1.5),
            step("load", 6_500, 2.5, "failed", error="ValueError: no such row"),
            step("load/1", 6_500, 1.0, depth=1),
            step("load/2/check", 7_500, 1.5, "failed", depth=2),
            {"name": "tidy", "processor": "exec", "status": "skipped"},
        ],
    }
    return RunRecord(**(known | values))


def by_name(spans: list[Span]) -> dict[str, Span]:
    return {span.name: span for span in spans}


def test_everything_that_took_time_is_a_span() -> None:
    spans = spans_of(a_run(), 0)
    root = spans[0]
    assert [(s.name, s.start - BEGAN, s.end - BEGAN, s.outcome) for s in spans] == [
        ("nightly", 0, 9_000, "error"),
        ("queued", 0, 1_000, "unset"),
        ("queued", 3_000, 5_000, "unset"),
        ("attempt 1", 1_000, 3_000, "error"),
        ("attempt 2", 5_000, 9_000, "error"),
        ("dump", 5_000, 6_500, "ok"),
        ("load", 6_500, 9_000, "error"),
        ("1", 6_500, 7_500, "ok"),
        ("check", 7_500, 9_000, "error"),
    ]
    found = by_name(spans)
    assert {s.parent for s in spans[1:5]} == {root.id == root_id(RUN) and root.id}
    assert found["dump"].parent == found["load"].parent == found["attempt 2"].id
    assert found["1"].parent == found["check"].parent == found["load"].id, "there is no record of `load/2` itself"
    assert len({s.id for s in spans}) == len(spans)
    assert root.attributes["nightshift.usage.cpu_seconds"] == 0.25
    assert found["attempt 2"].attributes["nightshift.legs"] == 2
    assert root.links == (CAUSE,)


def test_the_same_run_is_the_same_trace_whoever_sends_it() -> None:
    assert spans_of(a_run(), 1) == spans_of(a_run(), 2)
    assert trace_id(RUN)[:8] == f"{BEGAN // 1000:08x}"
    assert len(trace_id(RUN)) == 32
    assert trace_id(RUN) != trace_id(CAUSE)


def test_one_that_is_not_over_goes_on_until_now() -> None:
    running = a_run(status="running", finished_at=None, error=None, attempts=[a_run().attempts[0]], steps=[])
    running.history = running.history[:-1]
    found = by_name(spans_of(running, BEGAN + 60_000))
    assert found["nightly"].end == found["attempt 2"].end == BEGAN + 60_000
    assert (found["attempt 2"].start, found["attempt 2"].outcome) == (BEGAN + 5_000, "unset")
    waiting = RunRecord(RUN, "nightly", "queued", "api", BEGAN, history=[moment("queued", 0)])
    assert [(s.name, s.end) for s in spans_of(waiting, BEGAN + 500)] == [("nightly", BEGAN + 500), ("queued", BEGAN + 500)]


def test_to_be_stopped_is_no_error() -> None:
    stopped = a_run(status="stopped", error=None, steps=[step("dump", 0, 1.0, "stopped")])
    assert {s.outcome for s in spans_of(stopped, 0) if s.name in ("nightly", "dump")} == {"unset"}


def test_opentelemetry_reads_it() -> None:
    document = json.loads(json.dumps(otlp_of(RUN, spans_of(a_run(), 0), "prod")))
    spans = document["resourceSpans"][0]["scopeSpans"][0]["spans"]
    for held in [*spans, *(link for span in spans for link in span.get("links", []))]:
        for name in ("traceId", "spanId", "parentSpanId"):
            if name in held:  # protobuf's own JSON has bytes in base 64, OpenTelemetry's in hex
                held[name] = base64.b64encode(bytes.fromhex(held[name])).decode()
    read = json_format.ParseDict(document, ExportTraceServiceRequest())
    (part,) = read.resource_spans
    assert {a.key: a.value.string_value for a in part.resource.attributes}["deployment.environment.name"] == "prod"
    told = part.scope_spans[0].spans
    assert [s.name for s in told][:2] == ["nightly", "queued"]
    assert {s.trace_id.hex() for s in told} == {trace_id(RUN)}
    assert told[0].links[0].trace_id.hex() == trace_id(CAUSE)
    assert (told[0].start_time_unix_nano, told[0].status.code) == (BEGAN * 1_000_000, 2)
    assert {a.key: a.value.string_value for a in told[0].events[0].attributes}["exception.stacktrace"] == "Traceback…"
    assert {a.key: a.value for a in told[0].attributes}["nightshift.attempts"].int_value == 2


def test_xray_gets_one_document() -> None:
    document = json.loads(segment_of(RUN, spans_of(a_run(), 0), "prod"))
    assert document["trace_id"] == f"1-{trace_id(RUN)[:8]}-{trace_id(RUN)[8:]}"
    assert document["annotations"] == {
        "stage": "prod", "run": RUN, "task": "nightly", "status": "failed", "trigger": "dependency", "attempts": 2}  # fmt: skip
    assert (document["start_time"], document["end_time"], document["fault"]) == (BEGAN / 1000, (BEGAN + 9_000) / 1000, True)
    attempt = next(s for s in document["subsegments"] if s["name"] == "attempt 2")
    assert [s["name"] for s in attempt["subsegments"]] == ["dump", "load"]
    assert [s["name"] for s in attempt["subsegments"][1]["subsegments"]] == ["1", "check"]


@pytest.mark.parametrize("count", [300, 3_000])
def test_xray_gets_what_fits(count: int) -> None:
    many = [step(f"load/{n}", n, 0.1, depth=1, error="x" * 5_000) for n in range(count)]
    text = segment_of(RUN, spans_of(a_run(steps=[step("load", 0, 9.0), *many]), 0), "prod")
    assert len(text.encode()) <= MOST_BYTES
    document = json.loads(text)
    attempt = next(s for s in document["subsegments"] if s["name"] == "attempt 2")
    assert 0 < len(attempt["subsegments"][0]["subsegments"]) < count
    assert document["metadata"]["nightshift"]["nightshift.spans_kept"] < count
