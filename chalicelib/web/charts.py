"""Charts as SVG shapes. Attributes carry all geometry, so no inline style is needed; words stand beside them as HTML."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from chalicelib.domain.durations import text_of
from chalicelib.domain.stats import BUCKETS

WIDTH, HEIGHT = 600, 120
MARKS = (0.01, 0.02, 0.05, *BUCKETS, 28_800, 86_400)  # seconds, of a logarithmic scale
MOST_MARKS = 4
ROOM = 3  # a limit so many times above what was needed would flatten everything: it is not drawn


def outcomes(days: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One stacked bar a day (`{date, completed, failed, stopped, runs}`), failures at the foot where they are seen."""
    most = max((day["runs"] for day in days), default=0)
    step = WIDTH / max(len(days), 1)
    bars = []
    for number, day in enumerate(days):
        pieces, y = [], float(HEIGHT)
        for outcome in ("failed", "stopped", "completed"):
            if not day[outcome]:
                continue
            height = max(1.5, HEIGHT * day[outcome] / most)
            y -= height
            pieces.append({"outcome": outcome, "y": round(max(y, 0), 1), "height": round(height, 1)})
        bars.append({"x": round(number * step, 1), "pieces": pieces, "day": day})
    return {"bars": bars, "width": round(max(step - min(2, step / 4), 1), 1), "step": round(step, 1), "most": most}


def durations(days: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Median and 95th percentile over the days, on a logarithmic scale with marks (`{y, text}`)."""
    known = [s for day in days for s in (day["p50_seconds"], day["p95_seconds"]) if s]
    if not known:
        return {"lines": [], "marks": []}
    low, high = math.log10(min(known)), math.log10(max(known))
    middle, half = (low + high) / 2, max((high - low) / 2 * 1.15, 0.35)
    low, high = middle - half, middle + half

    def height(seconds: float) -> float:
        return round(HEIGHT * (1 - (math.log10(seconds) - low) / (high - low)), 1)

    step = WIDTH / len(days)
    lines = []
    for name in ("p95", "p50"):
        points = [
            {"x": round((number + 0.5) * step, 1), "y": height(day[f"{name}_seconds"]), "day": day, "text": day[name]}
            for number, day in enumerate(days)
            if day[f"{name}_seconds"]
        ]
        lines.append({"name": name, "points": points, "path": "M" + "L".join(f"{p['x']} {p['y']}" for p in points)})
    within = [seconds for seconds in MARKS if low < math.log10(seconds) < high]
    marks = within[:: math.ceil(len(within) / MOST_MARKS)]
    return {"lines": lines, "marks": [{"y": height(seconds), "text": text_of(seconds)} for seconds in marks]}


def steps(series: Sequence[Mapping[str, Any]], limit: int) -> dict[str, Any]:
    """A filled stair of `{at, slots}`, and where the limit is (None: far above)."""
    peak = max((point["slots"] for point in series), default=0)
    top = max(limit, peak, 1) if limit <= ROOM * peak else max(peak, 1)
    width = WIDTH / max(len(series), 1)
    path = f"M0 {HEIGHT}"
    for number, point in enumerate(series):
        path += f"V{round(HEIGHT * (1 - point['slots'] / top), 1)}H{round((number + 1) * width, 1)}"
    return {"path": path + f"V{HEIGHT}z", "limit": round(HEIGHT * (1 - limit / top), 1) if limit <= top else None, "top": top}
