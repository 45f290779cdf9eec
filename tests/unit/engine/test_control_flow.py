"""Conditions, branches, loops, retries and endings of a pipeline, on a handle without an engine behind it."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from chalicelib.domain.errors import StepError, StoppedError, TransientError
from chalicelib.engine.steps import step as steps
from tests.unit.engine.pipelines import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    bench = Bench(tmp_path)

    @bench.function
    def give(run: Any, x: Any) -> Any:
        return x if x is None or isinstance(x, dict) else {"value": x}

    @bench.function
    def fail(run: Any, x: Any) -> None:
        raise ValueError(x or "no good")

    return bench


@pytest.fixture
def no_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "delay", lambda policy, failures: 0.001 * failures)


# ---- when, if ----


@pytest.mark.parametrize(("mode", "status"), [("full", "completed"), ("quick", "skipped")])
def test_a_step_runs_when_its_condition_holds(bench: Bench, mode: str, status: str) -> None:
    bench.run('[{do: {f: give, x: 1}, name: a, when: {equals: {"${args.mode}": full}}}]', mode=mode)
    assert bench.statuses() == {"a": status}
    assert bench.events()[-1]["status"] == status


def test_references_of_a_skipped_step_are_not_looked_up(bench: Bench) -> None:
    result = bench.run(
        """
        - {do: {f: give}, name: dump, when: "${args.dump}"}
        - {do: {f: give, x: "${steps.dump.output.path}"}, name: use, when: {exists: "${steps.dump.output.path}"}}
        - {do: {f: give, x: last}, name: end}
        """,
        dump=False,
    )
    assert result == {"end": {"value": "last"}}
    assert bench.statuses() == {"dump": "skipped", "use": "skipped", "end": "completed"}


def test_a_condition_on_what_is_not_there_fails_the_step(bench: Bench) -> None:
    error = bench.fails('[{do: {f: give}, name: a, when: {equals: {"${steps.none.output.x}": 1}}}]')
    assert (error["type"], error["step"]) == ("ConditionError", "a")
    assert error["message"].startswith("equals.${steps.none.output.x}: leads to nothing")
    assert bench.statuses() == {"a": "failed"}


@pytest.mark.parametrize(("n", "said"), [(3, ["many", "end"]), (1, ["few", "end"])])
def test_if_runs_one_branch_and_the_steps_after_it_see_what_it_gave(bench: Bench, n: int, said: list[str]) -> None:
    result = bench.run(
        """
        - if: {range: {"${args.n}": {gt: 1}}}
          then:
            - {do: {f: give, x: many}, name: word}
          else:
            - {do: {f: give, x: few}, name: word}
          name: choice
        - echo: {lines: ["${steps.choice.output.word.value}", end]}
        """,
        n=n,
    )
    assert bench.lines() == said
    assert result["choice"] == {"word": {"value": said[0]}}
    assert bench.statuses() == {
        "choice": "completed",
        f"choice/{'then' if n > 1 else 'else'}/word": "completed",
        "echo": "completed",
    }
    nested = [(e["name"], e["index"], e.get("depth")) for e in bench.events() if e["status"] == "completed"]
    assert nested[0] == (f"choice/{'then' if n > 1 else 'else'}/word", 0, 1)
    assert nested[1:] == [("choice", 0, None), ("echo", 1, None)]


def test_an_error_in_a_branch_fails_the_run_and_says_where(bench: Bench) -> None:
    error = bench.fails(
        """
        - if: true
          then:
            - for_each: {items: [1, 2], steps: [{do: {f: fail, x: "bad ${item}"}, name: deep}]}
              name: loop
          name: check
        - {do: {f: give}, name: after}
        """
    )
    assert (error["type"], error["step"]) == ("ValueError", "check/then/loop/0/deep")
    assert error["message"] == "item 0: bad 1"
    assert "in fail" in error["traceback"]
    assert bench.statuses()["after"] == "skipped"
    assert {bench.statuses()[name] for name in ("check", "check/then/loop", "check/then/loop/0/deep")} == {"failed"}


def test_inner_steps_see_each_other_before_those_around(bench: Bench) -> None:
    bench.run(
        """
        - {do: {f: give, x: outer}, name: a}
        - if: true
          then:
            - echo: {message: "${steps.a.output.value} ${previous.value}"}
            - {do: {f: give, x: inner}, name: a}
            - echo: {message: "${steps.a.output.value} ${previous.value}"}
        """
    )
    assert bench.lines() == ["outer outer", "inner inner"]


# ---- for_each ----


def test_a_loop_gives_each_items_outputs(bench: Bench) -> None:
    result = bench.run(
        """
        - for_each:
            items: "${args.hosts}"
            as: host
            steps:
              - {do: {f: give, x: "${host.name}-${index}"}, name: ask}
        """,
        hosts=[{"name": "a"}, {"name": "b"}],
    )
    assert result == {"for_each": {"results": [{"ask": {"value": "a-0"}}, {"ask": {"value": "b-1"}}], "failed": [], "count": 2}}
    assert bench.handle.fractions == pytest.approx(sorted(bench.handle.fractions))
    assert bench.handle.fractions[-1] == 1.0


def test_a_loop_over_files_and_over_a_mapping(bench: Bench) -> None:
    (bench.workspace / "logs").mkdir()
    for name in ("b.log", "a.log", "c.txt"):
        (bench.workspace / "logs" / name).write_text("x" * 3)
    bench.run(
        """
        - for_each: {items: "./logs/*.log", steps: [{echo: {message: "${item.name} ${item.bytes}"}}]}
        - for_each: {items: {x: 1, y: 2}, steps: [{echo: {message: "${item.key}=${item.value}"}}]}
        - for_each: {items: "./logs/*.csv", steps: [{echo: {message: "never"}}]}
        """
    )
    assert bench.lines() == ["a.log 3", "b.log 3", "x=1", "y=2"]
    assert "no items: nothing to do" in bench.handle.said[-1]


LOOP = """
- for_each:
    items: {items}
    parallelism: {parallelism}
    on_failure: {on_failure}
    steps:
      - {{do: {{f: odd_fails, x: "${{item}}"}}, name: work}}
  name: loop
