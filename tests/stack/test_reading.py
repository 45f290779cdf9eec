"""What can be read of runs: results, logs, steps, errors, lists."""

from __future__ import annotations

import csv
import io
import time
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml

from tests.stack.conftest import Door


def test_result_as_json_and_yaml_tells_the_same(door: Door) -> None:
    run = door.done("table")
    as_json = door.get(f"/run/{run['id']}/result")
    answer = door.http.get(f"/run/{run['id']}/result", params={"format": "yaml"})
    assert answer.headers["content-type"].startswith("application/yaml")
    assert f"table-{run['id']}.yaml" in answer.headers["content-disposition"]
    assert yaml.safe_load(answer.text) == as_json
    assert as_json["result"]["total"] == 2
    assert {"run_id", "task_id", "status", "trigger", "args", "created_at", "steps", "tags", "error"} <= set(as_json)


def test_result_as_csv_has_its_rows(door: Door) -> None:
    run = door.done("table")
    answer = door.http.get(f"/run/{run['id']}/result", params={"format": "csv"})
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert rows[0] == {"city": "Köln", "people": "1084831", "note": ""}
    assert (rows[1]["city"], rows[1]["people"]) == ('Bad "Salz", oben', "7")


def test_unknown_format_is_400_and_a_run_at_work_has_no_result(door: Door) -> None:
    run_id = door.start("sleeper", seconds=3)["run_id"]
    assert door.http.get(f"/run/{run_id}/result").status_code == 409
    assert door.http.post(f"/run/{run_id}/_retry").status_code == 409
    door.stop(run_id)
    assert door.http.get(f"/run/{run_id}/result", params={"format": "xml"}).status_code == 400
    door.wait(run_id)


def test_large_result_comes_back_whole(door: Door) -> None:
    run = door.done("large_result")
    assert len(run["result"]["digest"]) == 200_000
    assert door.get(f"/run/{run['id']}/result")["result"] == run["result"]


def test_log_as_text_has_the_lines(door: Door) -> None:
    run = door.done("lines", count=5)
    for query, headers in [({"format": "text"}, {}), ({}, {"Accept": "text/plain"})]:
        answer = door.http.get(f"/run/{run['id']}/log", params=query, headers=headers)
        assert answer.headers["content-type"].startswith("text/plain")
        assert answer.text == "".join(f"line {n}\n" for n in range(1, 6))


def test_log_goes_on_after_a_seq_page_by_page(door: Door) -> None:
    run = door.done("lines", count=20)
    found, after = [], "0"
    while after is not None:
        page = door.get(f"/run/{run['id']}/log", after=after, limit=7)
        assert len(page["events"]) <= 7
        found += page["events"]
        after = page["next_cursor"]
    assert found == door.events(run["id"])


def test_steps_have_names_times_and_outputs(door: Door) -> None:
    run = door.done("three_steps")
    assert run["status"] == "completed"
    steps = run["steps"]
    assert [(step["name"], step["status"]) for step in steps] == [(n, "completed") for n in ("echo", "sleep", "exec")]
    assert 0.29 < steps[1]["seconds"] < 3
    assert all(step["duration"] for step in steps)
    assert run["result"]["exec"]["exit_code"] == 0
    lines = {event["text"]: event["stream"] for event in door.events(run["id"]) if event["type"] == "line"}
    assert (lines["out"], lines["err"]) == ("stdout", "stderr")


def test_failing_step_is_named_and_those_after_it_do_not_run(door: Door) -> None:
    run = door.done("broken_step")
    assert run["status"] == "failed"
    assert run["error"]["step"] == "exec"
    assert "exit code 7" in run["error"]["message"]
    assert [step["status"] for step in run["steps"]] == ["completed", "failed", "skipped", "completed"]
    assert "about to fail" in door.lines(run["id"])
    assert "never said" not in door.lines(run["id"])


def test_failure_of_python_code_shows_the_users_own_lines(door: Door) -> None:
    run = door.done("failing")
    error = run["error"]
    assert (error["type"], error["message"], error["step"]) == ("ValueError", "the bottom is reached", "failing")
    assert error["traceback"].count("in _deeper") == 3
    assert "chalicelib/engine" not in error["traceback"]
    assert any("ValueError: the bottom is reached" in line for line in door.lines(run["id"]))
    assert door.get("/task/failing")["status"] == "failed"


