"""The timetable on the whole stack: the clock fires EventBridge's rules, they wake the dispatcher, it starts runs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chalicelib.domain.clock import iso, now_ms, parse_iso
from infra.local.testing import LocalStack
from tests.stack.conftest import Door, eventually, make_project, make_stack

HOURS = 3
TASKS = {
    "every_ten": "schedule: '*/10 * * * *'",
    "berlin_night": "schedule: '30 1 * * *'\n    time_zone: Europe/Berlin",
    "window": "schedule: '*/20 * * * *'\n    except: [{from: '01:00', to: '02:00'}]",
    "ninety": "every: 45m\n    start: 2026-03-02T00:00:00Z",
    "limited": "schedule: '*/15 * * * *'\n    rate_limit: 2/hour",
    "after": "depends_on: [berlin_night]",
}
MIDNIGHT = parse_iso("2026-03-02T00:00:00Z")


@pytest.fixture(scope="module")
def clock(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("clock") / "offset"
    file.write_text("0")
    return file


@pytest.fixture(scope="module")
def timed(tmp_path_factory: pytest.TempPathFactory, clock: Path) -> Iterator[Door]:
    """A stack whose functions' clock stands at midnight, 2 March 2026, until it is moved."""
    folder = tmp_path_factory.mktemp("timetable")
    (folder / "tasks").mkdir()
    (folder / "tasks" / "__init__.py").touch()
    written = "".join(f"  - id: {name}\n    pipeline: short\n    {keys}\n" for name, keys in TASKS.items())
    pipelines = "pipelines:\n  - name: short\n    processors:\n      - echo: {message: hello}\n"
    (folder / "tasks" / "tasks.yaml").write_text(f"tasks:\n{written}{pipelines}")
    project = make_project(folder / "project", folder / "tasks")
    move(clock, MIDNIGHT - 60_000 - now_ms())
    with make_stack(
        project, folder / "data", "chalicelib.cli.project:compile_for_stack", env={"NIGHTSHIFT_CLOCK_FILE": str(clock)}
    ) as stack:
        yield Door(stack)


def move(clock: Path, offset: int) -> None:
    """At once: a function that reads half a file would live in another year."""
    new = clock.with_suffix(".new")
    new.write_text(str(offset))
    new.replace(clock)


def sweep(stack: LocalStack) -> None:
    """One whole sweep, whatever the stack's own clock does meanwhile."""
    answer = stack.client("lambda").invoke(FunctionName="nightshift-local-sweeper", Payload=b"{}")
    assert "FunctionError" not in answer, answer["Payload"].read()


def rules(stack: LocalStack) -> dict[str, str]:
    found = stack.client("events").list_rules(NamePrefix="nightshift-local-wake-")["Rules"]
    return {rule["Name"]: rule["ScheduleExpression"] for rule in found}


def test_the_first_sweep_makes_the_rules_and_a_change_at_run_time_changes_them(timed: Door) -> None:
    sweep(timed.stack)
    before = set(rules(timed.stack).values())
    answer = timed.http.put("/task/once_a_day", json={"pipeline": "short", "schedule": "17 4 * * *", "time_zone": "Asia/Kathmandu"})
    assert answer.status_code == 201, answer.text
    sweep(timed.stack)
    added = set(rules(timed.stack).values()) - before
    assert added == {"cron(32 22 * * ? *)"}, "4:17 in Kathmandu is 22:32 UTC, all year"
    assert timed.http.delete("/task/once_a_day").status_code == 204
    sweep(timed.stack)
    assert set(rules(timed.stack).values()) == before


def test_what_the_simulation_predicts_is_what_the_stack_does(timed: Door, clock: Path) -> None:
    predicted = simulated(timed.stack.project_dir)
    sweep(timed.stack)
    minutes = [MIDNIGHT + minute * 60_000 for minute in range(HOURS * 60 + 1)]
    for minute in minutes:
        move(clock, minute + 500 - now_ms())
        if timed.stack.tick(iso(minute)[:16] + ":00Z"):
            eventually(lambda: timed.get("/runs", limit=500) and idle(timed), 20)
    found = []
    for task in TASKS:
        for fire in timed.get(f"/task/{task}/fires", limit=500)["fires"]:
            if MIDNIGHT <= parse_iso(fire["fire"]) <= minutes[-1]:
                found.append((fire["fire"], task, fire["outcome"]))
    assert sorted(found) == predicted
    assert {outcome for _, _, outcome in found} == {"ran", "skipped"}
    (cause,) = timed.get("/task/berlin_night/runs")["runs"]
    (effect,) = timed.get("/task/after/runs")["runs"]
    assert (effect["trigger"], effect["caused_by"]) == ("dependency", [cause["id"]])


def idle(door: Door) -> bool:
    return not any(door.get("/runs", status=status)["runs"] for status in ("queued", "running"))


