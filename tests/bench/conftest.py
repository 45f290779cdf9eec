"""Stacks to measure, and the table of what came out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from infra.local.testing import LocalStack
from tests.stack.conftest import make_project, make_stack

TASKS = Path(__file__).parent / "project" / "tasks"
ROWS = pytest.StashKey[list[tuple[str, str, str, str]]]()

Stacks = Callable[..., AbstractContextManager[LocalStack]]
Note = Callable[[str, str, str, str], None]


@pytest.fixture(scope="session")
def stacks(tmp_path_factory: pytest.TempPathFactory) -> Stacks:
    """Starts a stack of its own, with TASK_* settings."""
    folder = tmp_path_factory.mktemp("bench")
    project = make_project(folder / "project", TASKS)
    count = iter(range(100))

    @contextmanager
    def start(**env: str) -> Iterator[LocalStack]:
        data = folder / f"data-{next(count)}"
        with make_stack(project, data, "chalicelib.cli.project:compile_for_stack", env=env) as stack:
            yield stack

    return start


@pytest.fixture
def note(request: pytest.FixtureRequest) -> Note:
    """Adds a row to the table: (what, measured, aim, floor)."""
    return lambda *row: request.config.stash.setdefault(ROWS, []).append(row)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    rows = config.stash.get(ROWS, [])
    if not rows:
        return
    table = [("what", "measured", "aim", "what it cannot be below"), *rows]
    widths = [max(len(row[at]) for row in table) for at in range(4)]
    terminalreporter.write_line("")
    for row in table:
        terminalreporter.write_line("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())
