"""Runs as bars: height is duration, shape and colour are the outcome. Drawn as SVG, whose attributes need no inline style."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from chalicelib.store.tasks import RECENT

HEIGHT, WIDTH, GAP = 24, 4, 2
LEAST = 3  # the shortest run is seen too


def strip(runs: Sequence[tuple[str, float]]) -> dict[str, Any]:
    """The last runs (newest first, status and seconds) as one path per status, oldest on the left."""
    last = list(reversed(runs))
    heights = _heights([seconds for _status, seconds in last])
    paths: dict[str, list[str]] = {}
    left = (RECENT - len(last)) * (WIDTH + GAP)
    for place, ((status, _seconds), height) in enumerate(zip(last, heights, strict=True)):
        paths.setdefault(status, []).append(_bar(status, left + place * (WIDTH + GAP), height))
    counts = {status: sum(one == status for one, _seconds in last) for status in paths}
    words = ", ".join(f"{count} {status}" for status, count in counts.items())
    return {
        "paths": {status: "".join(shapes) for status, shapes in paths.items()},
        "words": f"Last {len(last)} run{'s' * (len(last) != 1)}: {words}",
        "width": RECENT * (WIDTH + GAP) - GAP,
        "height": HEIGHT,
    }


def chart(runs: Sequence[dict[str, Any]], width: int = 600, height: int = 64) -> list[dict[str, Any]]:
    """The same for a task's own page: one bar each (`x y width height run`), to be hovered and followed."""
    last = list(reversed(runs))
    step = min(width / max(len(last), 1), 16.0)
    heights = _heights([r["duration_seconds"] for r in last], height)
    return [
        {"x": round(n * step, 1), "y": round(height - h, 1), "width": round(max(step - 2, 1), 1), "height": round(h, 1), "run": run}
        for n, (run, h) in enumerate(zip(last, heights, strict=True))
    ]


def _heights(seconds: Sequence[float | None], most: float = HEIGHT) -> list[float]:
    """By square root, so that one long run does not flatten the others."""
    top = math.sqrt(max((s or 0 for s in seconds), default=0)) or 1
    return [max(LEAST, round(most * math.sqrt(s or 0) / top, 1)) for s in seconds]


def _bar(status: str, x: int, height: float) -> str:
    """A completed run is a full bar, a failed one has a gap near its foot, a stopped one is narrow: told apart without colour."""
    top = round(HEIGHT - height, 1)
    if status == "failed":
        return f"M{x} {HEIGHT}v-2h{WIDTH}v2zM{x} {HEIGHT - 3}V{min(top, HEIGHT - 6)}h{WIDTH}V{HEIGHT - 3}z"
    if status == "stopped":
        return f"M{x + 1} {HEIGHT}V{top}h2V{HEIGHT}z"
    return f"M{x} {HEIGHT}V{top}h{WIDTH}V{HEIGHT}z"
