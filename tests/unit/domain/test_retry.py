"""What is tried again, and after how long."""

from __future__ import annotations

import http.client
import socket
import urllib.error
from email.message import Message
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError, ReadTimeoutError
from pydantic import ValidationError

from chalicelib.domain.errors import StepError, StepTimeoutError, StoppedError, TransientError
from chalicelib.domain.model import Task
from chalicelib.domain.retry import RetryPolicy, delay, is_transient, is_worth

URL = "https://example.org"


def aws(code: str, status: int = 400) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": ""}, "ResponseMetadata": {"HTTPStatusCode": status}}, "Do")  # type: ignore[typeddict-item]


def http_error(status: int) -> httpx.HTTPStatusError:
    request = httpx.Request("GET", URL)
    return httpx.HTTPStatusError("", request=request, response=httpx.Response(status, request=request))


def urllib_error(status: int) -> urllib.error.HTTPError:
    return urllib.error.HTTPError(URL, status, "", Message(), None)


class RequestsError(OSError):
    """As requests raises: a response with a status_code."""

    def __init__(self, status: int) -> None:
        self.response = SimpleNamespace(status_code=status)


class Coded(Exception):
    code = 503  # not an HTTP status


PASSING: list[BaseException] = [
    TransientError("busy"), StepTimeoutError("late"), ConnectionResetError(), TimeoutError(), TimeoutError(),
    socket.gaierror(socket.EAI_AGAIN, "try again"), urllib.error.URLError(ConnectionRefusedError()), urllib_error(503), urllib_error(429),
    http.client.RemoteDisconnected(), http.client.IncompleteRead(b""), httpx.ConnectError(""), httpx.ReadTimeout(""),
    httpx.RemoteProtocolError(""), http_error(502), http_error(429), RequestsError(500), aws("ThrottlingException"), aws("SlowDown", 503),
    aws("InternalError", 500), EndpointConnectionError(endpoint_url=URL), ReadTimeoutError(endpoint_url=URL),
]  # fmt: skip
LASTING: list[BaseException] = [
    StepError("wrong"), ValueError(), OSError("disk full"), FileNotFoundError(), PermissionError(), KeyError("x"), Coded(),
    socket.gaierror(socket.EAI_NONAME, "no such host"), urllib.error.URLError(ValueError()), urllib_error(404), http_error(400),
    http_error(501), RequestsError(403), aws("AccessDenied", 403), aws("ValidationException"), NoCredentialsError(), httpx.UnsupportedProtocol(""),
]  # fmt: skip


@pytest.mark.parametrize("cause", PASSING, ids=repr)
def test_what_passes_is_transient(cause: BaseException) -> None:
    assert is_transient(cause)
    assert is_worth(RetryPolicy(count=1), cause)


@pytest.mark.parametrize("cause", LASTING, ids=repr)
def test_what_lasts_is_not(cause: BaseException) -> None:
    assert not is_transient(cause)
    assert not is_worth(RetryPolicy(count=1), cause)


def test_a_policy_says_after_what_to_try_again() -> None:
    def after(on: Any) -> list[bool]:
        policy = RetryPolicy(count=1, on=on)
        causes = (TransientError(""), LookupError(), KeyError(), StepError(""), http_error(404), StoppedError())
        return [is_worth(policy, cause) for cause in causes]

    assert after("any") == [True, True, True, False, True, False]
    assert after("always") == [True, True, True, True, True, False]
    assert after(["LookupError"]) == [False, True, True, False, False, False]
    assert after(["httpx.HTTPStatusError", "StepError"]) == [False, False, False, True, True, False]


def test_waits_grow_up_to_the_most_and_are_spread_down_to_nothing() -> None:
    policy = RetryPolicy(count=9, base="2s", max="1m")
    assert [delay(policy, n, lambda low, high: high) for n in (1, 2, 3, 5, 6, 10_000)] == [2, 4, 8, 32, 60, 60]
    assert delay(policy, 3, lambda low, high: low) == 0
    waits = [delay(policy, 4) for _ in range(300)]
    assert 0 <= min(waits) < 4 < 12 < max(waits) <= 16


def test_a_number_is_a_policy_and_a_bare_retry_count_tries_after_anything() -> None:
    assert Task(id="t", pipeline="p", retry=3).retry_policy == RetryPolicy(count=3)
    assert Task(id="t", pipeline="p", retry=3).retry_count == 3
    assert Task(id="t", pipeline="p", retry_count=3).retry_policy == RetryPolicy(count=3, on="any")
    assert Task(id="t", pipeline="p", retry={"count": 2, "on": "any"}, retry_count=2).retry_policy.on == "any"
    task = Task(id="t", pipeline="p", retry={"count": 2, "base": "10s", "max": "1h", "on": ["OSError"]})
    assert Task.model_validate(task.model_dump()) == task


@pytest.mark.parametrize(
    "wrong",
    [
        {"retry": 3, "retry_count": 2}, {"retry": -1}, {"retry": 101}, {"retry": True}, {"retry": "often"}, {"retry": {}},
        {"retry": {"count": 1, "on": "sometimes"}}, {"retry": {"count": 1, "base": "soon"}}, {"retry": {"count": 1, "wait": 1}},
    ],
    ids=str,
)  # fmt: skip
def test_wrong_policies_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Task(id="t", pipeline="p", **wrong)
