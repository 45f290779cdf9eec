"""Pages of runs, newest first, by cursor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from chalicelib.domain.errors import InvalidCursorError
from chalicelib.domain.run import RunRecord
from chalicelib.store import runs
from chalicelib.store.listing import active_runs, list_runs
from chalicelib.store.table import Table
from tests.unit.store.conftest import NOW

Make = Callable[..., RunRecord]


def pages(store: Table, **asked: Any) -> list[list[str]]:
    found, cursor = [], None
    while True:
        page, cursor = list_runs(store, cursor=cursor, **asked)
        found.append([run.id for run in page])
        if cursor is None:
            return found


@pytest.fixture
def many(store: Table, queued: Make) -> list[RunRecord]:
    """Seven runs of task `a` and `b` in turn, oldest first; every third is running."""
    made = [queued(task_id="ab"[n % 2], created_at=NOW + n * 1000) for n in range(7)]
    for run in made[::3]:
        runs.claim(store, run.id, 1, "me", NOW, NOW)
    return made


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 50])
@pytest.mark.parametrize(
    "asked", [{}, {"task_id": "a"}, {"status": "running"}, {"task_id": "a", "status": "queued"}, {"since": NOW + 3000}]
)
def test_pages_together_are_the_list_newest_first(store: Table, many: list[RunRecord], limit: int, asked: dict[str, Any]) -> None:
    now = [runs.get_run(store, run.id) for run in reversed(many)]
    wanted = [
        run.id
        for run in now
        if run.task_id == asked.get("task_id", run.task_id)
        and run.status == asked.get("status", run.status)
        and run.created_at >= asked.get("since", 0)
    ]
    found = pages(store, limit=limit, **asked)
    assert [run_id for page in found for run_id in page] == wanted
    assert all(len(page) <= limit for page in found)


def test_a_cursor_older_than_what_is_asked_for_ends_the_list(store: Table, many: list[RunRecord]) -> None:
    assert list_runs(store, since=NOW + 5000, cursor=many[1].id) == ([], None)


@pytest.mark.parametrize("cursor", ["", "x", "01J" + "0" * 20, "0" * 25 + "l"])
def test_a_cursor_that_was_never_given_is_refused(store: Table, cursor: str) -> None:
    with pytest.raises(InvalidCursorError):
        list_runs(store, cursor=cursor)


def test_active_runs_are_found_by_task_and_all(store: Table, many: list[RunRecord]) -> None:
    assert len(active_runs(store)) == 7
    assert {(run_id, status) for run_id, _, status in active_runs(store, "b")} == {
        (run.id, runs.get_run(store, run.id).status) for run in many[1::2]
    }
