"""Steps and attempts on a line of time, 1000 units long."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from chalicelib.domain.clock import parse_iso

UNITS = 1000
LEAST = 4  # the shortest is seen too


def steps_drawn(steps: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Each step with `x`, `width` and its short name. Steps within steps know when they began; without that, they come in a row."""
    timed = [s for s in steps if s.get("began")]
    if timed and len(timed) == len([s for s in steps if s.get("seconds") is not None]):
        spans = {id(s): (parse_iso(s["began"]), round(1000 * (s.get("seconds") or 0))) for s in timed}
        first = min(begin for begin, _length in spans.values())
        places = {key: (begin - first, length) for key, (begin, length) in spans.items()}
    else:
        places, passed = {}, 0
        for s in steps:
            length = round(1000 * (s.get("seconds") or 0))
            places[id(s)] = (passed, length)
            passed += 0 if s.get("depth") else length
    whole = max((begin + length for begin, length in places.values()), default=0) or 1
    found = []
    for s in steps:
        begin, length = places.get(id(s), (0, 0))
        about = {"depth": s.get("depth") or 0, "label": _label(s)}
        found.append({**s, **about, **_place(begin, length, whole)})
    return found


def _label(step: Mapping[str, Any]) -> str:
    """Of a step within another its name and which round or branch it belongs to: `2/ping`."""
    return "/".join(step["name"].split("/")[-2:]) if step.get("depth") else str(step["name"])


def attempts_drawn(attempts: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Each attempt (`started_at`, `finished_at`) on one line of time for all, so that the waits between them are seen."""
    timed = [a for a in attempts if a["started_at"] and a["finished_at"]]
    if not timed:
        return [{**a, "x": 0, "width": 0} for a in attempts]
    first = min(parse_iso(a["started_at"]) for a in timed)
    whole = max(parse_iso(a["finished_at"]) for a in timed) - first or 1
    found = []
    for a in attempts:
        if a["started_at"] and a["finished_at"]:
            begin = parse_iso(a["started_at"]) - first
            length = parse_iso(a["finished_at"]) - first - begin
            found.append({**a, "seconds": length / 1000, **_place(begin, length, whole)})
        else:
            found.append({**a, "seconds": None, "x": 0, "width": 0})
    return found


def _place(begin: int, length: int, whole: int) -> dict[str, int]:
    x = min(round(UNITS * begin / whole), UNITS - LEAST)
    return {"x": x, "width": min(max(LEAST, round(UNITS * length / whole)), UNITS - x)}
