"""The toy stack that most tests here share, and how to make another."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.local.testing import LocalStack

TOY = Path(__file__).parent / "toy"
TABLE = "nightshift-local"


@pytest.fixture(scope="session")
def stack() -> Iterator[LocalStack]:
    with LocalStack(TOY, template=TOY / "resources.yaml") as running:
        yield running


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the toy that a test may change."""
    copy = tmp_path / "toy"
    shutil.copytree(TOY, copy, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


@pytest.fixture
def own_stack(project: Path) -> Iterator[Callable[..., LocalStack]]:
    """Starts stacks of the test's own on the copied project."""
    started: list[LocalStack] = []

    def start(**options: Any) -> LocalStack:
        running = LocalStack(project, template=project / "resources.yaml", **options)
        started.append(running)
        return running.start()

    yield start
    for running in started:
        running.__exit__()


def eventually(what: Callable[[], Any], seconds: float = 10.0) -> Any:
    """The first true value of `what()`; fails after that many seconds."""
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
    return found


def note(stack: LocalStack, key: str) -> dict[str, str]:
    """What the toy noted under the key, {} when nothing."""
    found = stack.client("dynamodb").get_item(TableName=TABLE, Key={"pk": {"S": key}, "sk": {"S": "note"}})
    return {name: next(iter(value.values())) for name, value in found.get("Item", {}).items()}


def alive(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
