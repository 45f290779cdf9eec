"""One step: whether it runs, its tries, its time, what it leaves behind."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from importlib import import_module
from inspect import isgenerator
from typing import Any

from chalicelib.domain.durations import text_of
from chalicelib.domain.errors import StepError, StepTimeoutError, TimedOutError
from chalicelib.domain.model import Step
from chalicelib.domain.nesting import late_fields
from chalicelib.domain.retry import RetryPolicy, delay, is_worth
from chalicelib.engine.failures import Mask, cut, error_of, one_line
from chalicelib.engine.progress import MOST_MESSAGE, said_by
from chalicelib.engine.steps.block import Block
from chalicelib.engine.steps.config import configured
from chalicelib.engine.steps.flow import BlockFlow, condition_holds
from chalicelib.engine.steps.records import Record
from chalicelib.processors.base import Processor
from chalicelib.processors.control import Control, StepFailed, UnderWay

TICK = 0.2  # seconds between two looks at whether to end, in a wait for the next try


def run_step(block: Block, number: int, name: str, resumed: bool) -> Generator[Any, None, None]:
    """Yields its checkpoints. Raises StepFailed, unless the step may fail; a stop goes through as it is."""
    step = block.steps[number]
    index = block.first_index + number if block.index is None else block.index
    path = (*block.path, name)
    shown: Record = {"index": index, "name": "/".join(path), "processor": step.processor, "depth": block.depth}
    if said_by.get() is not None:
        said_by.set(shown["name"])
    block.run.check_stopped()  # in a thread nothing else may ask
    try:
        instance = _wanted(block, step)
        if instance is None:
            block.records[name] = block.work.records.note(shown, status="skipped")
            return
    except Exception as cause:
        block.records[name] = block.work.records.note(shown, status="failed", error=_brief(cause, block.run.mask))
        _failed(block, step, shown, cause)
        return
    record = block.records[name] = block.work.records.begin(shown, resumed)
    try:
        output = yield from _tries(block, step, instance, record, BlockFlow(block, path, index), resumed)
    except (Exception, TimedOutError) as cause:
        _failed(block, step, shown, cause)
        return
    block.run.previous = block.position.previous = output if output is not None else {}
    if output is not None:
        block.run.outputs[name] = block.position.outputs[name] = output


def _failed(block: Block, step: Step, shown: Record, cause: BaseException) -> None:
    """Raises StepFailed, or notes that the run goes on. The run's own timeout is nothing to go on after."""
    failure = cause if isinstance(cause, StepFailed) else StepFailed(error_of(cause, shown["name"], block.run.mask), cause)
    if step.on_error == "fail" or isinstance(failure.cause, TimedOutError):
        raise failure from failure.cause
    block.run.log(f"{shown['name']}: {failure.brief}; going on (on_error: continue)", level="warning")
    block.work.records.warn(failure.error["step"], failure.brief)


def _wanted(block: Block, step: Step) -> Any:
    """The step's processor with its configuration, or None when the step is skipped."""
    processor = _processor(block, step)
    asks = getattr(processor, "applies", None)
    asks = None if asks is Processor.applies else asks
    if asks is None and block.broken and not block.regardless:
        return None
    if step.when is not True and not condition_holds(block, step.when):
        return None
    late = late_fields(processor)
    known = block.known()
    config = {key: value if key in late else block.work.values.resolve(value, known) for key, value in step.config.items()}
    instance = configured(processor, step.config, config, block.work.values.masked)
    return instance if asks is None or instance.applies(block.run.failure is not None) else None


def _processor(block: Block, step: Step) -> Any:
    info = block.work.catalog.processors.get(step.processor)
    if info is None:
        raise StepError(f"there is no processor '{step.processor}'")
    found: Any = import_module(info.module)
    for part in info.qualname.split("."):
        found = getattr(found, part)
    return found


