"""Conditions of `when` and `if`: nested mappings of operators, judged by values alone. Nothing in them is run.

equals, not_equals, contains, starts_with, ends_with, regexp   {"${args.mode}": full}; of several pairs each has to hold
in                                                             {"${args.mode}": [full, quick]}
range                                                          {"${steps.dump.output.bytes}": {gt: 0, lte: 1000}}
exists                                                         "${steps.dump.output.path}", or a list of them
and, or                                                        a list of conditions
not                                                            a condition
a reference alone, true or false                               "${args.verify}"

What cannot be judged (a number compared with a text, a reference to nothing) is an error, never a silent no.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from chalicelib.domain.errors import StepError

Place = tuple[str | int, ...]
Resolve = Callable[[Any], Any]

MISSING: Any = type("Missing", (), {"__repr__": lambda self: "missing"})()
"""What a reference stands for that leads to nothing."""

MOST_DEEP = 20
BOUNDS = ("gt", "gte", "lt", "lte")
COMPARISONS = ("equals", "not_equals", "contains", "starts_with", "ends_with", "regexp", "in", "range")
OPERATORS = (*COMPARISONS, "exists", "and", "or", "not")
EXAMPLE = 'like {equals: {"${args.mode}": full}} or "${args.verify}"'


class ConditionError(StepError):
    """A condition that cannot be judged; the message begins with the place within it."""


def holds(condition: Any, resolve: Resolve) -> bool:
    """Whether it holds. `resolve` gives the value of a reference, MISSING where it leads to nothing. Raises ConditionError."""
    for place, message, hint in faults_of(condition):
        raise _wrong(place, f"{message} ({hint})" if hint else message)
    return _judge(condition, resolve, ())


def faults_of(condition: Any, place: Place = ()) -> Iterator[tuple[Place, str, str]]:
    """(place within, what is wrong, hint) of everything that can be seen before the references have values."""
    if len(place) > 2 * MOST_DEEP:
        yield place, f"is nested more than {MOST_DEEP} deep", ""
    elif isinstance(condition, str):
        if not _is_reference(condition) and condition.lower() not in ("true", "false"):
            yield place, f"'{condition}' is no condition", EXAMPLE
    elif isinstance(condition, Mapping):
        yield from _operator_faults(condition, place)
    elif not isinstance(condition, bool):
        yield place, f"{_shown(condition)} is no condition", EXAMPLE


def _operator_faults(condition: Mapping[str, Any], place: Place) -> Iterator[tuple[Place, str, str]]:
    if len(condition) != 1:
        shown = ", ".join(map(str, condition)) or "nothing"
        yield place, f"is one operator, not {shown}", "put several conditions under and: or or:, each behind a dash"
        return
    [(operator, operand)] = condition.items()
    here = (*place, operator)
    if operator in ("and", "or"):
        if not isinstance(operand, list) or not operand:
            yield here, "is a list of conditions, each behind a dash", f"{operator}: [{{exists: …}}, {{equals: …}}]"
            return
        for index, inner in enumerate(operand):
            yield from faults_of(inner, (*here, index))
    elif operator == "not":
        yield from faults_of(operand, here)
    elif operator == "exists":
        for at, one in enumerate(operand) if isinstance(operand, list) else [(None, operand)]:
            if not _is_reference(one):
                yield here if at is None else (*here, at), "takes a reference, or a list of them", 'exists: "${args.file}"'
    elif operator in COMPARISONS:
        if not isinstance(operand, Mapping) or not operand:
            yield here, "compares a reference with a value", f'{operator}: {{"${{args.x}}": {_EXAMPLES[operator]}}}'
            return
        for subject, value in operand.items():
            if not _is_reference(subject):
                hint = f"write ${{{subject}}}" if "." in str(subject) else "like ${args.mode}"
                yield (*here, subject), f"'{subject}' refers to nothing, so the answer would always be the same", hint
            elif (wrong := _operand_fault(operator, value)) is not None:
                yield (*here, subject), *wrong
    else:
        yield here, f"there is no operator '{operator}'", f"there are {', '.join(OPERATORS)}"


_EXAMPLES = {"in": "[a, b]", "range": "{gt: 0}", "regexp": "^a.*z$"} | dict.fromkeys(
    ("equals", "not_equals", "contains", "starts_with", "ends_with"), "text"
)


def _operand_fault(operator: str, value: Any) -> tuple[str, str] | None:
    """What is wrong with an operand, as far as it is known already."""
    if _is_reference(value):
        return None
    if operator == "range":
        if not isinstance(value, Mapping) or not value or not set(value) <= set(BOUNDS):
            return "a range has bounds", f"some of {', '.join(BOUNDS)}, like {{gt: 0, lte: 10}}"
        for bound, limit in value.items():
            if not _is_reference(limit) and _orderable(limit) is None:
                return f"{bound} is a number or a date like 2026-01-31, not {_shown(limit)}", ""
    elif operator == "in" and not isinstance(value, list):
        return f"takes a list, not {_shown(value)}", "in: {…: [a, b]}"
    elif operator in ("starts_with", "ends_with", "regexp") and not isinstance(value, str):
        return f"takes a text, not {_shown(value)}", "put it into quotes"
    elif operator == "regexp" and (reason := _regexp_fault(value)) is not None:
        return f"is not a regular expression: {reason}", "as of Rust and RE2: without look-around and back-references"
    return None


def _judge(condition: Any, resolve: Resolve, place: Place) -> bool:
    if isinstance(condition, bool):
        return condition
    if isinstance(condition, str):
        return _truth(resolve(condition), condition, place)
    [(operator, operand)] = condition.items()
    here = (*place, operator)
    match operator:
        case "and":
            return all(_judge(inner, resolve, (*here, index)) for index, inner in enumerate(operand))
        case "or":
            return any(_judge(inner, resolve, (*here, index)) for index, inner in enumerate(operand))
        case "not":
            return not _judge(operand, resolve, here)
        case "exists":
            return all(resolve(one) not in (MISSING, None) for one in (operand if isinstance(operand, list) else [operand]))
    return all(_compare(operator, subject, resolve(subject), _resolved(value, resolve), here) for subject, value in operand.items())


def _truth(value: Any, text: str, place: Place) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    raise _wrong(place, f"{text} is {_shown(value)}, and a condition is true or false (compare it: equals, exists, …)")


def _compare(operator: str, subject: str, left: Any, right: Any, here: Place) -> bool:
    place = (*here, subject)
    if operator in ("equals", "not_equals"):
        equal = _equal(left, right, place)
        return equal if operator == "equals" else not equal
    for value, what in ((left, subject), (right, "what it is compared with")):
        parts = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else [value]
        if any(part is MISSING for part in parts):
            raise _wrong(place, f"{what} leads to nothing (ask with exists first, or give a fallback like ${{…|none}})")
    if (wrong := _operand_fault(operator, right)) is not None:
        raise _wrong(place, " ".join(filter(None, wrong)))
    if operator == "in":
        return _is_among(left, right, place)
    if operator == "contains":
        return _contains(left, right, place)
    if operator == "range":
        return all(_within(bound, left, limit, place) for bound, limit in right.items())
    if not isinstance(left, str):
        raise _wrong(place, f"is {_shown(left)}, and {operator} looks at a text")
    if operator == "regexp":
        return bool(_regexp(right).isinstance_python(left))
    return left.startswith(right) if operator == "starts_with" else left.endswith(right)


def _equal(left: Any, right: Any, place: Place) -> bool:
    """Null equals null and what is missing; otherwise like is compared with like."""
    if left is MISSING or right is MISSING:
        other = right if left is MISSING else left
        if other is None or other is MISSING:
            return True
        raise _wrong(place, "leads to nothing (ask with exists first, or give a fallback like ${…|none})")
    if left is None or right is None:
        return left is right
    if _kind(left) != _kind(right):
        raise _wrong(place, f"is {_shown(left)}, a {_kind(left)}, and is compared with {_shown(right)}, a {_kind(right)}")
    return bool(left == right)


def _is_among(left: Any, right: list[Any], place: Place) -> bool:
    comparable = [one for one in right if _kind(one) == _kind(left)]
    if left is not None and right and not comparable:
        raise _wrong(place, f"is {_shown(left)}, a {_kind(left)}, and none in the list is")
    return left in comparable


def _contains(left: Any, right: Any, place: Place) -> bool:
    if isinstance(left, str):
        if not isinstance(right, str):
            raise _wrong(place, f"is a text, and is searched for {_shown(right)}, a {_kind(right)}")
        return right in left
    if isinstance(left, list):
        return any(_kind(one) == _kind(right) and one == right for one in left)
    if isinstance(left, Mapping):
        return right in left
    raise _wrong(place, f"is {_shown(left)}, and contains looks into a text, a list or a mapping")


def _within(bound: str, left: Any, limit: Any, place: Place) -> bool:
    one, other = _orderable(left), _orderable(limit)
    if one is None:
        raise _wrong(place, f"is {_shown(left)}, and range compares numbers, or dates like 2026-01-31")
    if other is None or isinstance(one, float) != isinstance(other, float):
        raise _wrong((*place, bound), f"is {_shown(limit)}, which {_shown(left)} cannot be compared with")
    return bool({"gt": one > other, "gte": one >= other, "lt": one < other, "lte": one <= other}[bound])  # type: ignore[operator]


def _orderable(value: Any) -> float | datetime | None:
    """A number, or the instant of a date or time (in UTC, unless it says otherwise)."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, str):
        from datetime import UTC

        try:
            instant = datetime.fromisoformat(value)
        except ValueError:
            return None
        return instant if instant.tzinfo else instant.replace(tzinfo=UTC)
    return None


