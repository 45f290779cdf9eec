"""Every YAML block of the Task Module's documentation loads as it stands there."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from chalicelib.domain.timetable import check_schedule

from .conftest import Project

BLOCKS = Path(__file__).parent / "task_module"
NAMES = sorted(path.stem for path in BLOCKS.glob("*.yaml") if path.stem not in ("companion", "schedule_examples", "pipelines"))


def load(project: Project, name: str) -> Project:
    """A project of the block and what the block leaves to the reader."""
    wanted = [name, "companion"] if name == "pipelines" else [name, "companion", "pipelines"]
    for block in wanted:
        project.write(f"{block}.yaml", (BLOCKS / f"{block}.yaml").read_text())
    return project


@pytest.mark.parametrize("name", NAMES)
def test_block_loads_unchanged(project: Project, name: str) -> None:
    written = yaml.safe_load((BLOCKS / f"{name}.yaml").read_text())
    catalog = load(project, name).catalog()
    assert sorted(catalog.tasks) == sorted(task["id"] for task in written.get("tasks", []))
    for task in written.get("tasks", []):
        assert catalog.tasks[task["id"]].schedule == task["schedule"]
        assert catalog.tasks[task["id"]].pipeline == task["pipeline"]
        assert catalog.tasks[task["id"]].name == task.get("name", task["id"])
    assert catalog.settings == written.get("task", {})


def test_retry_block_says_attempts_and_seconds(project: Project) -> None:
    task = load(project, "retry_logic").catalog().tasks["resilient_task"]
    assert (task.retry_count, task.timeout) == (3, 1800.0)


def test_pipelines_block_keeps_order_and_configuration(project: Project) -> None:
    pipelines = load(project, "pipelines").catalog().pipelines
    backup, health = pipelines["backup_pipeline"].steps, pipelines["health_check_pipeline"].steps
    assert [(step.processor, step.config) for step in backup] == [
        ("copy", {"source": "./data", "destination": "./backup"}),
        ("compress", {"algorithm": "gzip"}),
        ("upload", {"destination": "s3://backups/"}),
    ]
    assert [step.processor for step in health] == ["check_disk_space", "check_memory", "send_alert"]


@pytest.mark.parametrize("line", [line for line in (BLOCKS / "schedule_examples.yaml").read_text().splitlines() if ":" in line])
def test_each_schedule_of_the_examples_is_one(line: str) -> None:
    check_schedule(yaml.safe_load(line)["schedule"])
