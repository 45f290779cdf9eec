"""Rows of tables as text and back, exactly: CSV and JSON lines.

CSV: the first record names the columns; every value is quoted, and NULL is an empty field without quotes, so that it differs
from an empty text. JSON lines: an object a line; numbers keep their digits; a column of JSON that is NULL is left out, so that it
differs from JSON's own null. Binary is `\\x` and hex in both.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, Literal

from chalicelib.domain.errors import StepError

Kind = Literal["number", "boolean", "json", "text"]
"""What a text from the server is in JSON."""

_FIELD = re.compile(r'"((?:[^"]|"")*)"|([^,"]*)')
_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?")


class Digits(str):
    """A number as it was written."""

    __slots__ = ()


_quoted = json.JSONEncoder(ensure_ascii=False).encode
_decode = json.JSONDecoder(parse_float=Digits).decode


def text_of(value: Any) -> str | None:
    """A value as text; None is None."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes | bytearray | memoryview):
        return "\\x" + bytes(value).hex()
    if isinstance(value, datetime | date | time):
        return value.isoformat(" ") if isinstance(value, datetime) else value.isoformat()
    if isinstance(value, dict | list):
        return json_text(value)
    return repr(value) if isinstance(value, float) else str(value)


def csv_line(values: Iterable[Any]) -> str:
    """One record."""
    texts = map(text_of, values)
    return ",".join("" if text is None else '"' + text.replace('"', '""') + '"' for text in texts) + "\n"


def json_line(names: Sequence[str], values: Iterable[Any], kinds: Sequence[Kind] | None = None) -> str:
    """One object. `kinds` says what texts from the server are; without it each value is what its Python type says."""
    if kinds is None:
        pairs = [(name, json_text(value)) for name, value in zip(names, values, strict=True)]
    else:
        told = zip(names, values, kinds, strict=True)
        pairs = [(name, _as_kind(value, kind)) for name, value, kind in told if value is not None or kind != "json"]
    return "{" + ",".join(f"{_quoted(name)}:{part}" for name, part in pairs) + "}\n"


def json_text(value: Any) -> str:
    """Compact JSON. Numbers that JSON has no word for, dates and binary are texts."""
    if isinstance(value, Digits):
        return str(value)
    if value is None or isinstance(value, bool | int | str):
        return _quoted(value)
    if isinstance(value, float | Decimal):
        text = repr(value) if isinstance(value, float) else str(value)
        return text if _NUMBER.fullmatch(text) else json.dumps(text)
    if isinstance(value, dict):
        return "{" + ",".join(f"{_quoted(str(k))}:{json_text(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(json_text, value)) + "]"
    return _quoted(text_of(value))


def read_json(line: bytes) -> Any:
    """The value of a line, with fractions as Digits. ValueError when it is no JSON."""
    return _decode(line.decode("utf-8-sig"))


def csv_records(lines: Iterable[bytes], name: str) -> Iterator[list[str | None]]:
    """The records of CSV lines (with their ends). StepError names the file and line that is malformed."""
    pending, began = "", 1
    for number, line in enumerate(lines, 1):
        try:
            pending += line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError:
            raise StepError(f"{name}:{number}: is no UTF-8") from None
        if pending.count('"') % 2:
            continue  # a quoted value goes on in the next line
        yield _record(pending.removesuffix("\n").removesuffix("\r"), f"{name}:{began}")
        pending, began = "", number + 1
    if pending:
        raise StepError(f"{name}:{began}: a quote is not closed")


def _record(text: str, place: str) -> list[str | None]:
    values: list[str | None] = []
    at = 0
    while True:
        found = _FIELD.match(text, at)
        assert found is not None
        quoted, plain = found.groups()
        values.append(quoted.replace('""', '"') if quoted is not None else plain or None)
        at = found.end()
        if at == len(text):
            return values
        if text[at] != ",":
            raise StepError(f"{place}: a comma is wanted behind value {len(values)}")
        at += 1


def _as_kind(text: str | None, kind: Kind) -> str:
    if text is None:
        return "null"
    if (kind == "number" and _NUMBER.fullmatch(text)) or kind == "boolean":
        return text
    if kind == "json":
        # Line breaks stand between tokens only; within a JSON text they are escaped.
        return text.replace("\n", " ").replace("\r", " ")
    return _quoted(text)
