"""What the pages draw, as geometry: dependencies, timelines, charts."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.web.charts import HEIGHT, durations, outcomes, steps
from chalicelib.web.graph import MOST, graph, levels_of
from chalicelib.web.timeline import attempts_drawn, steps_drawn

DIAMOND = {"load": ["fetch_a", "fetch_b"], "report": ["load"], "mail": ["report", "load"], "other": ["else"]}


def test_dependencies_stand_before_and_after_by_the_longest_way() -> None:
    assert levels_of("load", DIAMOND) == {"load": 0, "fetch_a": -1, "fetch_b": -1, "report": 1, "mail": 2}
    assert levels_of("mail", DIAMOND) == {"mail": 0, "report": -1, "load": -2, "fetch_a": -3, "fetch_b": -3}


def test_every_arrow_leads_to_the_right_and_boxes_do_not_overlap() -> None:
    drawn = graph("load", DIAMOND, {"load": "Load everything that there is to load"})
    assert drawn is not None
    assert (drawn["upstream"], drawn["downstream"]) == (["fetch_a", "fetch_b"], ["mail", "report"])
    assert len(drawn["arrows"]) == 5
    places = {(box["x"], box["y"]) for box in drawn["boxes"]}
    assert len(places) == 5
    assert next(b["label"] for b in drawn["boxes"] if b["here"]) == "Load everything th…"
    assert all(b["x"] + 168 <= drawn["width"] and b["y"] + 32 <= drawn["height"] for b in drawn["boxes"])


def test_a_task_alone_has_no_drawing_and_a_crowd_a_bounded_one() -> None:
    assert graph("alone", DIAMOND, {}) is None
    crowd = graph("hub", {f"t{n}": ["hub"] for n in range(500)}, {})
    assert crowd is not None
    assert len(crowd["boxes"]) == MOST


def test_a_circle_ends() -> None:
    assert set(levels_of("a", {"a": ["b"], "b": ["a"]})) <= {"a", "b"}


def test_steps_without_times_come_in_a_row() -> None:
    drawn = steps_drawn([{"name": "one", "seconds": 1.0}, {"name": "skipped"}, {"name": "two", "seconds": 3.0}])
    assert [(s["x"], s["width"]) for s in drawn] == [(0, 250), (250, 4), (250, 750)]


def test_steps_within_steps_stand_where_they_happened() -> None:
    def step(name: str, second: int, seconds: float, depth: int = 0) -> dict[str, Any]:
        return {"name": name, "began": f"2026-01-01T00:00:{second:02}.000Z", "seconds": seconds, "depth": depth}

    drawn = steps_drawn([step("all", 0, 10), step("all/0/copy", 0, 4, 1), step("all/1/copy", 2, 8, 1)])
    assert [(s["label"], s["depth"], s["x"], s["width"]) for s in drawn] == [
        ("all", 0, 0, 1000), ("0/copy", 1, 0, 400), ("1/copy", 1, 200, 800)]  # fmt: skip


def test_attempts_share_one_line_of_time() -> None:
    def attempt(began: str | None, ended: str | None) -> dict[str, Any]:
        return {"started_at": began and f"2026-01-01T00:00:{began}Z", "finished_at": ended and f"2026-01-01T00:00:{ended}Z"}

    drawn = attempts_drawn([attempt("00", "10"), attempt("30", "40"), attempt(None, None)])
    assert [(a["x"], a["width"], a["seconds"]) for a in drawn] == [(0, 250, 10), (750, 250, 10), (0, 0, None)]


def day(completed: int = 0, failed: int = 0, p50: float | None = None, p95: float | None = None) -> dict[str, Any]:
    return {
        "date": "2026-01-01", "completed": completed, "failed": failed, "stopped": 0, "runs": completed + failed,
        "p50_seconds": p50, "p95_seconds": p95, "p50": "a", "p95": "b",
    }  # fmt: skip


def test_failures_stand_at_the_foot_and_one_among_thousands_is_seen() -> None:
    pieces = outcomes([day(), day(5000, 1)])["bars"][1]["pieces"]
    assert [piece["outcome"] for piece in pieces] == ["failed", "completed"]
    assert pieces[0]["height"] == 1.5
    assert pieces[0]["y"] == HEIGHT - 1.5


@pytest.mark.parametrize(("p50", "p95"), [(0.05, 0.05), (1, 40_000), (3, 3.2)])
def test_durations_lie_within_the_chart(p50: float, p95: float) -> None:
    drawn = durations([day(1, p50=p50, p95=p95), day(), day(2, p50=p50, p95=p95)])
    heights = [point["y"] for line in drawn["lines"] for point in line["points"]]
    assert len(heights) == 4
    assert all(0 < y < HEIGHT for y in heights)
    assert len(drawn["marks"]) <= 4
    assert durations([day()]) == {"lines": [], "marks": []}


def test_a_limit_far_away_does_not_flatten_what_there_is() -> None:
    assert steps([{"slots": 2}], 100) == {"path": "M0 120V0.0H600.0V120z", "limit": None, "top": 2}
    assert steps([{"slots": 5}, {"slots": 10}], 10)["limit"] == 0