def simulated(project: Path) -> list[tuple[str, str, str]]:
    """The ledger of the same hours, on the virtual clock, in a process of its own."""
    code = f"""
import json
from pathlib import Path
from chalicelib.catalog.load import load_catalog
from chalicelib.engine.simulation import Simulation
from chalicelib.settings import load_settings
from chalicelib.store.table import Table
from infra.local.memory import MemoryDynamoDB
memory = MemoryDynamoDB()
name = memory.create_table(Path("infra/resources.yaml"), "simulation")
catalog = load_catalog(Path({str(project / "catalog.json")!r}))
done = Simulation(Table(memory, name), catalog, load_settings(catalog.settings, {{}}), {{t: 0.2 for t in catalog.tasks}}, {MIDNIGHT - 1})
print(json.dumps(done.run({MIDNIGHT} + {HOURS} * 3_600_000).ledger))
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    return [tuple(entry) for entry in json.loads(said.stdout)]


def test_a_start_with_an_instant_waits_for_it(timed: Door, clock: Path) -> None:
    now = now_ms() + int(clock.read_text())
    later = timed.http.post("/task/after/_start", json={"at": iso(now + 7_200_000)}).json()["run_id"]
    answer = timed.http.post("/task/after/_start", json={"at": iso(now + 3_600_000)})
    assert (answer.status_code, answer.json()["status"]) == (202, "scheduled")
    for task in (timed.get("/task/after"), timed.get("/tasks/", q="after")["tasks"][0]):
        assert (task["next_run"], task["active_runs"]) == (iso(now + 3_600_000), 2)
    timed.stop(later)
    move(clock, int(clock.read_text()) + 3_600_000)
    timed.stack.client("lambda").invoke(FunctionName="nightshift-local-dispatcher", Payload=b"{}")
    assert timed.wait(answer.json()["run_id"])["status"] == "completed"


def test_pausing_everything_is_said_in_the_ledger(timed: Door, clock: Path) -> None:
    assert timed.http.post("/_pause").json() == {"paused": True}
    move(clock, int(clock.read_text()) + 1_200_000)
    timed.stack.client("lambda").invoke(FunctionName="nightshift-local-dispatcher", Payload=b"{}")
    newest = timed.get("/task/every_ten/fires", limit=1)["fires"][0]
    assert newest["outcome"] in ("skipped", "missed")
    assert timed.http.post("/_resume").json() == {"paused": False}


def test_schedule_and_next_show_fires_and_conflicts(timed: Door) -> None:
    # Another process of the API may know for some seconds more that all was paused.
    schedule = eventually(lambda: (found := timed.get("/schedule", days=1))["conflicts"] and found, 10)
    assert [f["at"] for f in schedule["fires"]] == sorted(f["at"] for f in schedule["fires"])
    assert {f["task_id"] for f in schedule["fires"]} == set(TASKS) - {"after"}
    together = next(c for c in schedule["conflicts"] if {"every_ten", "window"} <= set(c["tasks"]))
    assert together["slots_needed"] >= 2
    assert (together["over"], together["slots"]) == (False, 100)


@pytest.mark.parametrize(
    ("change", "field", "hint"),
    [
        ({"schedule": "61 * * * *"}, "schedule", "0-59"),
        ({"schedule": "0 0 31 2 *"}, "schedule", "never fires"),
        ({"time_zone": "Europe/Berln"}, "time_zone", "Europe/Berlin"),
        ({"except": [{"from": "25:00", "to": "26:00"}]}, "except", ""),
        ({"rate_limit": "ten a minute"}, "rate_limit", "10/minute"),
        ({"depends_on": ["nobody"]}, "depends_on", ""),
        ({"depends_on": ["after"]}, "depends_on", ""),
        ({"pool": "nowhere"}, "pool", ""),
        ({"every": "soon"}, "every", "90m|1m30s"),
    ],
)
def test_patch_and_put_refuse_what_validate_refuses(timed: Door, change: dict[str, Any], field: str, hint: str) -> None:
    before = timed.get("/task/berlin_night")
    for answer in (
        timed.http.patch("/task/berlin_night", json=change),
        timed.http.put(
            "/task/made_anew", json={"pipeline": "short"} | (change if field != "depends_on" else {"depends_on": ["nobody"]})
        ),
    ):
        assert answer.status_code == 422, answer.text
        (error,) = [e for e in answer.json()["errors"] if e["field"].split(".")[0] == field]
        assert re.search(hint, error["message"]), error
    assert timed.get("/task/berlin_night") == before
    assert timed.http.get("/task/made_anew").status_code == 404


def test_a_change_on_an_old_state_is_refused(timed: Door) -> None:
    old = timed.http.get("/task/limited").headers["etag"]
    assert timed.http.patch("/task/limited", json={"priority": 5}, headers={"If-Match": old}).status_code == 200
    answer = timed.http.patch("/task/limited", json={"priority": 6}, headers={"If-Match": old})
    assert answer.status_code == 412
    new = timed.http.get("/task/limited")
    assert (new.json()["priority"], new.headers["etag"] != old) == (5, True)


def test_delete_hides_a_task_of_the_code_until_it_is_put_back(timed: Door) -> None:
    assert timed.http.delete("/task/ninety").status_code == 204
    assert timed.http.get("/task/ninety").status_code == 404
    # Another process may know a change some seconds later.
    eventually(lambda: timed.http.post("/task/ninety/_start").status_code == 404, 10)
    assert timed.http.put("/task/ninety").status_code == 200
    assert timed.get("/task/ninety")["every"] == "45m"


def test_a_task_that_others_depend_on_is_not_deleted(timed: Door) -> None:
    answer = timed.http.delete("/task/berlin_night")
    assert (answer.status_code, "after depends on it" in answer.json()["detail"]) == (409, True)
    assert timed.http.get("/task/berlin_night").status_code == 200


def test_a_run_asked_for_at_an_instant_is_not_waited_for(timed: Door) -> None:
    answer = timed.http.post("/task/every_ten/_run", json={"at": "2027-01-01T00:00:00Z"})
    assert (answer.status_code, answer.json()["status"]) == (202, "scheduled")
    assert answer.elapsed.total_seconds() < 10
    timed.http.post(f"/run/{answer.json()['id']}/_stop")


def test_a_disabled_task_takes_no_start_and_no_fire(timed: Door) -> None:
    assert timed.http.patch("/task/every_ten", json={"enabled": False}).json()["status"] == "disabled"
    eventually(lambda: timed.http.post("/task/every_ten/_start").status_code == 409, 10)
    assert timed.http.patch("/task/every_ten", json={"enabled": None}).json()["enabled"] is True
