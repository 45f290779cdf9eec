"""Runs a pipeline's steps in order, and notes each one's time, output and error."""

from __future__ import annotations

import time
import traceback
from importlib import import_module
from typing import Any

from chalicelib.domain.durations import text_of
from chalicelib.domain.errors import NightshiftError, StepError, TimedOutError
from chalicelib.domain.handle import RunHandle
from chalicelib.domain.model import Catalog, Pipeline, Step
from chalicelib.engine.progress import MOST_MESSAGE, Progress
from chalicelib.store.codec import to_json

MOST_TRACEBACK = 20_000  # characters
MOST_OUTPUT = 4_000  # characters of JSON up to which a step's record shows its output; the result has it anyway
ENGINE_FILES = (
    "chalicelib/engine/",
    "chalicelib/processors/python.py",
    "chalicelib/catalog/",
    "awslambdaric/",
    "pydantic/",
    "importlib",
)


class PipelineFailed(Exception):
    """A step failed; `error` is `{type, message, step, traceback}`, `cause` what it raised."""

    def __init__(self, error: dict[str, Any], cause: BaseException) -> None:
        super().__init__(error["message"])
        self.error, self.cause = error, cause


def run_pipeline(catalog: Catalog, pipeline: Pipeline, run: RunHandle, progress: Progress, steps: list[dict[str, Any]]) -> Any:
    """The result: a Python task's return value, or every step's output by its name. `steps` is filled as the work goes on.

    When a step fails, those after it that ask for failures (alerts) still run; then PipelineFailed is raised.
    """
    failure: PipelineFailed | None = None
    for index, step in enumerate(pipeline.steps):
        record: dict[str, Any] = {"index": index, "name": _name_of(pipeline, index), "processor": step.processor}
        try:
            instance = _load(catalog, step)
            applies = getattr(instance, "applies", None)
            wanted = failure is None if applies is None else applies(failure is not None)
        except Exception as cause:
            failure = failure or PipelineFailed(error_of(cause, record["name"]), cause)
            steps.append(record | {"status": "failed", "error": error_of(cause, record["name"])})
            continue
        if not wanted:
            steps.append(record | {"status": "skipped"})
            continue
        try:
            _run_step(instance, run, progress, record, steps)
        except (Exception, TimedOutError) as cause:
            error = error_of(cause, record["name"])
            if failure is None:
                failure = PipelineFailed(error, cause)
                run.failure = {k: error[k] for k in ("type", "message", "step")}
            else:
                run.log(f"{record['name']}: {error['type']}: {error['message']}", level="error")
    if failure is not None:
        raise failure from failure.cause
    if pipeline.name.startswith("python:"):
        return run.previous
    return dict(run.outputs) or None


def _run_step(instance: Any, run: RunHandle, progress: Progress, record: dict[str, Any], steps: list[dict[str, Any]]) -> None:
    shown = {k: record[k] for k in ("index", "name", "processor")}
    progress.say("step", **shown, status="running")
    began = time.monotonic()
    entry = record | {"status": "running", "started": progress.seq}
    steps.append(entry)
    error: str | None = None
    status = "failed"
    try:
        output = instance(run)
        status = "completed"
        run.previous = output if output is not None else {}
        if output is not None:
            run.outputs[record["name"]] = output
            if len(to_json(output)) <= MOST_OUTPUT:
                entry["output"] = output if isinstance(output, dict) else {"value": output}
    except BaseException as cause:
        error = cut(f"{type(cause).__name__}: {cause}", MOST_MESSAGE)
        status = "failed" if isinstance(cause, Exception | TimedOutError) else "stopped"
        raise
    finally:
        seconds = round(time.monotonic() - began, 3)
        entry |= {"status": status, "seconds": seconds, "duration": text_of(seconds)}
        if error:
            entry["error"] = error
        progress.say("step", **shown, status=status, duration=text_of(seconds), **({"error": error} if error else {}))


def _load(catalog: Catalog, step: Step) -> Any:
    info = catalog.processors.get(step.processor)
    if info is None:
        raise StepError(f"there is no processor '{step.processor}'")
    found: Any = import_module(info.module)
    for part in info.qualname.split("."):
        found = getattr(found, part)
    return found.model_validate(step.config)


def _name_of(pipeline: Pipeline, index: int) -> str:
    """A step's own name, or its processor's, told apart by number where a pipeline uses one twice."""
    step = pipeline.steps[index]
    if step.name:
        return step.name
    before = sum(1 for s in pipeline.steps[:index] if not s.name and s.processor == step.processor)
    return f"{step.processor}_{before + 1}" if before else step.processor


def error_of(cause: BaseException, step: str | None) -> dict[str, Any]:
    """`{type, message, step, traceback}`, the engine's own frames left out: the user's come first and last."""
    frames = traceback.extract_tb(cause.__traceback__)
    own = [f for f in frames if not any(part in f.filename for part in ENGINE_FILES)]
    lines = traceback.format_list(own) if own else []
    lines += traceback.format_exception_only(cause)
    if cause.__cause__ is not None:
        lines = [*traceback.format_exception(cause.__cause__), "\nwhich led to:\n\n", *lines]
    message = cause.message if isinstance(cause, NightshiftError) else str(cause)
    text = "Traceback (most recent call last):\n" + "".join(lines) if own else "".join(lines)
    return {
        "type": type(cause).__name__,
        "message": cut(message, MOST_MESSAGE),
        "step": step,
        "traceback": cut(text, MOST_TRACEBACK),
    }


def cut(text: str, most: int) -> str:
    """The text; of one that is too long for the run's item its beginning and its end."""
    return text if len(text) <= most else f"{text[: most // 2]}\n… {len(text) - most} characters …\n{text[-most // 2 :]}"
