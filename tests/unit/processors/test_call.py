"""`call` and `invoke_lambda`: functions with arguments of the step's own."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from chalicelib.catalog.decorators import PROCESSORS
from chalicelib.domain.errors import StepError, TransientError
from chalicelib.domain.handle import RunHandle
from chalicelib.processors import clients
from chalicelib.processors.call import Call
from chalicelib.processors.invoke_lambda import InvokeLambda

from .recorder import Recorder

HERE = __name__


def add(a: int, b: int = 1) -> int:
    return a + b


def with_run(run: RunHandle, name: str) -> dict[str, Any]:
    run.write(f"hello {name}")
    return {"task": run.task_id}


def in_portions(run: RunHandle) -> Any:
    yield 1
    return {"done": True}


def broken() -> None:
    raise KeyError("oh")


def test_call_gives_on_what_the_function_returns(run: Recorder) -> None:
    assert Call(function=f"{HERE}:add", args={"a": 2, "b": 3})(run) == {"value": 5}
    assert Call(function=f"{HERE}:with_run", args={"name": "world"})(run) == {"task": "some_task"}
    assert run.texts() == ["hello world"]
    assert Call(function="json:dumps", args={"obj": [1]})(run) == {"value": "[1]"}
    assert next(Call(function=f"{HERE}:in_portions")(run)) == 1
    assert PROCESSORS["call"] is Call


@pytest.mark.parametrize(
    ("step", "why"),
    [
        (Call(function="no_such_module:add"), "there is no module 'no_such_module'"),
        (Call(function=f"{HERE}:sub"), "has no 'sub'"),
        (Call(function=f"{HERE}:HERE"), "is not a function"),
        (Call(function=f"{HERE}:add", args={"c": 1}), "missing a required argument: 'a'|unexpected keyword argument 'c'"),
    ],
)
def test_call_of_what_cannot_be_called_is_for_good(run: Recorder, step: Call, why: str) -> None:
    with pytest.raises(StepError, match=why):
        step(run)


def test_what_a_called_function_raises_is_its_own(run: Recorder) -> None:
    with pytest.raises(KeyError):
        Call(function=f"{HERE}:broken")(run)


def test_call_says_what_it_would_do(run: Recorder) -> None:
    assert Call(function="a.b:c", args={"x": "y"}).describe(run) == "Calls a.b:c(x='y')"


class Lambda:
    """Answers as it was told, and remembers what it was asked."""

    def __init__(self, answer: dict[str, Any] | Exception, payload: Any = None) -> None:
        self.answer, self.payload = answer, payload
        self.asked: dict[str, Any] = {}

    def invoke(self, **asked: Any) -> dict[str, Any]:
        self.asked = asked
        if isinstance(self.answer, Exception):
            raise self.answer
        content = self.payload if isinstance(self.payload, bytes) else json.dumps(self.payload).encode()
        return {"StatusCode": 200, **self.answer, "Payload": io.BytesIO(content)}


@pytest.fixture
def serve() -> Iterator[Callable[[Lambda], Lambda]]:
    def serve(fake: Lambda) -> Lambda:
        clients.hand_over(lambda _: fake)
        return fake

    yield serve
    clients.hand_over(None)


def test_invoke_waits_and_gives_the_answer(run: Recorder, serve: Any) -> None:
    log = base64.b64encode(b"START\nEND\n").decode()
    fake = serve(Lambda({"ExecutedVersion": "7", "LogResult": log}, {"rows": 3}))
    step = InvokeLambda(function="report", payload={"day": "2026-01-31"}, qualifier="live", show_log=True)
    assert step(run) == {"status_code": 200, "payload": {"rows": 3}, "version": "7"}
    assert fake.asked == {
        "FunctionName": "report",
        "InvocationType": "RequestResponse",
        "Qualifier": "live",
        "LogType": "Tail",
        "Payload": b'{"day": "2026-01-31"}',
    }
    assert run.lines == [("debug", "START\nEND")]


def test_invoke_without_waiting(run: Recorder, serve: Any) -> None:
    fake = serve(Lambda({"StatusCode": 202}, b""))
    assert InvokeLambda(function="report", wait=False)(run) == {"status_code": 202}
    assert fake.asked["InvocationType"] == "Event"
    assert fake.asked["Payload"] == b"{}"


def test_what_the_function_raises_fails_the_step_for_good(run: Recorder, serve: Any) -> None:
    said = {"errorType": "ValueError", "errorMessage": "no such day", "stackTrace": ['  File "app.py", line 3\n']}
    serve(Lambda({"FunctionError": "Unhandled"}, said))
    with pytest.raises(StepError, match=r"^report failed: ValueError: no such day$"):
        InvokeLambda(function="report")(run)
    assert run.texts("stderr") == ['  File "app.py", line 3']


@pytest.mark.parametrize(
    ("error", "status", "kind", "why"),
    [
        ("TooManyRequestsException", 429, TransientError, "invoking report: "),
        ("ServiceException", 500, TransientError, "invoking report: "),
        ("ResourceNotFoundException", 404, StepError, "invoking report: it does not exist"),
        ("AccessDeniedException", 403, StepError, "invoking report: access denied"),
    ],
)
def test_a_throttle_passes_and_a_missing_function_does_not(
    run: Recorder, serve: Any, error: str, status: int, kind: type[Exception], why: str
) -> None:
    response: Any = {"Error": {"Code": error, "Message": error}, "ResponseMetadata": {"HTTPStatusCode": status}}
    serve(Lambda(ClientError(response, "Invoke")))
    with pytest.raises(kind, match=why):
        InvokeLambda(function="report")(run)


def test_a_function_that_is_waited_for_is_asked_once_and_for_long(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    clients.hand_over(None)
    config = clients.client("lambda", read_timeout=900).meta.config
    assert (config.read_timeout, config.retries["total_max_attempts"]) == (900, 1)
    assert clients.client("lambda") is not clients.client("lambda", read_timeout=900)
    clients.hand_over(None)


def test_no_answer_in_time_is_worth_another_try(run: Recorder, serve: Any) -> None:
    serve(Lambda(ReadTimeoutError(endpoint_url="https://lambda")))
    with pytest.raises(TransientError):
        InvokeLambda(function="report")(run)
