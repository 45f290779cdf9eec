"""Every function runs out of the zips: with the code, the layer and Lambda's own packages, under the real runtime client."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect

from chalicelib.catalog.load import load_catalog
from tests.package.build import Package
from tests.stack.conftest import Door, eventually, whole
from tests.stack.test_samples import ARGS, MAY_FAIL

GIVEN = ARGS | {"flaky_import": {"source": "complete"}}  # without it three attempts fail, with waits between them
WAKE = "2027-01-01T00:05:00Z"  # a minute at which a cadence rule of the samples rings


def functions(door: Door) -> set[str]:
    return set(door.stack.ask("status")["functions"])


def has_run(door: Door, function: str) -> bool:
    return "END RequestId" in door.stack.log(function.removeprefix("nightshift-local-"))


@pytest.fixture(scope="module")
def runs(packaged: Door) -> dict[str, dict[str, Any]]:
    """One finished run of each task, and one of a task made at run time."""
    answer = packaged.http.put("/task/made_later", json={"pipeline": "disk_usage_pipeline"})
    assert answer.status_code == 201, answer.text
    tasks = [task["id"] for task in packaged.get("/tasks/")["tasks"]]
    started = {task: packaged.start(task, **GIVEN.get(task, {}))["run_id"] for task in tasks}
    return {task: packaged.wait(run_id, seconds=60) for task, run_id in started.items()}


def test_every_task_runs(packaged: Door, runs: dict[str, dict[str, Any]]) -> None:
    assert "made_later" in runs
    for task, run in runs.items():
        assert whole(packaged.events(run["id"])), task
        if task in MAY_FAIL and run["status"] == "failed":
            assert run["error"]["step"] in MAY_FAIL[task]
        else:
            assert run["status"] == "completed", (task, run["error"])


def test_a_task_imports_its_own_code_only(package: Package, runs: dict[str, dict[str, Any]], notes: Path) -> None:
    assert runs
    noted = [line.split() for line in notes.read_text().splitlines()]
    imported: dict[str, set[str]] = {}
    for _, function, module in (line for line in noted if line[0] == "import" and len(line) == 3):
        imported.setdefault(function.removeprefix("nightshift-local-"), set()).add(module)
    tasks = load_catalog(package.code / "chalicelib" / "catalog.json").tasks.values()
    own = {task.function: set(task.modules) for task in tasks if task.modules}
    assert len(own) > 5
    assert imported == own


def test_functions_find_no_packages_but_the_layers_and_lambdas(
    package: Package, runs: dict[str, dict[str, Any]], notes: Path
) -> None:
    assert runs
    paths = {line.removeprefix("path ") for line in notes.read_text().splitlines() if line.startswith("path ")}
    assert {str(package.layer), str(package.runtime)} <= paths
    assert [path for path in paths if "site-packages" in path and path != str(package.layer)] == []


def test_pages_and_what_they_load_are_served(packaged: Door, runs: dict[str, dict[str, Any]]) -> None:
    page = packaged.http.get(f"/admin/run/{runs['disk_usage']['id']}", headers={"accept": "text/html"})
    assert page.status_code == 200
    assets = {str(page.url.join(link)) for link in re.findall(r'(?:src|href)="([^"]*/static/[^"]+)"', page.text)}
    assert {name.rpartition("/")[2] for name in assets} >= {"app.css", "xterm.css", "htmx.min.js"}
    folder = next(iter(assets)).rpartition("/")[0]
    for path in [*assets, f"{folder}/xterm.mjs", f"{folder}/addon-fit.mjs"]:
        answer = packaged.http.get(path)
        assert answer.status_code == 200, path
        assert "immutable" in answer.headers["cache-control"], path


def test_every_function_has_run(packaged: Door, runs: dict[str, dict[str, Any]]) -> None:
    started = packaged.start("long_watch", seconds=1, interval=0.5)
    with connect(started["websocket_url"]) as socket:
        events: list[dict[str, Any]] = []
        while not events or events[-1]["type"] != "done":
            events += json.loads(socket.recv(timeout=30))["events"]
        assert whole(events)
        socket.send('{"action": "ping"}')
        assert json.loads(socket.recv(timeout=30)) == {"type": "pong"}
    eventually(lambda: packaged.stack.tick(WAKE))
    waiting = functions(packaged)
    assert len(waiting) > 15
    eventually(
        lambda: not [f for f in waiting if not has_run(packaged, f)],
        why=lambda: str([f for f in waiting if not has_run(packaged, f)]),
    )
    assert packaged.stack.permissions()["refused"] == []
