"""Control flow in a real attempt: threads, signals, child processes, a stop button."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from chalicelib.domain.model import CatalogTask
from chalicelib.domain.run import RunRecord
from chalicelib.engine import starter
from chalicelib.engine.services import Services
from chalicelib.settings import Settings
from tests.unit.engine import pipelines
from tests.unit.engine.conftest import Engine
from tests.unit.engine.pipelines import Bench


class Real:
    """A task `flow` made of a pipeline's YAML, run by the engine."""

    def __init__(self, engine: Engine, bench: Bench) -> None:
        self.engine, self.bench = engine, bench
        sys.modules.setdefault(pipelines.__name__, pipelines)

    def run(self, text: str, **values: Any) -> RunRecord:
        engine = self.engine
        task = CatalogTask(id="flow", pipeline="p", function="f", **values)
        catalog = self.bench.catalog().model_copy(update={"tasks": {"flow": task}, "pipelines": {"p": self.bench.pipeline(text)}})
        engine.services = Services(
            engine.table, catalog, Settings(max_concurrent_tasks=10), engine.aws, engine.aws.post, lambda: None
        )
        engine.start("flow")
        return engine.deliver()

    def stop_soon(self, run: Any, ready: threading.Event) -> None:
        def stop() -> None:
            ready.wait(10)
            starter.stop(self.engine.services, run.id)

        threading.Thread(target=stop).start()


@pytest.fixture
def real(engine: Engine, tmp_path: Path) -> Real:
    return Real(engine, Bench(tmp_path))


def sleepers(seconds: str) -> list[Any]:
    found = []
    for process in psutil.process_iter(["name", "cmdline", "status"]):
        if process.info["name"] == "sleep" and seconds in (process.info["cmdline"] or []):
            found.append(process)
    return [p for p in found if p.status() != psutil.STATUS_ZOMBIE]


def test_what_each_branch_prints_becomes_whole_lines(real: Real) -> None:
    meet = threading.Barrier(3, timeout=10)

    @real.bench.function
    def talk(run: Any, x: str) -> None:
        meet.wait()
        for n in range(200):
            print(x, n, end="")
            print(" end")
        print(f"{x} without an end", end="")

    run = real.run('[{for_each: {items: [a, b, c], parallelism: 3, steps: [{do: {f: talk, x: "${item}"}}]}}]')
    assert run.status == "completed"
    said = [text for _, text in real.engine.lines(run)]
    assert {(e["text"][0], e["step"]) for e in real.engine.events(run) if e["type"] == "line"} == {
        ("a", "for_each/0/do"), ("b", "for_each/1/do"), ("c", "for_each/2/do"),
    }  # fmt: skip
    for name in "abc":
        assert [line for line in said if line[0] == name] == [f"{name} {n} end" for n in range(200)] + [f"{name} without an end"]


def test_a_stop_reaches_every_branch_and_its_child_processes_and_always_runs(real: Real) -> None:
    ready = threading.Event()
    seconds = "7.1234"

    @real.bench.function
    def begin(run: Any, x: Any) -> None:
        real.stop_soon(run, ready)

    @real.bench.function
    def spin(run: Any, x: Any) -> None:
        until = time.monotonic() + 30
        while time.monotonic() < until:
            if len(sleepers(seconds)) == 2:
                ready.set()
            time.sleep(0.02)

    began = time.monotonic()
    run = real.run(
        f"""
        processors:
          - {{do: {{f: begin}}}}
          - parallel:
              branches:
                child: [{{exec: {{command: "sleep {seconds} & exec sleep {seconds}", shell: true}}}}]
                code: [{{do: {{f: spin}}}}]
        on_failure: [{{echo: {{message: never}}}}]
        always: [{{echo: {{message: tidied up}}}}]
        """
    )
    assert run.status == "stopped"
    assert time.monotonic() - began < 8
    assert sleepers(seconds) == []
    assert [text for stream, text in real.engine.lines(run) if stream == "stdout"] == ["tidied up"]
    assert {s["name"]: s["status"] for s in run.steps} == {
        "do": "completed", "parallel": "stopped", "parallel/child/exec": "stopped", "parallel/code/do": "stopped",
        "always/echo": "completed",
    }  # fmt: skip
    assert real.engine.holders() == {}


def test_a_timeout_of_the_run_ends_branches_and_is_told(real: Real) -> None:
    run = real.run(
        """
        processors:
          - {for_each: {items: [1, 2], parallelism: 2, steps: [{sleep: {duration: 30s}}]}, on_error: continue}
          - {echo: {message: never}}
        on_failure: [{echo: {message: "${error.type}"}}]
        """,
        timeout=0.3,
    )
    assert run.status == "failed"
    assert run.error is not None
    assert run.error["type"] == "Timeout"
    assert run.error["step"] == "for_each"
    assert [text for stream, text in real.engine.lines(run) if stream == "stdout"] == ["Timeout"]


def test_steps_have_their_own_time_in_the_main_thread_and_in_branches(real: Real) -> None:
    run = real.run(
        """
        - {sleep: {duration: 30s}, timeout: 200ms, on_error: continue, name: alone}
        - for_each:
            items: [1, 2]
            parallelism: 2
            on_failure: ignore
            steps: [{sleep: {duration: 30s}, timeout: 200ms, name: nap}]
        - {parallel: {branches: [[{sleep: {duration: 30s}, name: long}]]}, timeout: 300ms, on_error: continue, name: all}
        - echo: {message: "${steps.alone.error.message}"}
        """
    )
    assert run.status == "completed"
    assert [text for stream, text in real.engine.lines(run) if stream == "stdout"] == ["timed out after 200ms"]
    steps = {s["name"]: s for s in run.steps}
    assert {name: step["status"] for name, step in steps.items()} == {
        "alone": "failed", "for_each": "completed", "for_each/0/nap": "failed", "for_each/1/nap": "failed",
        "all": "failed", "all/1/long": "stopped", "echo": "completed",
    }  # fmt: skip
    assert steps["for_each/0/nap"]["error"] == "StepTimeoutError: timed out after 200ms"
    assert sum(step["seconds"] for step in run.steps) < 12
