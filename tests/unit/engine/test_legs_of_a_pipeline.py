"""A pipeline that goes on in another Lambda: from the JSON of its state, and from what its steps have yielded."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest

from chalicelib.domain.errors import StepError, TransientError
from chalicelib.engine.steps import step as steps
from tests.unit.engine.pipelines import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    bench = Bench(tmp_path)
    done: list[Any] = []
    bench.done = done  # type: ignore[attr-defined]

    @bench.function
    def note(run: Any, x: Any) -> dict[str, Any]:
        done.append(x)
        return {"x": x, "before": run.previous.get("x")}

    @bench.function
    def count(run: Any, x: int) -> Generator[int, None, dict[str, Any]]:
        for n in range(run.checkpoint or 0, x):
            done.append(n)
            yield n + 1
        return {"x": x}

    return bench


def always() -> bool:
    return True


def every(number: int) -> Callable[[], bool]:
    """Due at each such call."""
    calls = 0

    def due() -> bool:
        nonlocal calls
        calls += 1
        return calls % number == 0

    return due


PIPELINE = """
processors:
  - {do: {f: note, x: a}, name: a}
  - {set: {word: "${steps.a.output.x}!"}}
  - {do: {f: count, x: 3}, name: counted}
  - for_each:
      items: [0, 1, 2]
      steps:
        - {do: {f: note, x: "${item}${vars.word}"}, name: in}
        - {do: {f: count, x: 2}, name: counted}
    name: loop
  - if: true
    then:
      - {do: {f: note, x: b}, name: b}
      - {do: {f: note, x: "${steps.b.output.x}c"}, name: c}
    name: choice
  - {do: {f: note, x: z}, name: z}