def test_transient_failure_is_tried_again(door: Door, tmp_path: Any) -> None:
    run = door.done("flaky", note=str(tmp_path / "count"))
    assert (run["status"], run["attempt"], run["result"]) == ("completed", 2, {"attempt": 2})
    assert [attempt["status"] for attempt in run["attempts"]] == ["failed", "completed"]
    assert run["attempts"][0]["error"]["message"] == "not yet, attempt 1"


def test_retry_runs_again_with_the_same_arguments(door: Door) -> None:
    first = door.done("hello", name="ann")
    answer = door.http.post(f"/run/{first['id']}/_retry")
    assert answer.status_code == 202
    second = door.wait(answer.json()["run_id"])
    assert (second["trigger"], second["retry_of"], second["args"]) == ("retry", first["id"], {"name": "ann"})
    assert second["result"] == first["result"]
    assert second["id"] != first["id"]


def test_secret_is_nowhere_to_be_read(door: Door) -> None:
    secret = "tr0ub4dor&3"
    run = door.done("secretive", password=secret)
    again = door.wait(door.http.post(f"/run/{run['id']}/_retry").json()["run_id"])
    assert again["result"] == {"user": "ann", "seen": ["pw=***"]}
    failed = door.done("leaking", password=secret)
    assert failed["error"]["message"] == "login with *** failed"
    for each in (run, again, failed):
        assert each["args"]["password"] == "***"
        paths = [
            f"/run/{each['id']}",
            f"/run/{each['id']}/log",
            *(f"/run/{each['id']}/result?format={f}" for f in ("json", "yaml", "csv")),
        ]
        for path in [*paths, "/runs", "/tasks/"]:
            assert secret not in door.http.get(path).text, path
    assert door.lines(run["id"]) == ["logging in as ann with ***"]


@pytest.mark.parametrize("path", ["/runs", "/task/hello/runs", "/runs?status=completed", "/task/hello/runs?status=completed"])
def test_lists_are_newest_first_page_by_page(door: Door, path: str) -> None:
    ids = [door.done("hello")["id"] for _ in range(5)][::-1]
    found: list[str] = []
    query: dict[str, Any] = {"limit": 2}
    while len(found) < 5:
        page = door.http.get(path, params=dict(door.http.build_request("GET", path).url.params) | query).json()
        assert len(page["runs"]) <= 2
        found += [run["id"] for run in page["runs"]]
        assert page["next_cursor"]
        query["cursor"] = page["next_cursor"]
    # Others may run meanwhile: theirs are left out.
    assert [run for run in found if run in ids] == ids[: len(found)]
    assert found == sorted(found, reverse=True)
    assert len(found) == len(set(found))


def test_list_of_failed_runs_has_only_those(door: Door) -> None:
    failed = door.done("failing")["id"]
    runs = door.get("/runs", status="failed")["runs"]
    assert {run["status"] for run in runs} == {"failed"}
    assert failed in [run["id"] for run in runs]
    assert "result" not in runs[0]
    assert "traceback" not in runs[0]["error"]


def test_list_since_an_instant(door: Door) -> None:
    door.done("hello")
    time.sleep(0.01)
    instant = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    newer = [door.done("hello")["id"] for _ in range(2)]
    assert [run["id"] for run in door.get("/task/hello/runs", since=instant)["runs"]] == newer[::-1]


@pytest.mark.parametrize(
    ("path", "key", "name"),
    [("/tasks/", "tasks", "id"), ("/processors", "processors", "name"), ("/pipelines", "pipelines", "name")],
)
def test_lists_of_definitions_come_whole_or_in_pages(door: Door, path: str, key: str, name: str) -> None:
    whole = [row[name] for row in door.get(path)[key]]
    assert whole == sorted(whole)
    assert door.get(path)["next_cursor"] is None
    paged: list[str] = []
    query: dict[str, Any] = {"limit": 3}
    while query.get("cursor", "first") is not None:
        page = door.get(path, **query)
        assert 0 < len(page[key]) <= 3
        paged += [row[name] for row in page[key]]
        query["cursor"] = page["next_cursor"]
    assert paged == whole
    assert door.get(path, limit=len(whole))["next_cursor"] is None
    assert door.http.get(path, params={"limit": "0"}).json()["errors"][0]["field"] == "limit"
