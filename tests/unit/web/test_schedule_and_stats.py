"""/stats, and the pages of schedule and statistics, on a table with a past."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from typer.testing import CliRunner

from chalicelib.api import stats
from chalicelib.api.http import Request
from chalicelib.cli.app import app
from chalicelib.domain.clock import iso, parse_iso
from chalicelib.domain.errors import InvalidRequestError, UnknownTaskError
from chalicelib.domain.ids import run_id_of
from chalicelib.engine.services import Services
from chalicelib.store import semaphores
from chalicelib.store.codec import encode_item
from tests.unit.web.conftest import HOSTILE, Ask
from tests.unit.web.test_pages import put_run

NOW = parse_iso("2026-03-05T12:30:00Z")  # a Thursday


@pytest.fixture(autouse=True)
def thursday(services: Services) -> None:
    services.now = lambda: NOW


def put(services: Services, pk: str, sk: str, **values: Any) -> None:
    services.table.client.put_item(TableName=services.table.name, Item=encode_item({"pk": pk, "sk": sk, **values}))


def ask_stats(services: Services, **query: str) -> Any:
    return stats.get_stats(Request(services, query=query)).body


@pytest.fixture
def past(services: Services) -> None:
    """Three days of two tasks."""
    put(services, "STATS#2026-03-03", "copy_files", runs=4, completed=3, failed=1, total_seconds=40, le_10=3, le_20=1)
    put(services, "STATS#2026-03-05", "copy_files", runs=1, completed=1, total_seconds=8, le_10=1)
    put(services, "STATS#2026-03-05", "ask", runs=2, failed=1, stopped=1, total_seconds=1000, le_300=1, le_900=1)
    put(services, "STATS#2026-02-01", "ask", runs=9, completed=9, total_seconds=9, le_1=9)


@pytest.mark.usefixtures("past")
def test_stats_add_up_by_day_by_task_and_in_all(services: Services) -> None:
    found = ask_stats(services, days="7")
    assert (found["from"], found["to"], len(found["by_day"])) == ("2026-02-27", "2026-03-05", 7)
    whole = found["total"]
    assert (whole["runs"], whole["completed"], whole["failed"], whole["stopped"]) == (7, 4, 2, 1)
    assert whole["success_rate"] == round(4 / 6, 4)
    assert whole["total_seconds"] == 1048
    assert 5 < whole["p50_seconds"] <= 10
    assert 600 < whole["p95_seconds"] <= 900
    assert sum(day["runs"] for day in found["by_day"]) == sum(row["runs"] for row in found["by_task"]) == 7
    assert found["by_day"][0]["runs"] == 0
    assert (found["busiest"], found["slowest"]) == (["ask", "copy_files"], ["ask", "copy_files"])
    assert found["most_failing"] == ["ask", "copy_files"]
    assert whole["dollars"] == pytest.approx(7 * 15e-6 + 524 * 1.667e-5, rel=0.2)
    assert "histogram" in json.dumps(found["estimates"])


@pytest.mark.usefixtures("past")
def test_stats_of_one_task(services: Services) -> None:
    found = ask_stats(services, days="90", task="ask")
    assert found["total"]["runs"] == 11
    assert [row["task_id"] for row in found["by_task"]] == ["ask"]
    assert found["slots"] is None


@pytest.mark.parametrize("days", ["0", "91", "x", "-1"])
def test_stats_refuse_other_numbers_of_days(services: Services, days: str) -> None:
    with pytest.raises(InvalidRequestError, match="from 1 to 90"):
        ask_stats(services, days=days)


def test_stats_of_an_unknown_task(services: Services) -> None:
    with pytest.raises(UnknownTaskError):
        ask_stats(services, task="nope")


def test_slots_now_and_over_time(services: Services) -> None:
    hour = 3_600_000
    put_run(services, id=run_id_of(NOW - 2 * hour, "x"), created_at=NOW - 2 * hour, started_at=NOW - 2 * hour)
    semaphores.acquire(services.table, "global", "R", 3, 10, NOW)
    semaphores.acquire(services.table, "task:ask", "R", 1, 1, NOW)
    found = ask_stats(services)["slots"]
    assert found["now"][0] == {"semaphore": "global", "active": 3, "limit": services.settings.max_concurrent_tasks}
    assert {"semaphore": "task:ask", "active": 1, "limit": 1} in found["now"]
    used = {point["at"]: point["slots"] for point in found["over_time"]}
    assert used[iso(NOW - 2 * hour)] == 1
    assert used[iso(NOW - 3 * hour)] == 0
    assert len(used) == 96


@pytest.mark.usefixtures("past")
def test_the_statistics_page_has_charts_with_a_table_beside_them(ask: Ask) -> None:
    body = ask("GET", "/admin/stats").body
    assert body.count('role="img"') >= 3
    assert "<td>2026-03-03</td>" in body
    assert "66.6 %" in body
    assert "Nothing has ended" in ask("GET", "/admin/stats", query={"task": "drop"}).body
    assert ask("GET", "/admin/stats", query={"days": "400"}).status == 400
    shown = json.loads(ask("GET", "/admin/stats", accept="application/json").body)
    assert shown["total"]["runs"] == 7


@pytest.fixture
def fires(services: Services) -> dict[str, int]:
    """What became of copy_files' fires, at 02:00 in Berlin: on Monday it ran, on Tuesday it failed, on Wednesday it was skipped."""
    at = {day: parse_iso(f"2026-03-0{day}T01:00:00Z") for day in range(2, 7)}
    for day, status in ((2, "completed"), (3, "failed")):
        run_id = run_id_of(at[day], "copy_files")
        put_run(services, id=run_id, task_id="copy_files", status=status, created_at=at[day], fire_at=at[day])
        put(services, "FIRES#copy_files", f"{at[day]:015d}", outcome="ran", reason="", run_id=run_id)
    put(services, "FIRES#copy_files", f"{at[4]:015d}", outcome="skipped", reason="one was active")
    return {str(day): instant for day, instant in at.items()}


