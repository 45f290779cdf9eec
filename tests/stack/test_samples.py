"""Every sample that ships, run by the product as it ships."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from tests.stack.conftest import ROOT, Door, make_project, make_stack, whole

# What the samples are given; a new one without required parameters needs no line here.
ARGS: dict[str, dict[str, Any]] = {
    "post_notice": {"title": "Maintenance", "text": "Tonight.\nAll of it.", "signing_key": "k3y"},
    "long_watch": {"seconds": 1, "interval": 0.5},
    "cpu_benchmark": {"limit": 200_000},
}
MEANT_TO_FAIL = {"flaky_import": "TransientError"}
# These look at this very machine, which may be full.
MAY_FAIL = {"health_check": ("check_disk_space", "check_memory")}


def test_every_sample_runs_to_its_end(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project", ROOT / "chalicelib" / "tasks")
    with make_stack(project, tmp_path / "data", "chalicelib.cli.project:compile_for_stack") as stack:
        door = Door(stack)
        with suppress(ClientError):  # it may be there
            stack.client("s3").create_bucket(Bucket="backups")
        tasks = [task["id"] for task in door.get("/tasks/")["tasks"]]
        assert len(tasks) > 10
        runs = {task: door.start(task, **ARGS.get(task, {}))["run_id"] for task in tasks}
        for task, run_id in runs.items():
            run = door.wait(run_id, seconds=60)
            assert whole(door.events(run_id)), task
            if task in MEANT_TO_FAIL:
                assert (run["status"], run["error"]["type"], run["attempt"]) == ("failed", MEANT_TO_FAIL[task], 3)
            elif task in MAY_FAIL and run["status"] == "failed":
                assert run["error"]["step"] in MAY_FAIL[task]
            else:
                assert run["status"] == "completed", (task, run["error"])
        good = door.done("flaky_import", source="complete")
        assert (good["status"], good["attempt"]) == ("completed", 1)
        door.http.close()