@lru_cache(maxsize=256)
def _regexp(pattern: str) -> Any:
    """Of Rust's engine, whose time is linear in the text: no pattern can hang a run."""
    from pydantic_core import SchemaValidator, core_schema

    return SchemaValidator(core_schema.str_schema(pattern=pattern, regex_engine="rust-regex"))


def _regexp_fault(pattern: str) -> str | None:
    from pydantic_core import SchemaError

    try:
        _regexp(pattern)
    except SchemaError as error:
        return str(error).strip().rsplit("\n", 1)[-1].strip().removeprefix("error: ").removeprefix("SchemaError: ")
    return None


def _resolved(value: Any, resolve: Resolve) -> Any:
    """An operand with its references' values; one within a list or a range has to lead somewhere."""
    if isinstance(value, Mapping):
        return {key: resolve(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [resolve(inner) for inner in value]
    return resolve(value)


def _is_reference(value: Any) -> bool:
    return isinstance(value, str) and "${" in value


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "text"
    return "list" if isinstance(value, list | tuple) else "mapping" if isinstance(value, Mapping) else "null"


def _shown(value: Any) -> str:
    if value is None or value is MISSING:
        return "null" if value is None else "nothing"
    return str(value).lower() if isinstance(value, bool) else repr(value)  # whole: a secret that is cut would not be masked


def _wrong(place: Place, message: str) -> ConditionError:
    where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).removeprefix(".")
    return ConditionError(f"{where}: {message}" if where else message)
