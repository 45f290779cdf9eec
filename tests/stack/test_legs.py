"""Runs that take longer than one Lambda may, and the files that they keep."""

from __future__ import annotations

import re
from pathlib import Path

import httpx

from chalicelib.client import Client
from tests.stack.conftest import TERMINAL, Door, eventually, whole


def test_a_run_of_many_lambdas_looks_like_one(door: Door, long_runs: dict[str, str]) -> None:
    run_id = long_runs["relay"]

    def over() -> bool:
        held = run_id in door.slots()
        status = door.run(run_id)["status"]
        assert held or status in TERMINAL, "its slot is its own throughout"
        return status in TERMINAL

    eventually(over, 60)
    run, events = door.run(run_id), door.events(run_id)
    assert (run["status"], run["attempt"], run["result"]) == ("completed", 1, {"pieces": 110}), run["error"]
    assert run["attempts"][0]["legs"] >= 5
    assert whole(events)
    lines = [event["text"] for event in events if event["type"] == "line"]
    assert [line for line in lines if line.startswith("piece")] == [f"piece {n}" for n in range(1, 111)]
    assert len([line for line in lines if line.startswith("begins")]) == run["attempts"][0]["legs"]
    assert [event["status"] for event in events if event["type"] == "status"] == ["queued", "running", "completed"]
    fractions = [event["fraction"] for event in events if event["type"] == "progress"]
    assert fractions == sorted(fractions)
    assert 11 <= run["duration_seconds"] < 50
    assert run_id not in door.slots()
    assert [a["name"] for a in run["artifacts"]] == ["notes.txt"]
    left = door.stack.client("s3").list_objects_v2(Bucket="nightshift-local-files", Prefix=f"legs/{run_id}")
    assert left["KeyCount"] == 0, "what was carried over is removed"


def test_a_step_that_outlives_its_lambda_says_what_to_do(door: Door, long_runs: dict[str, str]) -> None:
    run = door.wait(long_runs["unbroken"])
    assert (run["status"], run["attempt"], run["error"]["type"]) == ("failed", 1, "Timeout")
    assert re.fullmatch(
        r"the step 'unbroken' ran into Lambda's limit of [34]s: make it a generator that yields checkpoints, or split it",
        run["error"]["message"],
    )


def test_a_kept_file_is_downloaded_under_its_name(door: Door, tmp_path: Path) -> None:
    run = door.done("keeps")
    (listed,) = door.get(f"/run/{run['id']}/artifacts")["artifacts"]
    assert listed == run["artifacts"][0]
    assert (listed["name"], listed["bytes"], listed["content_type"]) == ("Übersicht 1.csv", 10, "text/csv")
    answer = door.http.get(listed["url"])
    assert answer.status_code == 302
    file = httpx.get(answer.headers["Location"])
    assert (file.status_code, file.content) == (200, b"a,b\r\n1,2\r\n")
    assert file.headers["Content-Disposition"].endswith("filename*=UTF-8''%C3%9Cbersicht%201.csv")
    assert door.http.get(f"/run/{run['id']}/artifacts/other.csv").status_code == 404
    client = Client(door.stack.url, door.stack.token)
    assert client.artifacts(run["id"]) == [listed]
    saved = client.download(run["id"], listed["name"], tmp_path)
    assert (saved, saved.read_bytes()) == (tmp_path / "Übersicht 1.csv", file.content)
    assert door.get(f"/run/{run['id']}/result")["artifacts"] == run["artifacts"]
