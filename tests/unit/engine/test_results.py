"""What is told of a run that is over: summary, steps, data, artifacts, and what failed though it completed."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
import yaml

from chalicelib.api.changes import patch_task
from chalicelib.api.http import Request
from chalicelib.api.runs import get_result
from chalicelib.api.runs import get_run as get_run_route
from chalicelib.domain.model import Pipeline, Step
from chalicelib.domain.run import RunRecord
from chalicelib.engine.failures import error_of
from tests.unit.engine.conftest import Engine


def partial_run(engine: Engine, bucket: Any) -> RunRecord:
    """A run whose first step was allowed to fail."""

    def work(run: Any) -> dict[str, int]:
        if not run.outputs and run.failure is None and not run.args.get("again"):
            run.args["again"] = True
            raise OSError("the supplier is asleep")
        (run.workspace / "kept.txt").write_text("x")
        run.artifact("kept.txt")
        return {"rows": 42}

    engine.task("task", work)
    steps = [Step(processor="behave", name="fetch", on_error="continue"), Step(processor="behave", name="count")]
    engine.services.catalog.pipelines["behave"] = Pipeline(name="behave", steps=steps)
    engine.start("task")
    return engine.deliver()


def test_a_run_that_failed_in_part_says_so_everywhere(engine: Engine, bucket: Any) -> None:
    run = partial_run(engine, bucket)
    assert (run.status, run.partial, run.result) == ("completed", True, {"count": {"rows": 42}})
    view = get_run_route(Request(engine.services, {"run_id": run.id})).body
    assert view["partial"] is True
    assert [w["step"] for w in view["warnings"]] == ["fetch"]
    assert "the supplier is asleep" in view["warnings"][0]["message"]
    assert view["summary"].startswith("completed in part after ")
    assert view["summary"].endswith("; steps: 1 failed, 1 completed; warnings: 1; artifacts: 1")

    def result(shown: str) -> Any:
        return get_result(Request(engine.services, {"run_id": run.id}, {"format": shown}))

    document = result("json").body
    assert {k: document[k] for k in ("partial", "warnings", "artifacts", "summary", "result")} == {
        k: view[k] for k in ("partial", "warnings", "artifacts", "summary", "result")
    }
    assert [s["status"] for s in document["steps"]] == ["failed", "completed"]
    assert yaml.safe_load(result("yaml").body)["warnings"] == view["warnings"]
    exported = result("csv")
    rows = {row["key"]: row["value"] for row in csv.DictReader(io.StringIO(exported.body))}
    assert "fetch: " in rows["warnings"]
    assert exported.headers["X-Partial"] == "true"


def test_rows_stay_rows_in_a_csv(engine: Engine) -> None:
    run = engine.run("task", lambda run: [{"a": 1}, {"a": 2}])
    reply = get_result(Request(engine.services, {"run_id": run.id}, {"format": "csv"}))
    assert "X-Partial" not in reply.headers
    assert run.partial is False


def test_retries_that_are_changed_at_run_time_agree(engine: Engine) -> None:
    engine.task("task", lambda run: None, retry={"count": 2, "base": "5s"})

    def patched(**body: Any) -> tuple[int, Any]:
        reply = patch_task(Request(engine.services, {"task_id": "task"}, raw_body=json.dumps(body).encode()))
        assert reply.status == 200, reply.body
        engine.services = engine.make()  # another process, that reads what was written
        task = engine.services.registry.task("task")
        assert (reply.body["retry_count"], task.retry_policy.count) == (task.retry_count, task.retry_count)
        return task.retry_count, (task.retry_policy.base, task.retry_policy.on)

    assert patched(retry_count=7) == (7, (5.0, "transient"))
    assert patched(retry=3) == (3, (1.0, "transient"))
    assert patched(retry_count=4) == (4, (1.0, "transient"))
    assert patched(retry=None) == (4, (1.0, "any"))
    assert patched(retry={"count": 1, "on": "always"}, priority=3) == (1, (1.0, "always"))


def test_a_chain_of_errors_has_one_heading_each() -> None:
    def fail() -> None:
        try:
            int("seven")
        except ValueError as error:
            raise RuntimeError("not a number") from error

    with pytest.raises(RuntimeError) as raised:
        fail()
    told = error_of(raised.value, "step")["traceback"]
    first, second = told.split("\nwhich led to:\n\n")
    for part, ends in ((first, "'seven'"), (second, "RuntimeError: not a number")):
        assert part.startswith("Traceback (most recent call last):\n  File ")
        assert part.count("Traceback") == 1
        assert part.rstrip().endswith(ends)
