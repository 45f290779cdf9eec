"""A result as people read it: facts, tables, and for the rest a tree; all bounded, the exports have everything."""

from __future__ import annotations

from typing import Any, TypeGuard

ROWS, COLUMNS, NODES, DEPTH = 200, 24, 400, 12
NOTHING = "–"


def blocks(result: Any) -> list[dict[str, Any]]:
    """What to draw, in order: `{kind: facts|table|tree, name, …}`."""
    if result is None:
        return []
    if is_table(result):
        return [_table("", result)]
    if not isinstance(result, dict):
        return [_tree("", result)]
    facts = [(str(k), _cell(v)) for k, v in result.items() if not isinstance(v, dict | list)]
    found: list[dict[str, Any]] = (
        [{"kind": "facts", "name": "", "facts": facts[:NODES], "more": len(facts) - NODES}] if facts else []
    )
    for key, value in result.items():
        if isinstance(value, dict | list):
            found.append(_table(str(key), value) if is_table(value) else _tree(str(key), value))
    return found


def is_table(value: Any) -> TypeGuard[list[dict[str, Any]]]:
    """Whether this is a list of objects."""
    return isinstance(value, list) and bool(value) and all(isinstance(row, dict) for row in value)


def _table(name: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    names = list(dict.fromkeys(key for row in rows for key in row))[:COLUMNS]
    shown = [[_cell(row.get(name)) for name in names] for row in rows[:ROWS]]
    columns = [{"name": name, "number": _is_numeric([row[n] for row in shown])} for n, name in enumerate(names)]
    return {"kind": "table", "name": name, "columns": columns, "rows": shown, "more": max(0, len(rows) - ROWS)}


def _is_numeric(cells: list[dict[str, Any]]) -> bool:
    return any(c["number"] for c in cells) and all(c["number"] or c["text"] == NOTHING for c in cells)


def _cell(value: Any) -> dict[str, Any]:
    """`{text, number}`: numbers stand on the right."""
    if value is None:
        return {"text": NOTHING, "number": False}
    if isinstance(value, bool):
        return {"text": "true" if value else "false", "number": False}
    if isinstance(value, dict | list):
        from chalicelib.store.codec import to_json

        return {"text": to_json(value), "number": False}
    return {"text": str(value), "number": isinstance(value, int | float)}


def _tree(name: str, value: Any) -> dict[str, Any]:
    left = [NODES]
    return {"kind": "tree", "name": name, "node": _node(value, left, DEPTH), "more": left[0] <= 0}


def _node(value: Any, left: list[int], depth: int) -> dict[str, Any]:
    """`{text}` of a leaf, `{entries: [(key, node)], brackets}` of what has parts; `left` counts down what may be drawn."""
    left[0] -= 1
    if not isinstance(value, dict | list) or not value or depth == 0:
        return _cell(value)
    pairs = list(value.items()) if isinstance(value, dict) else list(enumerate(value))
    entries = []
    for key, part in pairs:
        if left[0] <= 0:
            break
        entries.append((str(key), _node(part, left, depth - 1)))
    return {"entries": entries, "count": len(pairs), "brackets": "{}" if isinstance(value, dict) else "[]"}
