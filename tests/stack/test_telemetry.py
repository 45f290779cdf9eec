"""Traces and metrics of runs on the whole stack, as their readers get them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from chalicelib.domain.tracing.spans import trace_id
from infra.local.testing import LocalStack
from tests.stack.conftest import ROOT, Door, eventually, make_project, make_stack
from tests.support.http_server import HttpServer, http_server

TASKS = """
tasks:
  - {id: nested, pipeline: nested, schedule: "0 3 * * *", retry_count: 1}
  - {id: broken, pipeline: broken}
  - {id: idle, pipeline: broken, enabled: false}
pipelines:
  - name: nested
    processors:
      - name: both
        parallel:
          branches:
            slow: [sleep: {duration: 300ms}]
            quick: [sleep: {duration: 50ms}]
      - name: each
        for_each: {items: [1, 2], steps: [echo: {message: "${item}"}]}
  - name: broken
    processors:
      - exec: {command: "echo to say && exit 3", shell: true}
"""


def project_of(folder: Path, block: str = "") -> Path:
    (folder / "tasks").mkdir(parents=True)
    (folder / "tasks" / "__init__.py").touch()
    (folder / "tasks" / "tasks.yaml").write_text(block + TASKS)
    return make_project(folder / "project", folder / "tasks")


def start(folder: Path, block: str = "", **env: str) -> LocalStack:
    return make_stack(project_of(folder, block), folder / "data", "chalicelib.cli.project:compile_for_stack", env=env)


@pytest.fixture(scope="module")
def collector() -> Iterator[HttpServer]:
    with http_server() as server:
        yield server


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory, collector: HttpServer) -> Iterator[Door]:
    folder = tmp_path_factory.mktemp("telemetry")
    env = {"TASK_TRACING": collector.url, "TASK_TRACING_HEADERS": "x-api-key=k3y", "TASK_METRICS": "task"}
    with start(folder, **env) as stack:
        yield Door(stack)


def spans(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {span["name"]: span for span in document["resourceSpans"][0]["scopeSpans"][0]["spans"]}


def test_a_run_is_a_trace(door: Door) -> None:
    run = door.done("nested")
    assert run["status"] == "completed", run["error"]
    answer = door.http.get(f"/run/{run['id']}/trace")
    assert answer.headers["content-disposition"] == f'attachment; filename="nested-{run["id"]}.trace.json"'
    found = spans(answer.json())
    assert {"nested", "queued", "attempt 1", "both", "sleep", "each", "echo"} <= set(found)
    assert found["both"]["parentSpanId"] == found["each"]["parentSpanId"] == found["attempt 1"]["spanId"]
    assert found["sleep"]["parentSpanId"] == found["both"]["spanId"]
    took = int(found["both"]["endTimeUnixNano"]) - int(found["both"]["startTimeUnixNano"])
    assert 0.3e9 <= took < 5e9
    assert door.http.get("/run/01ARZ3NDEKTSV4RRFFQ69G5FAV/trace").status_code == 404


def test_the_collector_gets_it_once_and_the_log_the_metrics(door: Door, collector: HttpServer) -> None:
    run = door.done("broken")

    def sent() -> list[Any]:
        return [asked for asked in collector.asked if trace_id(run["id"]).encode() in asked.body]

    eventually(lambda: bool(sent()), 10, lambda: f"{len(collector.asked)} requests came")
    (asked,) = sent()
    assert (asked.path, asked.headers["x-api-key"]) == ("/v1/traces", "k3y")
    assert spans(json.loads(asked.body)) == spans(door.get(f"/run/{run['id']}/trace"))
    assert spans(json.loads(asked.body))["broken"]["status"]["code"] == 2
    lines = [json.loads(line) for line in door.stack.log("task_broken").splitlines() if run["id"] in line and '"_aws"' in line]
    (line,) = [line for line in lines if "Runs" in line]
    assert (line["Failed"], line["Task"], line["Stage"]) == (1, "broken", "local")


def test_prometheus_can_collect(door: Door) -> None:
    before = samples(door)
    door.done("broken")
    door.done("nested")
    after = samples(door)
    for task, status in (("broken", "failed"), ("nested", "completed")):
        key = ("nightshift_runs_total", task, status)
        assert after[key] == before[key] + 1
    assert after["nightshift_run_seconds_total", "nested", ""] >= before["nightshift_run_seconds_total", "nested", ""] + 0.3
    assert after["nightshift_last_success_timestamp_seconds", "nested", ""] > 1.7e9
    assert ("nightshift_last_success_timestamp_seconds", "broken", "") not in after
    assert after["nightshift_next_run_timestamp_seconds", "nested", ""] % 3600 == 0
    assert (after["nightshift_task_enabled", "idle", ""], after["nightshift_task_enabled", "nested", ""]) == (0, 1)
    assert door.http.get("/metrics", headers={"Authorization": ""}).status_code == 401


def samples(door: Door) -> dict[tuple[str, str, str], float]:
    answer = door.http.get("/metrics")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/plain; version=")
    families = list(text_string_to_metric_families(answer.text))
    assert all(family.documentation for family in families)
    return {
        (sample.name, sample.labels.get("task", sample.labels.get("semaphore", "")), sample.labels.get("status", "")): sample.value
        for family in families
        for sample in family.samples
    }


def test_the_command_draws_it(door: Door) -> None:
    run = door.done("nested")
    told = command(door, "trace", "nested").stdout
    lines = [line.rstrip() for line in told.splitlines()]
    assert any(line.lstrip().startswith("nested") and "━" * 40 in line for line in lines), told
    for name in ("attempt 1", "both", "slow/sleep", "quick/sleep", "each", "0/echo", "1/echo"):
        assert any(line.strip().startswith(name) for line in lines), told
    assert spans(json.loads(command(door, "trace", run["id"], "--json").stdout)) == spans(door.get(f"/run/{run['id']}/trace"))
    missing = command(door, "trace", "idle")
    assert (missing.returncode, missing.stderr.strip()) == (1, "error: idle has not run yet")


def command(door: Door, *args: str) -> subprocess.CompletedProcess[str]:
    arguments = [sys.executable, "-m", "chalicelib.cli", "--url", door.stack.url, "--token", door.stack.token, *args]
    return subprocess.run(arguments, capture_output=True, text=True, cwd=ROOT, timeout=60)


def test_xray_gets_it_where_the_catalog_asks_for_it(tmp_path: Path) -> None:
    """With the permissions that are written for it: the stack refuses what lacks one."""
    with start(tmp_path, "task: {tracing: xray, max_concurrent_tasks: 1}\n") as stack:
        door = Door(stack)
        run = door.done("nested")
        first, second = door.start("nested")["run_id"], door.start("nested")["run_id"]
        door.stop(second)
        door.wait(first)
        ids = {r: f"1-{trace_id(r)[:8]}-{trace_id(r)[8:]}" for r in (run["id"], second)}
        xray = stack.client("xray")

        def told() -> list[Any]:
            return list(xray.batch_get_traces(TraceIds=list(ids.values()))["Traces"])

        eventually(lambda: len(told()) == 2, 10, lambda: stack.console())
        assert {trace["Id"] for trace in told()} == set(ids.values())
        assert stack.permissions()["refused"] == []
