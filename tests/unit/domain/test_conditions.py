"""Conditions say yes, no, or why neither can be said."""

from __future__ import annotations

import time
from typing import Any

import pytest

from chalicelib.domain.conditions import MISSING, ConditionError, faults_of, holds

VALUES: dict[str, Any] = {
    "mode": "full",
    "n": 5,
    "half": 0.5,
    "yes": True,
    "no": "false",
    "null": None,
    "day": "2026-01-31",
    "at": "2026-01-31T12:00:00Z",
    "tags": ["a", 1],
    "map": {"k": 1},
    "words": ["full", "quick"],
}


def resolve(value: Any) -> Any:
    """`${name}` of VALUES."""
    if isinstance(value, str) and value.startswith("${"):
        return VALUES.get(value[2:-1], MISSING)
    return value


YES: list[Any] = [
    True, "true", "${yes}", {"not": "${no}"}, {"equals": {"${mode}": "full"}}, {"equals": {"${n}": 5.0}}, {"equals": {"${tags}": ["a", 1]}},
    {"equals": {"${mode}": "full", "${n}": 5}}, {"equals": {"${null}": None}}, {"equals": {"${gone}": None}}, {"equals": {"${gone}": "${null}"}},
    {"not_equals": {"${mode}": None}}, {"not_equals": {"${mode}": "quick"}}, {"contains": {"${mode}": "ul"}}, {"contains": {"${tags}": "a"}},
    {"contains": {"${tags}": 1}}, {"contains": {"${map}": "k"}}, {"starts_with": {"${mode}": "fu"}}, {"ends_with": {"${mode}": "ll"}},
    {"regexp": {"${mode}": "^f.l+$"}}, {"regexp": {"${mode}": "(?i)FULL"}}, {"in": {"${mode}": ["full", "quick"]}}, {"in": {"${mode}": "${words}"}},
    {"in": {"${n}": [1, 5, "x"]}}, {"range": {"${n}": {"gt": 4, "lte": 5}}}, {"range": {"${n}": {"gt": "${half}"}}},
    {"range": {"${day}": {"gte": "2026-01-31", "lt": "2026-02-01"}}}, {"range": {"${at}": {"gt": "2026-01-31"}}},
    {"exists": "${mode}"}, {"exists": ["${mode}", "${n}"]}, {"not": {"exists": "${gone}"}}, {"not": {"exists": ["${mode}", "${null}"]}},
    {"and": ["${yes}", {"exists": "${n}"}]}, {"or": [{"exists": "${gone}"}, "${yes}"]}, {"or": ["${yes}", {"equals": {"${gone}": 1}}]},
]  # fmt: skip

NO: list[Any] = [
    False, "${no}", {"equals": {"${mode}": "quick"}}, {"equals": {"${mode}": "full", "${n}": 6}}, {"equals": {"${null}": "x"}},
    {"equals": {"${mode}": None}}, {"contains": {"${tags}": "1"}}, {"contains": {"${map}": "x"}}, {"regexp": {"${mode}": "^ul"}},
    {"in": {"${mode}": ["quick"]}}, {"in": {"${mode}": []}}, {"in": {"${null}": ["x"]}}, {"range": {"${n}": {"gt": 5}}}, {"and": ["${yes}", "${no}"]},
    {"not": {"or": ["${no}", "${yes}"]}},
]  # fmt: skip

# condition, what the message begins with, and what it says
CANNOT_BE_SAID: list[tuple[Any, str, str]] = [
    ("${mode}", "${mode} is 'full'", "a condition is true or false"),
    ("${null}", "${null} is null", "true or false"),
    ("${gone}", "${gone} is nothing", "true or false"),
    ({"equals": {"${n}": "5"}}, "equals.${n}: ", "is 5, a number, and is compared with '5', a text"),
    ({"equals": {"${yes}": "true"}}, "equals.${yes}: ", "a boolean"),
    ({"equals": {"${gone}": 1}}, "equals.${gone}: ", "leads to nothing"),
    ({"not_equals": {"${gone}": 1}}, "not_equals.${gone}: ", "leads to nothing"),
    ({"contains": {"${gone}": 1}}, "contains.${gone}: ", "leads to nothing"),
    ({"contains": {"${n}": 1}}, "contains.${n}: ", "looks into a text, a list or a mapping"),
    ({"contains": {"${mode}": 1}}, "contains.${mode}: ", "is searched for 1, a number"),
    ({"regexp": {"${n}": "5"}}, "regexp.${n}: ", "is 5, and regexp looks at a text"),
    ({"in": {"${n}": ["5"]}}, "in.${n}: ", "none in the list is"),
    ({"in": {"${mode}": ["${gone}"]}}, "in.${mode}: ", "leads to nothing"),
    ({"in": {"${mode}": "${n}"}}, "in.${mode}: ", "takes a list, not 5"),
    ({"range": {"${mode}": {"gt": 1}}}, "range.${mode}: ", "compares numbers, or dates"),
    ({"range": {"${n}": {"gt": "${mode}"}}}, "range.${n}: ", "is a number or a date"),
    ({"range": {"${n}": {"gt": "${day}"}}}, "range.${n}.gt: ", "cannot be compared with"),
    ({"and": ["${yes}", {"or": [{"equals": {"${n}": "5"}}]}]}, "and[1].or[0].equals.${n}: ", "a number"),
]

