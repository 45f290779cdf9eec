"""echo, sleep, python, the checks of the machine."""

from __future__ import annotations

import time
from collections import namedtuple
from typing import Any

import pytest
from pydantic import ValidationError

from chalicelib.catalog.decorators import PROCESSORS
from chalicelib.domain.errors import StepError, StoppedError
from chalicelib.processors.check_disk_space import CheckDiskSpace
from chalicelib.processors.check_memory import CheckMemory
from chalicelib.processors.echo import Echo
from chalicelib.processors.python import Python
from chalicelib.processors.sleep import Sleep
from tests.unit.processors.recorder import Recorder


def test_echo_says_each_line(run: Recorder) -> None:
    assert Echo(message="one\ntwo", lines=["three"])(run) == {"lines": 3}
    assert run.texts() == ["one", "two", "three"]


def test_echo_with_nothing_to_say_is_refused() -> None:
    with pytest.raises(ValidationError, match="give message: a text, or lines: a list"):
        Echo.model_validate({})


def test_sleep_sleeps_and_says_how_long_still(run: Recorder) -> None:
    started = time.monotonic()
    assert Sleep.model_validate({"duration": "300ms"})(run) == {"seconds": 0.3}
    assert time.monotonic() - started >= 0.3
    assert run.fractions[-1] == 1.0


def test_sleep_wakes_when_stopped(run: Recorder) -> None:
    run.stop_when = lambda: len(run.fractions) > 1
    started = time.monotonic()
    with pytest.raises(StoppedError):
        Sleep.model_validate({"duration": "1h"})(run)
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("duration", ["soon", 0, -1, True, None])
def test_sleep_refuses_what_is_no_duration(duration: Any) -> None:
    with pytest.raises(ValidationError):
        Sleep.model_validate({"duration": duration})


def add(run: Recorder, a: int, b: int = 2) -> int:
    """A function to be called by name."""
    return a + b


def test_python_calls_a_function_with_the_runs_arguments(run: Recorder) -> None:
    run.args = {"a": 40}
    assert Python(function=f"{__name__}:add")(run) == {"value": 42}


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        ("chalicelib.nowhere:x", "there is no module 'chalicelib.nowhere'"),
        ("chalicelib.domain.ids:x", "'chalicelib.domain.ids' has no 'x'"),
        ("chalicelib.domain.clock:UTC", "is not a function"),
    ],
)
def test_python_names_what_is_not_there(run: Recorder, function: str, reason: str) -> None:
    with pytest.raises(StepError, match=reason):
        Python(function=function)(run)


def test_python_refuses_what_names_no_function() -> None:
    for text in ("module", "os:", "a b:c", "x:y()"):
        with pytest.raises(ValidationError):
            Python(function=text)


@pytest.mark.parametrize("used", [50.0, 85.0])
def test_memory_up_to_the_threshold_is_well(run: Recorder, monkeypatch: pytest.MonkeyPatch, used: float) -> None:
    set_memory(monkeypatch, used)
    assert CheckMemory(threshold=85)(run)["used_percent"] == used


def test_memory_above_the_threshold_fails_with_numbers(run: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    set_memory(monkeypatch, 85.1)
    with pytest.raises(StepError, match=r"memory: 85.1 % used, 1.5 GB of 10 GB available; at most 85 % may be used"):
        CheckMemory(threshold=85)(run)


def set_memory(monkeypatch: pytest.MonkeyPatch, percent: float) -> None:
    memory = namedtuple("memory", "percent available total")(percent, 1_500_000_000, 10_000_000_000)
    monkeypatch.setattr("psutil.virtual_memory", lambda: memory)


def test_disk_is_measured_where_the_path_says(run: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    usage = namedtuple("usage", "percent free total")

    def disk_usage(path: str) -> Any:
        asked.append(path)
        return usage(91.0, 9, 100)

    monkeypatch.setattr("psutil.disk_usage", disk_usage)
    assert CheckDiskSpace(threshold=95, path="/")(run)["used_percent"] == 91.0
    with pytest.raises(StepError, match=r"91\.0 % used, 9 B of 100 B free; at most 90 % may be used"):
        CheckDiskSpace()(run)
    assert asked == ["/", str(run.workspace)]


@pytest.mark.parametrize("threshold", [0, 101, "many"])
def test_a_threshold_is_a_percentage(threshold: Any) -> None:
    for kind in (CheckDiskSpace, CheckMemory):
        with pytest.raises(ValidationError):
            kind.model_validate({"threshold": threshold})


def test_every_processor_and_each_of_its_fields_is_described() -> None:
    import importlib
    import pkgutil

    import chalicelib.processors

    for module in pkgutil.iter_modules(chalicelib.processors.__path__):
        importlib.import_module(f"chalicelib.processors.{module.name}")
    shipped = {name: cls for name, cls in PROCESSORS.items() if cls.__module__.startswith("chalicelib.processors.")}
    assert len(shipped) > 10
    for name, cls in shipped.items():
        schema = cls.model_json_schema()
        assert schema["description"], name
        assert all("description" in field for field in schema["properties"].values()), name
        assert name == "set" or schema["additionalProperties"] is False, name
