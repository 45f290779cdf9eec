"""`nightshift simulate`, as a command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.http_server import http_server

ROOT = Path(__file__).parents[2]


def nightshift(*args: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"NIGHTSHIFT_URL": "http://127.0.0.1:9", "PYTHONPATH": str(ROOT)} | variables
    return subprocess.run(
        [sys.executable, "-m", "chalicelib.cli", *args], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=110
    )


def test_a_day_of_the_samples_is_simulated_in_seconds() -> None:
    began = time.monotonic()
    done = nightshift("simulate", "--days", "1", "--start", "2026-11-23T00:00:00Z", "--seconds", "2", "--json")
    took = time.monotonic() - began
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    print(f"{report['runs']} runs simulated in {took:.1f} s")
    assert report["tasks"]["health_check"]["runs"] == 288
    assert report["fires"] == {"ran": report["runs"]}
    assert 0 < report["peak_slots"]["global"]["slots"] <= report["peak_slots"]["global"]["limit"]
    assert report["dollars"] > 0
    assert took < 30, "5 s on a machine that has nothing else to do"


def test_nobody_hears_of_runs_that_never_were() -> None:
    with http_server() as collector:
        told = {"TASK_TRACING": collector.url, "TASK_METRICS": "task"}
        done = nightshift("simulate", "--days", "1", "--start", "2026-11-23T00:00:00Z", "--seconds", "2", "--json", **told)
    assert json.loads(done.stdout)["runs"] > 100
    assert collector.asked == []


@pytest.fixture
def fewer_slots(tmp_path: Path) -> Path:
    """The compiled catalog of the samples with one slot, and a task that hogs it."""
    catalog: dict[str, Any] = json.loads((ROOT / "chalicelib" / "catalog.json").read_text())
    catalog["settings"] = catalog.get("settings", {}) | {"max_concurrent_tasks": 1}
    file = tmp_path / "catalog.json"
    file.write_text(json.dumps(catalog))
    return file


def test_before_and_after_stand_side_by_side(fewer_slots: Path) -> None:
    said = ("simulate", "--days", "1", "--start", "2026-11-23T00:00:00Z", "--seconds", "200", "--before", str(fewer_slots))
    done = nightshift(*said, "--json")
    assert done.returncode == 0, done.stderr
    reports = json.loads(done.stdout)
    assert reports["before"]["peak_slots"]["global"] == {"slots": 1, "limit": 1}
    assert reports["before"]["waited"] > reports["after"]["waited"] == 0


def test_a_wrong_instant_is_one_line() -> None:
    done = nightshift("simulate", "--start", "yesterday")
    assert done.returncode == 2
    assert done.stderr.startswith("error: --start:")
    assert "Traceback" not in done.stderr
