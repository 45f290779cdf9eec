"""A day's counters, folded once it is over; and the last twenty runs of a task."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.domain.clock import parse_iso
from chalicelib.domain.stats import Tally
from chalicelib.store import statistics
from chalicelib.store.statistics import days_until, read_days, read_task_days
from chalicelib.store.table import Table
from chalicelib.store.tasks import SHIFT_RECENT, get_task_state, recent_text

NOW = parse_iso("2026-03-02T12:00:00Z")


class Counting:
    """A client that notes what it is asked."""

    def __init__(self, client: Any) -> None:
        self.client, self.asked = client, [""]
        self.asked.clear()

    def __getattr__(self, name: str) -> Any:
        self.asked.append(name)
        return getattr(self.client, name)


@pytest.fixture
def table(moto_table: Any) -> Table:
    return Table(Counting(moto_table.client), moto_table.name)


def put(table: Table, day: str, task: str, **counts: Any) -> None:
    table.put({"pk": f"STATS#{day}", "sk": task, **counts})


def test_days_end_with_the_last_one() -> None:
    assert days_until("2026-03-01", 3) == ["2026-02-27", "2026-02-28", "2026-03-01"]


def test_a_day_that_is_over_is_folded_once_and_reads_the_same(table: Table) -> None:
    for day in ("2026-02-28", "2026-03-02"):
        put(table, day, "a", runs=3, completed=2, failed=1, total_seconds=4.5, **{"le_0.5": 2, "le_5": 1})
        put(table, day, "b", runs=1, stopped=1, total_seconds=1, le_1=1)
    days = days_until("2026-03-02", 30)
    first = read_days(table, days, NOW)
    assert first["2026-02-28"]["a"].runs == 3
    assert sum(first["2026-02-28"]["a"].buckets) == 3
    table.client.asked.clear()
    assert read_days(table, days, NOW) == first
    assert table.client.asked == ["batch_get_item", "query"], "thirty days, and only today is counted anew"


def test_today_is_never_folded_nor_a_day_that_may_still_change(table: Table) -> None:
    put(table, "2026-03-01", "a", completed=1)
    just_after = parse_iso("2026-03-02T00:30:00Z")
    assert read_days(table, ["2026-03-01"], just_after)["2026-03-01"]["a"].completed == 1
    put(table, "2026-03-01", "a", completed=2)
    assert read_days(table, ["2026-03-01"], just_after)["2026-03-01"]["a"].completed == 2


def test_a_day_too_large_for_an_item_stays_as_it_is(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "MOST_BYTES", 10)
    put(table, "2026-02-01", "a", completed=1)
    for _ in range(2):
        assert read_days(table, ["2026-02-01"], NOW) == {"2026-02-01": {"a": Tally(completed=1)}}


def test_one_tasks_days_are_one_request(table: Table) -> None:
    put(table, "2026-03-01", "a", completed=1)
    put(table, "2026-03-01", "b", completed=5)
    table.client.asked.clear()
    assert read_task_days(table, days_until("2026-03-02", 90), "a") == {"2026-03-01": Tally(completed=1)}
    assert table.client.asked == ["batch_get_item"]


def test_the_last_twenty_runs_move_on_in_the_update_that_counts(local_table: Any) -> None:
    table, name = Table(local_table.client, local_table.name), "x" * 64
    for number in range(25):
        item = table.update(("TASK", name), f"SET {SHIFT_RECENT}", newest=recent_text("failed", number / 8), none="")
        assert get_task_state(table, name).recent[0] == ("failed", number / 8)
    assert get_task_state(table, name).recent == tuple(("failed", number / 8) for number in range(24, 4, -1))
    assert sum(len(k) + len(str(v)) for k, v in item.items()) < 450, "with its counters it stays below one write unit"
