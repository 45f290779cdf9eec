"""What references become when a step begins."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.domain.errors import StepError
from chalicelib.domain.handle import RunHandle
from chalicelib.domain.pipeline_state import PipelineState
from chalicelib.engine.values import Values

FIRE = 1_769_824_800_000  # 2026-01-31T02:00:00Z
SECRETS = {"db": '{"user": "app", "password": "hunter22", "port": 5432}', "db#password": "hunter22", "token": "t0ken"}


class Handle(RunHandle):
    def __init__(self, args: dict[str, Any]) -> None:
        super().__init__("01RUN", "nightly", args)
        self.fire_at, self.attempt, self.trigger = FIRE, 2, "schedule"
        self.secrets: list[str] = []

    def add_secret(self, text: str) -> None:
        self.secrets.append(text)


@pytest.fixture
def handle() -> Handle:
    return Handle({"day": "monday", "count": 3, "verify": True, "rate": 0.5, "tags": ["a", "b"], "none": None})


@pytest.fixture
def values(handle: Handle) -> Values:
    dump = {"path": "/tmp/dump.sql", "bytes": 7, "tables": [{"name": "users"}]}
    state = PipelineState(
        outputs={"dump": dump, "my step": {"x": 1}},
        previous=dump,
        variables={"target": "s3://bucket/x"},
        steps=[
            {"name": "dump", "status": "completed", "output": dump},
            {"name": "verify", "status": "failed", "error": "StepError: 3 rows: missing"},
        ],
    )
    return Values(handle, SECRETS.__getitem__, state)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${args.day}", "monday"),
        ("${args.count}", 3),
        ("${args.verify}", True),
        ("${args.tags}", ["a", "b"]),
        ("${args.tags[-1]}", "b"),
        ("${args.none}", None),
        ("${args.none|x}", "x"),
        ("${args.absent|x}", "x"),
        ("${args.absent|}", ""),
        ("n=${args.count} v=${args.verify} r=${args.rate} t=${args.tags}", 'n=3 v=true r=0.5 t=["a", "b"]'),
        ("${run.id} ${run.task_id} ${run.attempt} ${run.trigger}", "01RUN nightly 2 schedule"),
        ("${run.date}/${run.time} ${run.fire_at}", "2026-01-31/020000 2026-01-31T02:00:00.000Z"),
        ("${run.attempt}", 2),
        ("${steps.dump.output}", {"path": "/tmp/dump.sql", "bytes": 7, "tables": [{"name": "users"}]}),
        ("${steps.dump.output.tables[0].name}", "users"),
        ("${steps.dump.status} ${steps.verify.status}", "completed failed"),
        ("${steps.verify.error.type}: ${steps.verify.error.message}", "StepError: 3 rows: missing"),
        ('${steps["my step"].output.x}', 1),
        ("${previous.path}", "/tmp/dump.sql"),
        ("${vars.target}/${args.day}", "s3://bucket/x/monday"),
        ("${env.NIGHTSHIFT_TEST_HOME}", "/srv/somebody"),
        ("${env.NIGHTSHIFT_TEST_ABSENT|none}", "none"),
        ("postgres://${secret:db#password}@db", "postgres://hunter22@db"),
        ("$${args.day} $HOME", "${args.day} $HOME"),
        ("plain", "plain"),
    ],
)
def test_a_reference_becomes_its_value(values: Values, monkeypatch: pytest.MonkeyPatch, text: str, value: Any) -> None:
    monkeypatch.setenv("NIGHTSHIFT_TEST_HOME", "/srv/somebody")
    found = values.resolve(text)
    assert found == value
    assert type(found) is type(value)


def test_lists_mappings_and_keys_are_resolved_and_left_as_they_were(values: Values) -> None:
    config = {"a": ["${args.day}", {"${args.day}": "${args.count}"}], "b": 1}
    assert values.resolve(config) == {"a": ["monday", {"monday": 3}], "b": 1}
    assert config == {"a": ["${args.day}", {"${args.day}": "${args.count}"}], "b": 1}


def test_what_is_known_here_alone_comes_first(values: Values) -> None:
    local = {"item": {"name": "x"}, "index": 4, "error": {"message": "oh"}, "steps": {"inner": {"y": 2}}}
    assert values.resolve("${index}-${item.name}-${error.message}-${steps.inner.output.y}", local) == "4-x-oh-2"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("${args.dat}", "args has no 'dat', but day, count, verify, rate, tags, none"),
        ("is ${args.none}", "args.none is empty"),
        ("${args.day.x}", "args.day is text and has no 'x'"),
        ("${args.tags[7]}", "args.tags has 2 entries"),
        ("${steps.later.output}", "the step 'later' has not run"),
        ("${steps.verify.output.path}", "steps.verify.output is empty"),
        ("${vars.nothing}", "vars has no 'nothing', but target"),
        ("${item}", "'item' is not known here"),
        ("${env.NIGHTSHIFT_TEST_ABSENT}", "there is no environment variable NIGHTSHIFT_TEST_ABSENT"),
        ("${oops", "column 1: '${' is never closed"),
    ],
)
def test_a_reference_to_nothing_is_a_step_error(values: Values, text: str, why: str) -> None:
    with pytest.raises(StepError) as raised:
        values.resolve(text)
    assert why in str(raised.value)


@pytest.mark.parametrize("text", ["${args.given}", "is ${args.given}", "${vars.given}", "${item}"])
def test_a_value_is_never_read_as_a_reference_itself(handle: Handle, text: str) -> None:
    """Else whoever may start a run could read any secret."""
    handle.args["given"] = "${secret:db} $${x}"
    values = Values(handle, SECRETS.__getitem__, PipelineState(variables={"given": "${secret:db} $${x}"}))
    assert values.resolve({"a": [text]}, {"item": "${secret:db} $${x}"})["a"][0].removeprefix("is ") == "${secret:db} $${x}"
    assert handle.secrets == []


def test_looking_up_nothing_gives_what_the_caller_says(values: Values) -> None:
    assert values.look_up("${args.absent}", missing="?") == "?"
    assert values.look_up("${args.day}", missing="?") == "monday"


def test_a_secret_is_made_known_to_the_run_with_the_texts_of_its_json(values: Values, handle: Handle) -> None:
    values.resolve(["${secret:token}"])
    assert handle.secrets == ["t0ken"]
    values.resolve("${secret:db}")
    assert {SECRETS["db"], "hunter22"} <= set(handle.secrets)
    assert "app" not in handle.secrets  # too short to be looked for everywhere


def test_variables_whose_names_say_so_are_secrets(values: Values, handle: Handle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NIGHTSHIFT_TEST_API_KEY", "k3y")
    monkeypatch.setenv("NIGHTSHIFT_TEST_HOST", "db.internal")
    assert values.resolve("${env.NIGHTSHIFT_TEST_API_KEY}@${env.NIGHTSHIFT_TEST_HOST}") == "k3y@db.internal"
    assert handle.secrets == ["k3y"]
