"""The product's table on both engines, and runs to put into it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from chalicelib.domain.clock import iso
from chalicelib.domain.ids import run_id_of
from chalicelib.domain.run import RunRecord
from chalicelib.store import runs
from chalicelib.store.table import Table

NOW = 1_800_000_000_000
_numbers = itertools.count(1)


def new_run(**values: Any) -> RunRecord:
    """A queued run that is not written yet; each a second later than the one before."""
    at = values.pop("created_at", NOW + next(_numbers) * 1000)
    said = [{"seq": 1, "at": iso(at), "type": "status", "status": "queued", "attempt": 1}]
    history = [{"at": at, "status": "queued", "attempt": 1}]
    given = {"id": run_id_of(at, "test", str(next(_numbers))), "task_id": "task", "status": "queued", "trigger": "api"} | values
    return RunRecord(**given, created_at=at, touched_at=at, seq=1, tail=said, history=history)


@pytest.fixture
def store(table: Any) -> Table:
    """The store's door to an empty table."""
    return Table(table.client, table.name)


@pytest.fixture
def queued(store: Table) -> Callable[..., RunRecord]:
    """Makes a queued run in the table."""
    return lambda **values: runs.put_new_run(store, new_run(**values))


@pytest.fixture
def running(store: Table, queued: Callable[..., RunRecord]) -> Callable[..., RunRecord]:
    """Makes a run that was just claimed."""

    def make(**values: Any) -> RunRecord:
        run, mine = runs.claim(store, queued(**values).id, 1, "me", NOW, NOW + 20_000)
        assert mine
        return run

    return make
