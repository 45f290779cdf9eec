"""Arguments against parameters: the same answer for a form, JSON, the command line."""

from __future__ import annotations

import base64
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.arguments import masked, validate_arguments
from chalicelib.domain.errors import InvalidArgumentsError
from chalicelib.domain.model import Parameter, ParameterType

NOTHING = object()


def clean(parameter: dict[str, Any], value: Any = NOTHING) -> Any:
    """What becomes of one value; NOTHING if the parameter is absent then."""
    args = {} if value is NOTHING else {"x": value}
    return validate_arguments([Parameter.model_validate({"name": "x", **parameter})], args).get("x", NOTHING)


def refusal(parameter: dict[str, Any], value: Any = NOTHING) -> str:
    """Why one value is refused."""
    with pytest.raises(InvalidArgumentsError) as caught:
        clean(parameter, value)
    [error] = caught.value.errors
    assert error.field == "x"
    return error.message


SELECT = {"type": "select", "choices": ["sql", 1, 2.5, True]}
CONTENT = base64.b64encode(b"12345").decode()
FILE = {"name": "a.csv", "content_base64": CONTENT}
UPLOAD = {"name": "a.csv", "key": "uploads/1/a.csv"}

ACCEPTED: list[tuple[dict[str, Any], Any, Any]] = [
    ({}, "text", "text"),
    ({"default": "d"}, NOTHING, "d"),
    ({"default": "d"}, None, "d"),
    ({"default": "d"}, "", ""),
    ({}, "", NOTHING),
    ({}, None, NOTHING),
    ({"required": True, "default": "d"}, NOTHING, "d"),
    ({"pattern": "[a-z]+"}, "abc", "abc"),
    ({"min_length": 2, "max_length": 3}, "äöü", "äöü"),
    ({"type": "multiline"}, "a\r\nb\nc", "a\nb\nc"),
    ({"type": "number"}, 5, 5),
    ({"type": "number"}, "5", 5),
    ({"type": "number"}, " -2.5e3 ", -2500.0),
    ({"type": "number"}, ".5", 0.5),
    ({"type": "number", "minimum": 1, "maximum": 2}, 1, 1),
    ({"type": "number", "minimum": 1, "maximum": 2}, "2.0", 2.0),
    ({"type": "number", "integer": True}, 5.0, 5),
    ({"type": "number", "integer": True}, "5", 5),
    ({"type": "number"}, "", NOTHING),
    ({"type": "number", "default": 3}, "", 3),
    ({"type": "boolean"}, True, True),
    ({"type": "boolean"}, "on", True),
    ({"type": "boolean"}, "False", False),
    ({"type": "boolean"}, "0", False),
    ({"type": "boolean", "default": False}, NOTHING, False),
    ({"type": "date"}, "2026-01-31", "2026-01-31"),
    ({"type": "date", "minimum": "2026-01-31", "maximum": "2026-02-01"}, "2026-02-01", "2026-02-01"),
    (SELECT, "sql", "sql"),
    (SELECT, "1", 1),
    (SELECT, "2.5", 2.5),
    (SELECT, "true", True),
    (SELECT, 1, 1),
    (SELECT, True, True),
    ({"type": "secret"}, "s", "s"),
    ({"type": "file"}, FILE, FILE),
    ({"type": "file", "max_bytes": 5, "accept": ".CSV"}, FILE, FILE),
    ({"type": "file", "accept": "image/*, text/csv"}, UPLOAD, UPLOAD),
    ({"type": "file"}, "", NOTHING),
]