- {{do: {{f: give, x: end}}, name: end}}
"""


@pytest.mark.parametrize("parallelism", [1, 2])
@pytest.mark.parametrize("on_failure", ["fail", "collect", "ignore"])
def test_what_a_failing_item_does_to_a_loop(bench: Bench, on_failure: str, parallelism: int) -> None:
    done: Counter[int] = Counter()

    @bench.function
    def odd_fails(run: Any, x: int) -> dict[str, int]:
        done[x] += 1
        if x % 2:
            raise ValueError(f"{x} is odd")
        return {"x": x}

    items = list(range(40 if on_failure == "fail" else 4))
    text = LOOP.format(items=items, parallelism=parallelism, on_failure=on_failure)
    if on_failure == "ignore":
        result = bench.run(text)
        assert [r and r["work"]["x"] for r in result["loop"]["results"]] == [0, None, 2, None]
        assert [(f["index"], f["error"]["message"]) for f in result["loop"]["failed"]] == [(1, "1 is odd"), (3, "3 is odd")]
        assert sorted(w["step"] for w in bench.state.warnings) == ["loop/1/work", "loop/3/work"]
        assert bench.state.partial
        assert result["end"] == {"value": "end"}
        return
    error = bench.fails(text)
    assert bench.statuses()["end"] == "skipped"
    if on_failure == "fail":
        index = int(error["step"].split("/")[1])
        assert index == 1 or (parallelism == 2 and index % 2)
        assert (error["type"], error["message"]) == ("ValueError", f"item {index}: {index} is odd")
        assert len(done) < 40
    else:
        assert error["type"] == "SeveralFailedError"
        assert error["message"] == "2 of 4 items failed: item 1: ValueError: 1 is odd; item 3: ValueError: 3 is odd"
        assert set(done.values()) == {1}
        assert len(done) == 4


def test_a_loop_is_as_parallel_as_it_says(bench: Bench) -> None:
    meet = threading.Barrier(3, timeout=10)

    @bench.function
    def wait(run: Any, x: Any) -> None:
        print("waits")
        meet.wait()

    bench.run("[{for_each: {items: [1, 2, 3], parallelism: 3, steps: [{do: {f: wait}}]}}]")
    assert bench.statuses()["for_each"] == "completed"


def test_the_records_of_a_long_loop_are_bounded_but_its_failures_are_kept(bench: Bench) -> None:
    @bench.function
    def last_fails(run: Any, x: int) -> None:
        if x == 449:
            raise ValueError("the last")

    bench.run(
        '[{for_each: {items: "${args.items}", on_failure: ignore, steps: [{do: {f: last_fails, x: "${item}"}, name: s}]}}]',
        items=list(range(450)),
    )
    assert len(bench.state.steps) == 302
    assert bench.statuses()["for_each/449/s"] == "failed"
    assert len([e for e in bench.events() if e["status"] == "running"]) == 451


# ---- parallel ----


def test_branches_run_at_the_same_time_each_with_its_lines_and_outputs(bench: Bench) -> None:
    meet = threading.Barrier(2, timeout=10)

    @bench.function
    def talk(run: Any, x: str) -> dict[str, Any]:
        meet.wait()
        for n in range(50):
            run.write(f"{x} {n}")
        return {"previous": run.previous, "outputs": sorted(run.outputs)}

    result = bench.run(
        """
        - {do: {f: give, x: 0}, name: first}
        - parallel:
            branches:
              eu: [{do: {f: give, x: 1}, name: own}, {do: {f: talk, x: eu}, name: talk}]
              us: [{do: {f: talk, x: us}, name: talk}, {set: {region: us}}]
        - echo: {message: "${vars.region}: ${steps.parallel.output.results.eu.own.value}"}
        """
    )
    assert result["parallel"]["count"] == 2
    eu, us = (result["parallel"]["results"][name]["talk"] for name in ("eu", "us"))
    assert eu == {"previous": {"value": 1}, "outputs": ["first", "own"]}
    assert us == {"previous": {"value": 0}, "outputs": ["first"]}
    assert Counter(line.split()[0] for line in bench.lines()) == {"eu": 50, "us": 50, "us:": 1}
    assert bench.lines()[-1] == "us: 1"


def test_a_failing_branch_ends_the_others_child_processes_included(bench: Bench) -> None:
    began = threading.Event()

    @bench.function
    def fail_then(run: Any, x: Any) -> None:
        assert began.wait(10)
        raise StepError("broken")

    @bench.function
    def begin(run: Any, x: Any) -> None:
        began.set()

    before = time.monotonic()
    error = bench.fails(
        """
        - parallel:
            branches:
              bad: [{do: {f: fail_then}, name: x}]
              long: [{do: {f: begin}}, {exec: {command: "sleep 30 & sleep 31", shell: true}}, {do: {f: give}, name: after}]
        """
    )
    assert (error["message"], error["step"]) == ("broken", "parallel/bad/x")
    assert time.monotonic() - before < 5
    assert bench.statuses()["parallel/long/exec"] == "stopped"
    assert "parallel/long/after" not in bench.statuses()
    assert not _children("sleep")


def test_code_that_does_not_ask_is_ended_too(bench: Bench) -> None:
    began = threading.Event()

    @bench.function
    def spin(run: Any, x: Any) -> None:
        began.set()
        until = time.monotonic() + 30
        while time.monotonic() < until:
            try:
                sum(range(1000))
            except Exception:
                continue

    @bench.function
    def fail_then(run: Any, x: Any) -> None:
        assert began.wait(10)
        raise StepError("broken")

    before = time.monotonic()
    bench.fails("[{parallel: {branches: [[{do: {f: spin}, name: s}], [{do: {f: fail_then}}]]}}]")
    assert time.monotonic() - before < 5
    assert bench.statuses()["parallel/1/s"] == "stopped"
    assert not [t for t in threading.enumerate() if t.name.startswith("branch-")]


def _children(name: str) -> list[Any]:
    import psutil

    return [p for p in psutil.Process().children(recursive=True) if p.name() == name and p.status() != psutil.STATUS_ZOMBIE]


# ---- errors ----


def test_a_step_that_may_fail_makes_the_run_a_partial_success(bench: Bench) -> None:
    result = bench.run(
        """
        - {do: {f: fail, x: sorry}, name: a, on_error: continue}
        - {do: {f: give, x: "${steps.a.error.message|none} ${steps.a.status}"}, name: b}
        """
    )
    assert result == {"b": {"value": "sorry failed"}}
    assert bench.statuses() == {"a": "failed", "b": "completed"}
    assert bench.state.warnings == [{"step": "a", "message": "ValueError: sorry"}]
    assert bench.state.failure is None


@pytest.mark.usefixtures("no_wait")
def test_a_step_is_tried_again_as_its_policy_says(bench: Bench) -> None:
    tries: list[Any] = []

    @bench.function
    def third_time(run: Any, x: Any) -> dict[str, int]:
        tries.append(x)
        if len(tries) < 3:
            raise TransientError("busy")
        return {"tries": len(tries)}

    assert bench.run("[{do: {f: third_time}, name: a, retry: 2}]") == {"a": {"tries": 3}}
    [record] = bench.state.steps
    assert (record["status"], record["attempt"]) == ("completed", 3)
    said = [(e["status"], e.get("attempt"), e.get("attempts"), e.get("wait")) for e in bench.events()]
    assert said == [
        ("running", None, None, None),
        ("retrying", 2, 3, "1ms"), ("running", 2, 3, None),
        ("retrying", 3, 3, "2ms"), ("running", 3, 3, None),
        ("completed", 3, None, None),
    ]  # fmt: skip
    assert "a: attempt 1 of 3 failed: TransientError: busy; trying again in 1ms" in bench.handle.said


@pytest.mark.usefixtures("no_wait")
@pytest.mark.parametrize(("on", "tries"), [("transient", 1), ("any", 3), ("[ValueError]", 3), ("[OSError]", 1)])
def test_only_what_is_worth_it_is_tried_again(bench: Bench, on: str, tries: int) -> None:
    tried: list[Any] = []

    @bench.function
    def bad(run: Any, x: Any) -> None:
        tried.append(x)
        raise ValueError("wrong")

    bench.fails(f"[{{do: {{f: bad}}, retry: {{count: 2, on: {on}}}}}]")
    assert len(tried) == tries


def test_a_stop_ends_the_wait_for_the_next_try(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "delay", lambda policy, failures: 60.0)

    @bench.function
    def busy(run: Any, x: Any) -> None:
        bench.handle.check_stopped = stop  # type: ignore[method-assign]
        raise TransientError("busy")

    def stop() -> None:
        raise StoppedError("stop")

    with pytest.raises(StoppedError):
        bench.run("[{do: {f: busy}, retry: 1}]")
    assert bench.statuses() == {"do": "stopped"}


# ---- endings ----

ENDINGS = """
processors:
  - {{do: {{f: {f}, x: work}}, name: work}}
  - {{do: {{f: give}}, name: more}}