def test_past_fires_have_their_outcome_and_those_to_come_none(ask: Ask, fires: dict[str, int]) -> None:
    shown = json.loads(ask("GET", "/admin/schedule", accept="application/json").body)
    found = {day["date"]: [(f["state"], f["run_id"], f["reason"]) for f in day["fires"]] for day in shown["days"]}
    assert found == {
        "2026-03-02": [("completed", run_id_of(fires["2"], "copy_files"), "")],
        "2026-03-03": [("failed", run_id_of(fires["3"], "copy_files"), "")],
        "2026-03-04": [("skipped", None, "one was active")],
        "2026-03-05": [],  # in no ledger: it never was
        "2026-03-06": [(None, None, "")],
        "2026-03-07": [(None, None, "")],
        "2026-03-08": [(None, None, "")],
    }


@pytest.mark.usefixtures("fires")
def test_the_week_is_a_table_with_links_to_runs_and_other_weeks(ask: Ask, fires: dict[str, int]) -> None:
    body = ask("GET", "/admin/schedule").body
    assert f"/admin/run/{run_id_of(fires['3'], 'copy_files')}" in body
    assert body.count('class="now"') == 1
    assert 'rel="prev" href="../admin/schedule?week=2026-02-23"' in body
    assert 'rel="next" href="../admin/schedule?week=2026-03-09"' in body
    day = ask("GET", "/admin/schedule", query={"day": "2026-03-06"}).body
    assert "Friday, 06 March 2026" in day
    assert HOSTILE not in body + day


def test_what_fires_often_stays_small(ask: Ask, services: Services) -> None:
    services.catalog.tasks["copy_files"] = services.catalog.tasks["copy_files"].model_copy(update={"schedule": "* * * * *"})
    put(services, "STATS#2026-03-03", "copy_files", runs=1440, completed=1437, failed=3)
    services.catalog = services.catalog.model_copy(update={"digest": "another"})
    body = ask("GET", "/admin/schedule").body
    assert len(re.findall("<a ", body)) < 60
    assert "1440 fires, 1440 runs have ended, 3 failed" in body
    (line,) = json.loads(ask("GET", "/admin/schedule", accept="application/json").body)["often"]
    assert [one["fires"] for one in line["days"]] == [1440] * 7


def test_where_slots_run_out_is_marked(ask: Ask, services: Services) -> None:
    for name in ("ask", "drop"):
        services.catalog.tasks[name] = services.catalog.tasks[name].model_copy(update={"schedule": "0 1 * * *", "slots": 60})
    services.catalog = services.catalog.model_copy(update={"digest": "tight"})
    body = ask("GET", "/admin/schedule").body
    assert "Where slots run out" in body
    assert "120 of 100" in body or "121 of 100" in body
    conflicts = json.loads(ask("GET", "/admin/schedule", accept="application/json").body)["conflicts"]
    assert conflicts[0]["over"]
    assert {"ask", "drop"} <= set(conflicts[0]["tasks"])


@pytest.mark.parametrize("query", [{"week": "soon"}, {"day": "2026-13-01"}, {"week": "9999-12-31"}])
def test_a_wrong_date_is_named(ask: Ask, query: dict[str, str]) -> None:
    reply = ask("GET", "/admin/schedule", query=query, accept="application/json")
    assert reply.status == 400
    assert next(iter(query)) in reply.body


def test_a_week_without_fires_says_what_next(ask: Ask) -> None:
    body = ask("GET", "/admin/schedule", query={"task": "drop"}).body
    assert "Nothing fires in this week" in body
    assert "Show all tasks" in body
    assert ask("GET", "/admin/schedule", query={"task": "nope"}).status == 404


@pytest.mark.usefixtures("past")
def test_the_command_prints_them(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    class Stub:
        def stats(self, days: int, task: str | None) -> Any:
            return ask_stats(services, days=str(days), **({"task": task} if task else {}))

    monkeypatch.setattr("chalicelib.cli.stats.connect", lambda ctx: Stub())
    said = CliRunner().invoke(app, ["stats"], env={"COLUMNS": "120"}).stdout
    assert re.search(r"copy_files +5 +1 +80\.0 %", said)
    assert re.search(r"all +7 +2 +66\.7 %", said)
    one = CliRunner().invoke(app, ["stats", "copy_files", "--days", "3"], env={"COLUMNS": "120"}).stdout
    assert re.search(r"2026-03-03 +4 +1 +75\.0 %", one)
    assert json.loads(CliRunner().invoke(app, ["stats", "--json"]).stdout)["total"]["runs"] == 7
