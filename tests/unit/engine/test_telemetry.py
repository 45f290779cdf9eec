"""What a run's end tells CloudWatch, X-Ray and collectors; and that none of it can hurt the run."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest

from chalicelib.domain.errors import SettingsError
from chalicelib.domain.tracing.spans import trace_id
from chalicelib.engine import telemetry
from chalicelib.engine.secrets import Secrets
from chalicelib.settings import load_settings
from tests.support.http_server import HttpServer, http_server
from tests.unit.engine.conftest import Engine
from tests.unit.engine.test_notify import Log


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telemetry, "_given_up", {})


def told(engine: Engine, behaviour: Any, **settings: Any) -> tuple[Any, Log]:
    """A run under such settings, and what was logged."""
    engine.settings |= {"stage": "prod"} | settings
    engine.task("nightly", behaviour)
    engine.services.clients = boto3.client
    engine.services.secrets = Secrets(boto3.client)
    engine.services.log = log = Log()
    engine.start("nightly")
    return engine.deliver(), log


def fine(run: Any) -> dict[str, int]:
    return {"rows": 1}


def fail(run: Any) -> None:
    raise ValueError("the disk is full")


def metric_lines(capfd: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capfd.readouterr().out.splitlines() if '"_aws"' in line]


def test_nothing_is_told_unless_asked_for(engine: Engine, capfd: pytest.CaptureFixture[str]) -> None:
    told(engine, fine)
    assert metric_lines(capfd) == []


@pytest.mark.parametrize(
    ("by", "dimensions"), [("stage", [["Stage"]]), ("task", [["Stage"], ["Stage", "Task"]])], ids=["stage", "task"]
)
def test_a_run_is_one_line_of_metrics(
    engine: Engine, by: str, dimensions: list[list[str]], capfd: pytest.CaptureFixture[str]
) -> None:
    run, _ = told(engine, fine, metrics=by)
    (line,) = metric_lines(capfd)
    (about,) = line["_aws"]["CloudWatchMetrics"]
    assert about["Dimensions"] == dimensions
    assert {m["Name"] for m in about["Metrics"]} == {"Runs", "Completed", "Duration", "Waited"}
    assert (line["Stage"], line["Task"], line["run_id"], line["Runs"], line["Completed"]) == ("prod", "nightly", run.id, 1, 1)
    assert line["Duration"] == run.duration
    assert line["_aws"]["Timestamp"] == run.finished_at


def test_a_run_that_was_stopped_in_the_queue_counts_too(engine: Engine, capfd: pytest.CaptureFixture[str]) -> None:
    from chalicelib.engine import starter

    engine.settings |= {"metrics": "task", "max_concurrent_tasks": 1}
    engine.task("nightly", fine)
    engine.start("nightly")
    starter.stop(engine.services, engine.start("nightly").id)
    (line,) = metric_lines(capfd)
    assert (line["Stopped"], "Duration" in line) == (1, False)


@pytest.mark.parametrize("behaviour", [fine, fail])
def test_xray_gets_each_run(engine: Engine, behaviour: Any) -> None:
    run, _ = told(engine, behaviour, tracing="xray")
    name = f"1-{trace_id(run.id)[:8]}-{trace_id(run.id)[8:]}"
    (trace,) = boto3.client("xray").batch_get_traces(TraceIds=[name])["Traces"]
    document = json.loads(trace["Segments"][0]["Document"])
    assert document["annotations"] == {
        "stage": "prod", "run": run.id, "task": "nightly", "status": run.status, "trigger": "api", "attempts": 1}  # fmt: skip
    (attempt,) = [s for s in document["subsegments"] if s["name"] == "attempt 1"]
    assert [s["name"] for s in attempt["subsegments"]] == ["behave"]
    assert ("fault" in attempt) == (behaviour is fail)


def test_a_collector_gets_each_run_with_its_headers(engine: Engine) -> None:
    with http_server() as server:
        run, _ = told(engine, fail, tracing=f"{server.url}/otlp", tracing_headers={"x-api-key": "k3y"})
    (asked,) = server.asked
    assert (asked.method, asked.path) == ("POST", "/otlp/v1/traces")
    assert (asked.headers["content-type"], asked.headers["x-api-key"]) == ("application/json", "k3y")
    spans = json.loads(asked.body)["resourceSpans"][0]["scopeSpans"][0]["spans"]
    assert {span["traceId"] for span in spans} == {trace_id(run.id)}
    assert [span["name"] for span in spans] == ["nightly", "queued", "attempt 1", "behave"]


def test_a_header_may_be_a_secret(engine: Engine) -> None:
    boto3.client("secretsmanager").create_secret(Name="collector", SecretString='{"key": "s3cret"}')
    with http_server() as server:
        headers = {"authorization": "Bearer ${secret:collector#key}"}
        _, log = told(engine, fine, tracing=server.url, tracing_headers=headers)
    assert server.asked[0].headers["authorization"] == "Bearer s3cret"
    assert "s3cret" not in str(log.lines)


def refuse(server: HttpServer) -> None:
    server.answer = lambda asked: (503, {}, b"too busy")


@pytest.mark.parametrize("tracing", ["http://127.0.0.1:9", "refusing", "xray"])
def test_what_cannot_be_told_makes_no_run_worse(engine: Engine, tracing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_client(service: str) -> Any:
        raise RuntimeError(f"no {service} today")

    with http_server() as server:
        refuse(server)
        monkeypatch.setattr(boto3, "client", no_client)
        run, log = told(engine, fine, tracing=server.url if tracing == "refusing" else tracing)
    assert run.status == "completed"
    assert not engine.holders()
    assert [text for text, _ in log.lines if "could not tell" in text]


def test_a_dead_receiver_is_not_waited_for_again_and_again(engine: Engine) -> None:
    with http_server() as server:
        refuse(server)
        told(engine, fine, tracing=server.url)
        for _ in range(3):
            engine.start("nightly")
            assert engine.deliver().status == "completed"
        assert len(server.asked) == 1
        telemetry._given_up[server.url] = 0.0  # its time is over
        server.answer = lambda asked: (200, {}, b"")
        for _ in range(2):
            engine.start("nightly")
            engine.deliver()
        assert len(server.asked) == 3


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("TASK_TRACING", "jaeger", "none, xray, or the address of an OTLP collector"),
        ("TASK_TRACING", "ftp://collector", "none, xray, or the address"),
        ("TASK_TRACING_HEADERS", "just-a-name", "names of headers, each with ="),
        ("TASK_METRICS", "all", "one of none, stage, task"),
    ],
)
def test_a_wrong_setting_is_named(variable: str, value: str, says: str) -> None:
    with pytest.raises(SettingsError) as wrong:
        load_settings({}, {variable: value})
    assert variable in wrong.value.message
    assert says in wrong.value.message


def test_a_key_is_not_shown_with_the_settings() -> None:
    settings = load_settings({}, {"TASK_TRACING": "https://otlp.example/", "TASK_TRACING_HEADERS": "x-api-key=k3y, a=b=c"})
    assert settings.tracing == "https://otlp.example"
    assert settings.tracing_headers == {"x-api-key": "k3y", "a": "b=c"}
    assert "k3y" not in repr(settings)