REFUSED: list[tuple[dict[str, Any], Any, str]] = [
    ({"required": True}, NOTHING, "is required"),
    ({"required": True}, "", "is required"),
    ({"required": True, "type": "file"}, None, "is required"),
    ({}, 5, "is a text, not a number"),
    ({}, ["a"], "is a text, not a list"),
    ({}, "\ud800", "not valid Unicode"),
    ({"pattern": "[a-z]+"}, "abc1", "does not match [a-z]+"),
    ({"pattern": "[a-z]+"}, "abc\n", "does not match [a-z]+"),
    ({"pattern": "[a-z]+", "help": "Small letters"}, "A", "(Small letters)"),
    ({"pattern": "[a-z]+", "default": "d"}, "", "does not match"),
    ({"min_length": 2}, "a", "needs at least 2 characters, has 1"),
    ({"max_length": 1}, "ab", "has at most 1 character, not 2"),
    ({"type": "number"}, "five", "is a number, not 'five'"),
    ({"type": "number"}, "1e999", "a finite one"),
    ({"type": "number"}, math.nan, "a finite one"),
    ({"type": "number"}, "٣", "is a number"),
    ({"type": "number"}, "9" * 5000, "is a number"),
    ({"type": "number"}, True, "is a number, not true"),
    ({"type": "number"}, {}, "is a number, not an object"),
    ({"type": "number", "integer": True}, 2.5, "is a whole number, not 2.5"),
    ({"type": "number", "integer": True}, "x", "is a whole number, not 'x'"),
    ({"type": "number", "minimum": 1}, 0, "is at least 1, not 0"),
    ({"type": "number", "maximum": 2.5}, "3", "is at most 2.5, not 3"),
    ({"type": "boolean"}, "perhaps", "is true or false, not 'perhaps'"),
    ({"type": "boolean"}, 1, "is true or false, not 1"),
    ({"type": "date"}, "31.1.2026", "is a date like 2026-01-31"),
    ({"type": "date"}, "2026-02-30", "is a date like"),
    ({"type": "date"}, "2026-W01-1", "is a date like"),
    ({"type": "date"}, "20260131", "is a date like"),
    ({"type": "date"}, 20260131, "is a date like"),
    ({"type": "date", "minimum": "2026-01-31"}, "2026-01-30", "is 2026-01-31 or later"),
    ({"type": "date", "maximum": "2026-01-31"}, "2026-02-01", "is 2026-01-31 or earlier"),
    (SELECT, "tar", "is one of sql, 1, 2.5, true, not 'tar'"),
    ({"type": "select", "choices": [1]}, True, "is one of 1, not true"),
    (SELECT, ["sql"], "is one of"),
    ({"type": "secret"}, 12345, "is a text, not a number"),
    ({"type": "file"}, "a.csv", "is a file:"),
    ({"type": "file"}, {"name": "a"}, "is a file:"),
    ({"type": "file"}, {**FILE, **UPLOAD}, "is a file:"),
    ({"type": "file"}, {"name": 5, "key": "uploads/x"}, "is a file:"),
    ({"type": "file"}, {**UPLOAD, "name": "../a"}, "no plain file name"),
    ({"type": "file"}, {**UPLOAD, "name": "a\x00b"}, "no plain file name"),
    ({"type": "file"}, {**UPLOAD, "key": "catalogs/secret"}, "no upload's"),
    ({"type": "file"}, {**UPLOAD, "key": "uploads/../x"}, "no upload's"),
    ({"type": "file"}, {"name": "a", "content_base64": "%"}, "not base64"),
    ({"type": "file", "max_bytes": 4}, FILE, "at most 4 bytes, not 5"),
    ({"type": "file", "accept": ".json,image/*"}, FILE, "is a file of type .json,image/*"),
]


@pytest.mark.parametrize(("parameter", "value", "expected"), ACCEPTED)
def test_accepted(parameter: dict[str, Any], value: Any, expected: Any) -> None:
    cleaned = clean(parameter, value)
    assert cleaned is expected if expected is NOTHING else cleaned == expected
    assert type(cleaned) is type(expected)


@pytest.mark.parametrize(("parameter", "value", "expected"), REFUSED)
def test_refused(parameter: dict[str, Any], value: Any, expected: str) -> None:
    assert expected in refusal(parameter, value)


def test_every_wrong_field_is_named() -> None:
    parameters = [Parameter(name="database", required=True), Parameter(name="level", type="number")]
    with pytest.raises(InvalidArgumentsError) as caught:
        validate_arguments(parameters, {"databse": "x", "level": "high"})
    assert [(error.field, error.message) for error in caught.value.errors] == [
        ("databse", "is not a parameter: did you mean database?"),
        ("database", "is required"),
        ("level", "is a number, not 'high'"),
    ]


def test_unknown_argument_of_a_task_without_parameters() -> None:
    with pytest.raises(InvalidArgumentsError, match="x is not a parameter: the task takes none"):
        validate_arguments([], {"x": 1})


def test_arguments_that_are_no_object() -> None:
    with pytest.raises(InvalidArgumentsError, match="object"):
        validate_arguments([], ["x"])  # type: ignore[arg-type]


def test_no_refusal_repeats_a_secret() -> None:
    parameter = {"type": "secret", "pattern": "[a-z]+", "max_length": 100}
    assert "S3CRET" not in refusal(parameter, "S3CRET")
    assert "42" not in refusal(parameter, 42)


def test_masked_hides_secrets_only() -> None:
    parameters = [Parameter(name="token", type="secret"), Parameter(name="user")]
    assert masked(parameters, {"token": "s", "user": "u", "more": 1}) == {"token": "***", "user": "u", "more": 1}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
TYPES: list[ParameterType] = ["text", "select", "boolean", "number", "date", "file", "multiline", "secret"]


@given(st.sampled_from(TYPES), json_values)
def test_whatever_comes_is_cleaned_or_refused_by_field(kind: ParameterType, value: Any) -> None:
    parameter = Parameter.model_validate({"name": "x", "type": kind, "choices": ["a", 1] if kind == "select" else []})
    try:
        cleaned, errors = validate_arguments([parameter], {"x": value}), []
    except InvalidArgumentsError as error:
        cleaned, errors = {}, [entry.field for entry in error.errors]
    assert errors in ([], ["x"])
    assert validate_arguments([parameter], cleaned) == cleaned
