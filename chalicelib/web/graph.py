"""A task among those it depends on and those that depend on it, as a drawing: columns from left to right, one box a task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

COLUMN, ROW, BOX_WIDTH, BOX_HEIGHT = 212, 42, 168, 32
MOST = 40  # boxes
LETTERS = 19  # of a title within its box


def levels_of(task_id: str, depends_on: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """How far each task is before (below 0) or after this one: the longest way counts, so every arrow goes to the right."""
    followers: dict[str, list[str]] = {}
    for task, sources in depends_on.items():
        for source in sources:
            followers.setdefault(source, []).append(task)
    found = {task_id: 0}
    for step, neighbours in ((-1, depends_on), (1, followers)):
        front, level = [task_id], 0
        while front and len(found) < MOST and abs(level) < MOST:
            level += step
            front = list(dict.fromkeys(near for task in front for near in neighbours.get(task, ()) if near != task_id))
            for near in front[: MOST - len(found)]:
                if found.get(near, level) * step >= 0:
                    found[near] = level
    return found


def graph(task_id: str, depends_on: Mapping[str, Sequence[str]], titles: Mapping[str, str]) -> dict[str, Any] | None:
    """Boxes `{task_id, title, label, x, y, here}`, arrows (SVG paths) and the size; None for a task that stands alone."""
    levels = levels_of(task_id, depends_on)
    if len(levels) == 1:
        return None
    columns: dict[int, list[str]] = {}
    for task, level in levels.items():
        columns.setdefault(level, []).append(task)
    tallest = max(map(len, columns.values()))
    boxes: dict[str, dict[str, Any]] = {}
    for place, level in enumerate(sorted(columns)):
        names = sorted(columns[level], key=lambda task: titles.get(task, task).lower())
        top = (tallest - len(names)) * ROW / 2
        for number, task in enumerate(names):
            title = titles.get(task, task)
            label = title if len(title) <= LETTERS else title[: LETTERS - 1] + "…"
            boxes[task] = {
                "task_id": task,
                "title": title,
                "label": label,
                "x": place * COLUMN + 1,
                "y": round(top + number * ROW + (ROW - BOX_HEIGHT) / 2),
                "here": task == task_id,
                "known": task in titles,
                "level": level,
            }
    arrows = [
        _arrow(boxes[source], boxes[task])
        for task, sources in depends_on.items()
        for source in sources
        if task in boxes and source in boxes and boxes[source]["x"] < boxes[task]["x"]
    ]
    return {
        "boxes": list(boxes.values()),
        "arrows": arrows,
        "width": (len(columns) - 1) * COLUMN + BOX_WIDTH + 2,
        "height": tallest * ROW,
        "box": (BOX_WIDTH, BOX_HEIGHT),
        "upstream": sorted(t for t, level in levels.items() if level < 0),
        "downstream": sorted(t for t, level in levels.items() if level > 0),
    }


def _arrow(source: Mapping[str, Any], target: Mapping[str, Any]) -> str:
    x1, y1 = source["x"] + BOX_WIDTH, source["y"] + BOX_HEIGHT / 2
    x2, y2 = target["x"] - 1, target["y"] + BOX_HEIGHT / 2
    bend = (x2 - x1) / 2
    return f"M{x1} {y1:g}C{x1 + bend:g} {y1:g} {x2 - bend:g} {y2:g} {x2} {y2:g}m-6 -4l6 4l-6 4"
