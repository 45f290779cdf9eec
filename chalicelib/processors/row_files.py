"""Files of rows, CSV or JSON lines, as rows for a table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from chalicelib.domain.errors import StepError
from chalicelib.processors.bodies import lines_of
from chalicelib.processors.paths import Entry
from chalicelib.processors.rows import Digits, csv_records, json_text, read_json

SUFFIXES = (".csv", ".csv.gz", ".jsonl", ".jsonl.gz")
MISSING = object()
"""The value of a column that a row does not have."""


def table_of(entry: Entry) -> str:
    """The name that a file gives its table."""
    return entry.path.name.removesuffix(".gz").rpartition(".")[0]


def rows_in(entry: Entry, columns: list[str]) -> tuple[list[str], Iterator[list[Any]]]:
    """The columns of a file, and its rows with a value for each.

    `columns` are those that JSON lines may have; when empty, those of the first.
    """
    name, lines = entry.name, lines_of(entry)
    if not _is_json(entry):
        records = csv_records(lines, name)
        head = next(records, None)
        if head is None or None in head:
            raise StepError(f"{name}:1: names of columns are wanted")
        return [str(column) for column in head], _whole(records, len(head), name)
    objects = _objects(lines, name)
    first = next(objects, None)
    columns = columns or list(first or {})
    return columns, _valued(objects, first, columns, name)


def converter(type_: Any, entry: Entry, dumped: bool, exact_text: bool) -> Callable[[Any], Any]:
    """What makes of a value of this file the one for a column of this type (SQLAlchemy's).

    In JSON lines of a dump null is JSON's own in a JSON column; NULL is left out there. With `exact_text` the server reads text.
    """
    from sqlalchemy import types

    binary = isinstance(type_, types.LargeBinary) and not exact_text
    document = isinstance(type_, types.JSON) and _is_json(entry)

    def convert(value: Any) -> Any:
        if value is MISSING or (value is None and not (document and dumped)):
            return None
        if document or isinstance(value, dict | list):
            return json_text(value)
        if isinstance(value, Digits) and not exact_text:
            return float(value)
        if binary and isinstance(value, str) and value.startswith("\\x"):
            with suppress(ValueError):
                return bytes.fromhex(value[2:])
        return value

    return convert


def _is_json(entry: Entry) -> bool:
    return entry.path.name.removesuffix(".gz").endswith(".jsonl")


def _whole(records: Iterator[list[Any]], width: int, name: str) -> Iterator[list[Any]]:
    for number, record in enumerate(records, 1):
        if len(record) != width:
            raise StepError(f"{name}: row {number} has {len(record)} values, there are {width} columns")
        yield record


def _objects(lines: Iterator[bytes], name: str) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(lines, 1):
        try:
            found = read_json(line)
        except ValueError as error:
            raise StepError(f"{name}:{number}: is no JSON: {error}") from None
        if not isinstance(found, dict):
            raise StepError(f'{name}:{number}: an object is wanted, like {{"column": 1}}')
        yield found


def _valued(objects: Iterator[dict[str, Any]], first: dict[str, Any] | None, columns: list[str], name: str) -> Iterator[list[Any]]:
    number = 0
    found = first
    while found is not None:
        number += 1
        strange = found.keys() - set(columns)
        if strange:
            raise StepError(f"{name}: row {number} has the column {', '.join(sorted(strange))}, which the first has not")
        yield [found.get(column, MISSING) for column in columns]
        found = next(objects, None)