def _tries(block: Block, step: Step, instance: Any, record: Record, flow: BlockFlow, resumed: bool) -> Generator[Any, None, Any]:
    """The step's output, after as many tries as its policy allows."""
    controls = isinstance(instance, Control)
    block.run.checkpoint = block.position.checkpoint if resumed else None
    before = record.get("seconds", 0.0)
    began = time.monotonic()
    ends = began + step.timeout - before if step.timeout else None
    status, told = "failed", {}
    try:
        while True:
            work = (lambda: instance.control(block.run, flow)) if controls else (lambda: instance(block.run))
            try:
                output = yield from _once(block, work, controls, step.timeout, ends)
                block.work.expect(0.0)
                if output is not None:
                    block.work.records.show_output(record, output)
                status = "completed"
                return output
            except Exception as cause:
                real = cause.cause if isinstance(cause, StepFailed) else cause
                failures = record.get("attempt", 1)
                if step.retry is None or failures > step.retry.count or not is_worth(step.retry, real):
                    raise
                yield from _wait(block, record, _brief(cause, block.run.mask), failures, step.retry)
                if controls:
                    block.run.checkpoint = None  # all of it again; a generator of the user's own goes on where it was
                ends = time.monotonic() + step.timeout if step.timeout else None
    except BaseException as cause:
        if isinstance(cause, GeneratorExit):
            status = "running"  # it goes on in another Lambda
        else:
            status = "failed" if isinstance(cause, Exception | TimedOutError) else "stopped"
            told = {"error": _brief(cause, block.run.mask)}
        raise
    finally:
        seconds = before + time.monotonic() - began
        if status == "running":
            record["seconds"] = round(seconds, 3)
        else:
            block.work.records.end(record, status, seconds, **told)


def _once(
    block: Block, work: Callable[[], Any], controls: bool, timeout: float | None, ends: float | None
) -> Generator[Any, None, Any]:
    """One try. Its time runs only in its own code, so that it cannot be over in ours."""
    with _limited(block, timeout, ends):
        found = work()
    if not isgenerator(found):
        return found
    longest = 0.0
    try:
        while True:
            began = time.monotonic()
            try:
                with _limited(block, timeout, ends):
                    checkpoint = next(found)
            except StopIteration as end:
                return end.value
            if not controls:
                longest = max(longest, time.monotonic() - began)
                block.work.expect(longest)
            checkpoint = checkpoint if controls else _json(checkpoint)
            block.run.checkpoint = checkpoint.checkpoint if isinstance(checkpoint, UnderWay) else checkpoint
            yield checkpoint
    finally:
        found.close()


@contextmanager
def _limited(block: Block, timeout: float | None, ends: float | None) -> Iterator[None]:
    if timeout is None or ends is None:
        yield
        return
    try:
        with block.run.limited(max(0.001, ends - time.monotonic())):
            yield
    except StepTimeoutError as late:
        raise StepTimeoutError(f"timed out after {text_of(timeout)}").with_traceback(late.__traceback__) from None


def _json(checkpoint: Any) -> Any:
    try:
        return json.loads(json.dumps(checkpoint, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise StepError(f"a checkpoint is JSON: {error}") from None


def _wait(block: Block, record: Record, told: str, failures: int, policy: RetryPolicy) -> Generator[Any, None, None]:
    """Until the next try, saying so. A stop, or the end of this Lambda, does not wait for it."""
    seconds = delay(policy, failures)
    most = policy.count + 1
    says = f"{record['name']}: attempt {failures} of {most} failed: {told}; trying again in {text_of(seconds)}"
    block.run.log(says, level="warning")
    record["attempt"] = failures + 1
    block.work.records.say(record | {"status": "retrying"}, attempts=most, wait=text_of(seconds), error=told)
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        time.sleep(min(left, TICK))
        block.run.check_stopped()
        yield block.run.checkpoint
    block.work.records.say(record, attempts=most)


def _brief(cause: BaseException, mask: Mask) -> str:
    return cut(cause.brief, MOST_MESSAGE) if isinstance(cause, StepFailed) else one_line(cause, mask)