always: [{do: {f: note, x: end}, name: end}]
"""


@pytest.mark.parametrize("due", [always, every(2), every(5)], ids=["always", "2", "5"])
def test_a_pipeline_in_legs_does_and_gives_what_one_in_one_piece_does(
    bench: Bench, tmp_path: Path, due: Callable[[], bool]
) -> None:
    whole = Bench(tmp_path)
    expected = whole.run(PIPELINE)
    done = list(bench.done)  # type: ignore[attr-defined]
    bench.done.clear()  # type: ignore[attr-defined]
    assert bench.run(PIPELINE, due) == expected
    assert bench.legs > 3
    assert bench.done == done  # type: ignore[attr-defined]
    assert bench.statuses() == whole.statuses()
    said = [(e["name"], e["status"]) for e in bench.events()]
    assert said == [(e["name"], e["status"]) for e in whole.events()]


def test_a_generator_begins_afresh_with_its_last_checkpoint(bench: Bench) -> None:
    seen = []

    @bench.function
    def work(run: Any, x: Any) -> Generator[dict[str, int], None, dict[str, Any]]:
        seen.append(run.checkpoint)
        page = run.checkpoint["page"] if run.checkpoint else 0
        while page < 2:
            page += 1
            yield {"page": page}
        return {"pages": page}

    assert bench.run("[{do: {f: work}, name: a}]", always) == {"a": {"pages": 2}}
    assert seen == [None, {"page": 1}, {"page": 2}]
    assert [e["status"] for e in bench.events()] == ["running", "completed"]
    [record] = bench.state.steps
    assert record["seconds"] >= 0


def test_no_leg_ends_when_there_is_nothing_left_to_do(bench: Bench) -> None:
    bench.run("[{do: {f: note}}]", always)
    assert bench.legs == 1


def test_a_checkpoint_is_json(bench: Bench) -> None:
    @bench.function
    def work(run: Any, x: Any) -> Generator[Any, None, None]:
        yield {"when": object()}

    error = bench.fails("[{do: {f: work}}]")
    assert (error["type"], error["step"]) == ("StepError", "do")
    assert error["message"].startswith("a checkpoint is JSON")


def test_a_step_that_fails_after_it_went_on_is_a_failure_like_any(bench: Bench) -> None:
    @bench.function
    def work(run: Any, x: Any) -> Generator[int, None, None]:
        if run.checkpoint:
            raise StepError("lost the thread")
        yield 1

    error = bench.fails("[{do: {f: work}}]", always)
    assert (error["message"], error["step"]) == ("lost the thread", "do")
    assert bench.statuses() == {"do": "failed"}


def test_a_generator_that_is_tried_again_goes_on_from_its_checkpoint(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "delay", lambda policy, failures: 0.001)
    seen = []

    @bench.function
    def work(run: Any, x: Any) -> Generator[int, None, None]:
        seen.append(run.checkpoint)
        if not run.checkpoint:
            yield 1
        if len(seen) < 3:
            raise TransientError("busy")

    bench.run("[{do: {f: work}, retry: 2}]")
    assert seen == [None, 1, 1]


def test_tries_are_counted_over_legs(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "delay", lambda policy, failures: 0.001)
    tries = []

    @bench.function
    def work(run: Any, x: Any) -> None:
        tries.append(1)
        raise TransientError("busy")

    bench.fails("[{do: {f: work}, retry: 2}]", always)
    assert (len(tries), bench.legs) == (3, 3)


def test_a_parallel_loop_begins_no_more_items_when_the_leg_is_over(bench: Bench) -> None:
    result = bench.run(
        """
        - for_each: {items: [0, 1, 2, 3, 4, 5, 6], parallelism: 2, steps: [{do: {f: note, x: "${item}"}, name: s}]}
        """,
        lambda: len(bench.done) // 3 >= bench.legs,  # type: ignore[attr-defined]
    )
    assert [r["s"]["x"] for r in result["for_each"]["results"]] == list(range(7))
    assert sorted(bench.done) == list(range(7))  # type: ignore[attr-defined]
    assert bench.legs == 3


def test_what_failed_in_an_earlier_leg_is_not_forgotten(bench: Bench) -> None:
    @bench.function
    def odd_fails(run: Any, x: int) -> None:
        if x % 2:
            raise ValueError(f"{x} is odd")

    loop = '{for_each: {items: [0, 1, 2, 3], on_failure: collect, steps: [{do: {f: odd_fails, x: "${item}"}}]}}'
    error = bench.fails(f"[{loop}]", always)
    assert error["message"] == "2 of 4 items failed: item 1: ValueError: 1 is odd; item 3: ValueError: 3 is odd"
    assert bench.legs > 2


def test_a_parallel_loop_comes_forward_though_every_leg_is_short(bench: Bench) -> None:
    """As the runner asks: due at once, but not before something has been done."""
    begun: list[Any] = []

    def due() -> bool:
        if len(begun) < bench.legs:
            begun.append((bench.state.next, bench.state.checkpoint))
        return bool((bench.state.next, bench.state.checkpoint) != begun[-1])

    text = """
    - parallel:
        branches:
          a: [{for_each: {items: [1, 2, 3], parallelism: 2, steps: [{do: {f: note, x: "a${item}"}}]}}]
          b: [{do: {f: note, x: b}}]
        max: 1
    - for_each: {items: [1, 2, 3, 4], parallelism: 2, steps: [{do: {f: note, x: "${item}"}}]}
    """
    bench.run(text, due)
    assert sorted(map(str, bench.done)) == ["1", "2", "3", "4", "a1", "a2", "a3", "b"]  # type: ignore[attr-defined]
    assert 3 <= bench.legs <= 6


@pytest.mark.parametrize("parallelism", [1, 2])
def test_how_long_the_next_piece_takes_is_told_from_those_before(bench: Bench, parallelism: int) -> None:
    expected: list[float] = []

    @bench.function
    def work(run: Any, x: float) -> None:
        time.sleep(x)

    def due() -> bool:
        expected.append(bench.state.expected)
        return False

    steps = "[{do: {f: work, x: 0.0}}, {do: {f: work, x: 0.05}}]"
    bench.run(
        f"[{{for_each: {{items: [1, 2, 3, 4], parallelism: {parallelism}, steps: {steps}}}}}, {{do: {{f: work, x: 0.0}}}}]", due
    )
    assert 0.05 <= max(expected) < 0.5
    assert expected[0] == 0
    assert expected[-1] == 0, "of the last step nothing is known"


def test_how_long_a_generator_takes_between_two_checkpoints_is_told(bench: Bench) -> None:
    @bench.function
    def work(run: Any, x: Any) -> Generator[int, None, None]:
        time.sleep(0.05)
        yield 1
        yield 2

    expected: list[float] = []

    def due() -> bool:
        expected.append(bench.state.expected)
        return False

    bench.run("{processors: [{do: {f: work}}], always: [{do: {f: note}}]}", due)
    assert [second >= 0.05 for second in expected] == [True, True, False]