on_success: [{{echo: {{message: "well"}}}}]
on_failure:
  - {{do: {{f: fail, x: "alert is down"}}, name: alert}}
  - echo: {{message: "${{error.step}}: ${{error.type}}: ${{error.message}}"}}
  - send_alert: {{condition: failure}}
always: [{{echo: {{message: "cleaned up after ${{steps.work.status}}"}}}}]
"""


def test_what_runs_after_success(bench: Bench) -> None:
    assert bench.run(ENDINGS.format(f="give")) == {"work": {"value": "work"}}
    assert bench.lines() == ["well", "cleaned up after completed"]
    assert list(bench.statuses()) == ["work", "more", "on_success/echo", "always/echo"]
    assert [record["index"] for record in bench.state.steps] == [0, 1, 2, 6]


def test_what_runs_after_a_failure_hides_nothing(bench: Bench) -> None:
    error = bench.fails(ENDINGS.format(f="fail"))
    assert (error["type"], error["message"], error["step"]) == ("ValueError", "work", "work")
    assert bench.lines() == ["work: ValueError: work", "cleaned up after failed"]
    assert bench.statuses() == {
        "work": "failed", "more": "skipped", "on_failure/alert": "failed", "on_failure/echo": "completed",
        "on_failure/send_alert": "completed", "always/echo": "completed",
    }  # fmt: skip
    assert "on_failure/alert: ValueError: alert is down" in bench.handle.said
    assert bench.state.warnings == [{"step": "on_failure/alert", "message": "ValueError: alert is down"}]


@pytest.mark.parametrize("ending", ["on_success", "always"])
def test_an_ending_that_fails_fails_the_run(bench: Bench, ending: str) -> None:
    error = bench.fails(f"{{processors: [{{do: {{f: give}}}}], {ending}: [{{do: {{f: fail}}, name: x}}]}}")
    assert (error["message"], error["step"]) == ("no good", f"{ending}/x")


def test_what_always_runs_does_so_after_a_stop(bench: Bench) -> None:
    @bench.function
    def stopped(run: Any, x: Any) -> None:
        raise StoppedError("stop")

    with pytest.raises(StoppedError):
        bench.run("{processors: [{do: {f: stopped}}], on_failure: [echo: {message: never}], always: [echo: {message: tidy}]}")
    assert bench.lines() == ["tidy"]
    assert bench.statuses() == {"do": "stopped", "always/echo": "completed"}


# ---- what is wrong only when values are known ----


def test_a_value_that_turns_out_wrong_is_told_with_its_field(bench: Bench) -> None:
    error = bench.fails('[{sleep: {duration: "${args.pause}"}}]', pause="soon")
    assert (error["type"], error["step"]) == ("StepError", "sleep")
    assert error["message"].startswith("duration: 'soon' is not a duration")


def test_a_number_that_a_reference_stands_for_is_a_text_where_one_is_wanted(bench: Bench) -> None:
    bench.run('[{exec: {command: [echo, "${args.n}", "${args.yes}"]}}, {echo: {message: "${args.n}"}}]', n=7, yes=True)
    assert bench.lines() == ["7 true", "7"]
    error = Bench(bench.workspace).fails('[{exec: {command: [echo, "${args.n}"], shell: true}}]', n=7)
    assert "with shell: true the command is one text" in error["message"]


# ---- the page about it ----

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "build-a-pipeline.md"


def examples() -> list[dict[str, Any]]:
    blocks = re.findall(r"^```yaml\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    return [pipeline for block in blocks for pipeline in yaml.safe_load(block)["pipelines"]]


@pytest.mark.parametrize("example", examples(), ids=lambda example: str(example["name"]))
def test_the_examples_of_the_page_do_what_they_say(bench: Bench, example: dict[str, Any]) -> None:
    result = bench.run(yaml.safe_dump(example), mode="full", verify=True, host="web-12")
    said = bench.lines()
    match example["name"]:
        case "nightly_export":
            assert set(result) == {"fetch", "if", "for_each", "send_alert"}
            assert result["for_each"]["count"] == 3
            assert said[-1] == "bye"
        case "conditions":
            assert bench.statuses() == {"day": "completed", "echo": "skipped", "echo-2": "completed"}
        case "check_hosts":
            assert said[-1] == "3 hosts, 1 lines of the first"
        case "two_regions":
            assert said == ["failed: []"]
            assert bench.state.variables == {"eu_done": True}
        case other:
            raise AssertionError(f"nobody looks at {other}")