# condition, the place of its fault, and what is said
WRONG: list[tuple[Any, tuple[Any, ...], str]] = [
    (None, (), "null is no condition"),
    (5, (), "5 is no condition"),
    ("full", (), "'full' is no condition"),
    ({}, (), "is one operator, not nothing"),
    ({"exists": "${a}", "not": "${b}"}, (), "is one operator, not exists, not"),
    ({"equal": {"${a}": 1}}, ("equal",), "there is no operator 'equal'"),
    ({"equals": "${a}"}, ("equals",), "compares a reference with a value"),
    ({"equals": {"args.mode": 1}}, ("equals", "args.mode"), "refers to nothing"),
    ({"and": {"exists": "${a}"}}, ("and",), "is a list of conditions"),
    ({"or": []}, ("or",), "is a list of conditions"),
    ({"and": ["${a}", {"nor": []}]}, ("and", 1, "nor"), "there is no operator 'nor'"),
    ({"not": 1}, ("not",), "1 is no condition"),
    ({"exists": "a"}, ("exists",), "takes a reference"),
    ({"exists": ["${a}", "b"]}, ("exists", 1), "takes a reference"),
    ({"range": {"${a}": 5}}, ("range", "${a}"), "a range has bounds"),
    ({"range": {"${a}": {"above": 5}}}, ("range", "${a}"), "a range has bounds"),
    ({"range": {"${a}": {"gt": "many"}}}, ("range", "${a}"), "gt is a number or a date"),
    ({"in": {"${a}": "b"}}, ("in", "${a}"), "takes a list, not 'b'"),
    ({"starts_with": {"${a}": 1}}, ("starts_with", "${a}"), "takes a text, not 1"),
    ({"regexp": {"${a}": "(x"}}, ("regexp", "${a}"), "is not a regular expression: unclosed group"),
    ({"regexp": {"${a}": r"(?=x)"}}, ("regexp", "${a}"), "look-around"),
]


@pytest.mark.parametrize("condition", YES, ids=str)
def test_condition_holds(condition: Any) -> None:
    assert holds(condition, resolve)


@pytest.mark.parametrize("condition", NO, ids=str)
def test_condition_does_not_hold(condition: Any) -> None:
    assert not holds(condition, resolve)


@pytest.mark.parametrize(("condition", "begins", "says"), CANNOT_BE_SAID, ids=lambda value: str(value))
def test_what_cannot_be_judged_is_an_error_with_its_place(condition: Any, begins: str, says: str) -> None:
    with pytest.raises(ConditionError) as raised:
        holds(condition, resolve)
    assert raised.value.message.startswith(begins)
    assert says in raised.value.message


@pytest.mark.parametrize(("condition", "place", "says"), WRONG, ids=lambda value: str(value))
def test_what_is_wrong_in_itself_is_told_before_anything_runs(condition: Any, place: tuple[Any, ...], says: str) -> None:
    [(found, message, _hint)] = list(faults_of(condition))
    assert (found, says in message) == (place, True), message
    with pytest.raises(ConditionError):
        holds(condition, resolve)


def test_a_condition_is_not_nested_without_end() -> None:
    condition: Any = True
    for _ in range(100):
        condition = {"not": condition}
    [(_, message, _hint)] = list(faults_of(condition))
    assert "deep" in message


def test_no_pattern_takes_long() -> None:
    began = time.perf_counter()
    assert not holds({"regexp": {"${x}": "^(a+)+$"}}, lambda value: "a" * 50_000 + "b" if value == "${x}" else value)
    assert time.perf_counter() - began < 2
