"""When and how often a task runs: what is accepted, and how what is wrong is refused, in YAML, Python and at run time alike."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.catalog.checks import check_settings, check_task
from chalicelib.catalog.relations import check_relations
from chalicelib.domain.model import Task, Window
from chalicelib.settings import load_settings

from .conftest import Project

PIPELINE = "pipelines:\n  - name: p\n    processors:\n      - echo: {message: hello}\n"

ALL_OF_IT = """\
task:
  pools: {db: 4, api: 2}
  rate_limit: 100/minute
  time_zone: Europe/Berlin
tasks:
  - {id: before, pipeline: p, every: 90m, at: 2026-12-24T18:00}
  - id: a
    pipeline: p
    schedule: '0 2 * * *'
    start: 2026-01-01
    end: 2026-12-31T12:00
    except:
      - {from: 22:00, to: 06:00, days: MON-FRI}
      - {from: 2026-12-24, to: 2026-12-27, reason: Christmas}
      - days: [SAT, SUN]
    spread: 10m
    catch_up: all
    catch_up_limit: 3
    overlap: queue
    max_concurrent: 2
    pool: db
    slots: 4
    priority: -5
    rate_limit: 10/hour
    depends_on: before
    paused: true
"""


def test_all_of_it_is_read_and_written_down_and_read_again(project: Project) -> None:
    from chalicelib.catalog.load import load_catalog

    project.write("good.yaml", PIPELINE + ALL_OF_IT)
    catalog = project.compile(write=True).catalog
    task = catalog.tasks["a"]
    assert task.blackouts == [
        Window(from_="22:00", to="06:00", days="MON-FRI"),
        Window(from_="2026-12-24", to="2026-12-27", reason="Christmas"),
        Window(days="SAT,SUN"),
    ]
    assert (task.spread, task.depends_on, task.slots, task.paused) == (600.0, ["before"], 4, True)
    assert (catalog.tasks["before"].every, catalog.tasks["before"].at) == (5400.0, ["2026-12-24T18:00"])
    assert load_catalog(project.root / "chalicelib" / "catalog.json") == catalog
    settings = load_settings(catalog.settings, {})
    assert (settings.pools, settings.rate_limit) == ({"db": 4, "api": 2}, "100/minute")


def test_python_task_takes_the_same_options(project: Project) -> None:
    project.write(
        "good.py",
        "from chalicelib import task\n"
        '@task(every="2h", blackouts=[{"from": "22:00", "to": "06:00"}], overlap="skip", spread=600, start="2026-01-01")\n'
        "def a(): ...\n",
    )
    task = project.catalog().tasks["a"]
    assert (task.every, task.overlap, task.spread) == (7200.0, "skip", 600.0)
    assert task.blackouts == [Window(from_="22:00", to="06:00")]


# what is written, the key, what the message says, what the hint says (an example is in one of the two)
MISTAKES: list[tuple[dict[str, Any], str, str, str]] = [
    ({"schedule": "0 0 31 2 *"}, "schedule", "never fires", ""),
    ({"schedule": "61 * * * *"}, "schedule", "like 30, */5", ""),
    ({"time_zone": "Mars/Olympus"}, "time_zone", "like Europe/Berlin", ""),
    ({"schedule": "@daily", "every": "1h"}, "every", "stands beside schedule", "schedule: null"),
    ({"every": "often"}, "every", "'often' is not a duration: write it like 45s", "90m"),
    ({"every": "30s"}, "every", "whole minutes, like 90m", "90m"),
    ({"every": "90s"}, "every", "whole minutes, like 90m or 2h, not 1m30s", "90m"),
    ({"every": 0}, "every", "longer than nothing", "90m"),
    ({"every": True}, "every", "is not a duration", "90m"),
    ({"at": "tomorrow"}, "at.0", "'tomorrow' is no instant: write it like 2026-12-24T18:00", ""),
    ({"at": ["2026-12-24T18:00", "2026-13-01"]}, "at.1", "'2026-13-01' is no instant", "2026-12-24T18:00"),
    ({"at": ["1969-12-24T18:00"]}, "at.0", "is not between 1970 and 2199", "2026-12-24T18:00"),
    ({"at": 5}, "at", "valid list, not 5", "2026-12-24T18:00"),
    ({"at": "2026-12-24", "end": "2026-12-23"}, "at.0", "is not between start and end", "move one"),
    ({"start": "soon"}, "start", "'soon' is no instant: write it like", ""),
    ({"end": "2026-02-30"}, "end", "'2026-02-30' is no instant: write it like", ""),
    ({"start": "2026-06-01", "end": "2026-05-31"}, "end", "is before start", "end: 2026-12-31"),
    ({"schedule": "0 0 1 1 *", "start": "2026-02-01", "end": "2026-12-31"}, "end", "never fires", "move"),
    ({"except": {"from": "22:00", "to": "06:00"}}, "except", "valid list", "{from: '22:00'"),
    ({"except": [{"from": "22:00"}]}, "except.0", "has from alone: write it like {from: '22:00'", ""),
    ({"except": [{"to": "22:00"}]}, "except.0", "has to alone", "{from: '22:00'"),
    ({"except": [{}]}, "except.0", "says neither from and to nor days: write it like", ""),
    ({"except": [{"from": "25:00", "to": "06:00"}]}, "except.0", "'25:00' is no time of day: write it like", ""),
    ({"except": [{"from": "22:60", "to": "06:00"}]}, "except.0", "'22:60' is no time of day", ""),
    ({"except": [{"from": "6:00", "to": "06:00"}]}, "except.0", "ends when it begins", ""),
    ({"except": [{"from": "22:00", "to": "2026-12-24"}]}, "except.0", "goes from a time to a date", ""),
    ({"except": [{"from": "2026-12-27", "to": "2026-12-24"}]}, "except.0", "ends before it begins", ""),
    ({"except": [{"from": "2026-12-24T18:00", "to": "2026-12-24T18:00"}]}, "except.0", "ends before it begins", ""),
    ({"except": [{"from": "noon", "to": "night"}]}, "except.0", "'noon' is no instant", ""),
    ({"except": [{"days": "MON-FRY"}]}, "except.0", "'FRY' is no day of week", ""),
    ({"except": [{"days": "MON#2"}]}, "except.0", "'MON#2' is no day of each week", ""),
    (
        {"except": [{"from": "2026-12-24T18:00", "to": "2026-12-25T18:00", "days": "MON"}]},
        "except.0",
        "narrows instants by days",
        "",
    ),
    ({"except": [{"form": "22:00", "to": "06:00"}]}, "except.0.form", "unknown key 'form'", "did you mean 'from'?"),
    ({"blackouts": [{"days": "MON-FRY"}]}, "blackouts.0", "'FRY' is no day of week", ""),
    ({"schedule": "*/15 * * * *", "spread": "15m"}, "spread", "fires every 15m already", "like 14m"),
    ({"schedule": "* * * * *", "spread": "1m"}, "spread", "fires every 1m already", "leave it out"),
    ({"every": "2h", "spread": "3h"}, "spread", "is 3h, and the task fires every 2h", "like 1h59m"),
    ({"spread": "30s"}, "spread", "whole minutes", "10m"),
    ({"catch_up": "some"}, "catch_up", "'some' is not offered", "'latest', 'all' or 'none'"),
    ({"catch_up_limit": 0}, "catch_up_limit", "greater than or equal to 1, not 0", "for example 10"),
    ({"overlap": "wait"}, "overlap", "'wait' is not offered", "'allow', 'queue', 'skip' or 'replace'"),
    ({"max_concurrent": 0}, "max_concurrent", "greater than or equal to 1", "for example 1"),
    ({"slots": 1.5}, "slots", "valid integer", "for example 1"),
    ({"priority": 101}, "priority", "less than or equal to 100", "for example 10"),
    ({"rate_limit": "10/week"}, "rate_limit", "write it like 10/minute", ""),
    ({"rate_limit": 10}, "rate_limit", "valid string", "10/minute"),
    ({"pool": 5}, "pool", "valid string", "db"),
    ({"depends_on": ["a"]}, "depends_on", "'a' cannot depend on itself", "[other_task]"),
    ({"depends_on": ["b", "b"]}, "depends_on", "names a task twice", "[other_task]"),
    ({"depends_on": 5}, "depends_on", "valid list", "[other_task]"),
    ({"paused": "perhaps"}, "paused", "valid boolean", "true"),
]


@pytest.mark.parametrize(("written", "key", "message", "hint"), MISTAKES, ids=[str(case[0]) for case in MISTAKES])
def test_mistake_is_one_fault_with_an_example(written: dict[str, Any], key: str, message: str, hint: str) -> None:
    task, faults = check_task({"id": "a", "pipeline": "p", **written}, {"p"})
    assert task is None
    [fault] = faults
    assert ".".join(map(str, fault.path)) == key
    assert message in fault.message
    assert hint in fault.hint
    assert fault.hint or "like" in fault.message or "days up to" in fault.message


def test_faults_of_time_are_told_beside_others() -> None:
    raw = {
        "id": "a",
        "pipeline": "p",
        "colour": "red",
        "priority": "high",
        "at": ["x"],
        "except": [{"days": "x"}],
        "rate_limit": "x",
    }
    paths = {fault.path for fault in check_task(raw)[1]}
    assert paths == {("colour",), ("priority",), ("at", 0), ("except", 0), ("rate_limit",)}


def test_bounds_are_read_in_the_zone_of_all_where_the_task_names_none() -> None:
    raw = {"id": "a", "pipeline": "p", "at": "2026-06-01T23:00Z", "end": "2026-06-01"}
    assert check_task(raw, default_zone="UTC")[1] == []
    assert [fault.path for fault in check_task(raw, default_zone="Europe/Berlin")[1]] == [("at", 0)]


def test_fields_that_need_a_schedule_may_wait_for_one() -> None:
    raw = {"id": "a", "pipeline": "p", "spread": "10m", "start": "2026-01-01", "end": "2026-02-01", "catch_up": "all"}
    assert check_task(raw)[1] == []


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ({"pools": {"db": 0}}, "db needs a whole number"),
        ({"pools": {"db": "many"}}, "db needs a whole number"),
        ({"pools": {"d b": 1}}, "names of letters"),
        ({"pools": "db"}, "db needs a whole number"),
        ({"rate_limit": "10 a minute"}, "write it like 10/minute"),
    ],
)
def test_settings_of_pools_and_rates_are_checked(block: dict[str, Any], message: str) -> None:
    _settings, [fault] = check_settings(block)
    assert fault.path == (next(iter(block)),)
    assert message in fault.message
    assert fault.hint.startswith("for example")


def test_pools_of_the_environment_win() -> None:
    settings = load_settings({"pools": {"db": 4}, "rate_limit": "1/hour"}, {"TASK_POOLS": "db=2, api=5", "TASK_RATE_LIMIT": ""})
    assert (settings.pools, settings.rate_limit) == ({"db": 2, "api": 5}, "")


# extra YAML, the line and key of the problem, what message and hint say
RELATIONS = [
    ("  - {id: a, pipeline: p, pool: bd}\n", 4, "tasks[0].pool", "there is no pool 'bd'", "there are db"),
    ("  - {id: a, pipeline: p, pool: db, slots: 3}\n", 4, "tasks[0].slots", "is 3, more than the 2 that pool 'db' has", "at most 2"),
    ("  - {id: a, pipeline: p, slots: 6}\n", 4, "tasks[0].slots", "is 6, more than the 5 that max_concurrent_tasks has", "at most 5"),
    ("  - {id: a, pipeline: p, depends_on: [b]}\n  - {id: c, pipeline: p}\n", 4, "tasks[0].depends_on[0]", "there is no task 'b'", "there are c"),
    ("  - {id: a, pipeline: p, depends_on: [b]}\n  - {id: b, pipeline: p, depends_on: [a]}\n", 4, "tasks[0].depends_on", "in a circle: a -> b -> a", "take 'b' out"),
    ("  - {id: a, pipeline: p}\n  - {id: d, pipeline: p, depends_on: [a, c]}\n  - {id: c, pipeline: p, depends_on: [b]}\n"
     "  - {id: b, pipeline: p, depends_on: [d]}\n", 7, "tasks[3].depends_on", "in a circle: b -> d -> c -> b", "take 'd' out"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "line", "key", "message", "hint"), RELATIONS)
def test_task_that_does_not_fit_the_others_is_one_problem(
    project: Project, text: str, line: int, key: str, message: str, hint: str
) -> None:
    project.write("good.yaml", PIPELINE)
    project.write("wrong.yaml", f"task:\n  {{pools: {{db: 2}}, max_concurrent_tasks: 5}}\ntasks:\n{text}")
    [problem] = project.problems()
    assert (problem.line, problem.key) == (line, key)
    assert message in problem.message
    assert hint in problem.hint


def test_pool_without_any_pools_says_how_to_make_one() -> None:
    task = Task(id="a", pipeline="p", pool="db")
    [fault] = check_relations(task, {}, {}, 100)
    assert fault.hint == "define it: task: {pools: {db: 5}}"


def test_a_broken_task_is_no_unknown_one(project: Project) -> None:
    project.write(
        "only.yaml", f"{PIPELINE}tasks:\n  - {{id: a, pipeline: p, depends_on: b}}\n  - {{id: b, pipeline: p, every: x}}\n"
    )
    assert [problem.key for problem in project.problems()] == ["tasks[1].every"]


def test_broken_pools_do_not_make_pools_unknown(project: Project) -> None:
    project.write("only.yaml", f"task: {{pools: 5}}\n{PIPELINE}tasks:\n  - {{id: a, pipeline: p, pool: db}}\n")
    assert [problem.key for problem in project.problems()] == ["task.pools"]


def test_change_that_closes_a_circle_is_refused_whoever_comes_first_in_it() -> None:
    tasks = {name: Task(id=name, pipeline="p", depends_on=on) for name, on in {"a": ["b"], "b": ["c"], "c": []}.items()}
    changed = Task(id="c", pipeline="p", depends_on=["a"])
    [fault] = check_relations(changed, tasks, {}, 100)
    assert fault.path == ("depends_on",)
    assert "c -> a -> b -> c" in fault.message
    assert check_relations(tasks["a"], tasks, {}, 100) == []
