"""Results as CSV."""

from __future__ import annotations

import csv
import io
from typing import Any

from chalicelib.store.codec import to_json


def to_csv(result: Any) -> str:
    """A list of objects becomes rows; so does an object's only list of objects; anything else `key,value` rows."""
    rows = _rows(result)
    columns = list(dict.fromkeys(key for row in rows for key in row))
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, lineterminator="\r\n")
    writer.writeheader()
    writer.writerows({k: _cell(v) for k, v in row.items()} for row in rows)
    return out.getvalue()


def with_warnings(result: Any, warnings: list[dict[str, Any]]) -> Any:
    """The result with what failed and was allowed to. Not of one that becomes rows of its own: a table has no place for it."""
    if not warnings or not isinstance(result, dict | None) or (result and _tables(result)):
        return result
    return {**(result or {}), "warnings": "; ".join(f"{w.get('step')}: {w.get('message')}" for w in warnings)}


def _rows(result: Any) -> list[dict[str, Any]]:
    if _is_table(result):
        return list(result)
    if isinstance(result, dict):
        tables = _tables(result)
        if tables:
            return tables
        return [{"key": k, "value": v} for k, v in result.items()]
    if isinstance(result, list):
        return [{"value": v} for v in result]
    return [] if result is None else [{"value": result}]


def _tables(result: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of an object's only list of objects."""
    tables = [v for v in result.values() if _is_table(v)]
    return list(tables[0]) if len(tables) == 1 else []


def _is_table(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(row, dict) for row in value)


def _cell(value: Any) -> Any:
    return to_json(value) if isinstance(value, dict | list) else value
