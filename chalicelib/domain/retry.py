"""Whether a failure is worth another try, and how long to wait before it."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from chalicelib.domain.definition import Definition, Seconds
from chalicelib.domain.errors import NightshiftError, StepError, TransientError

MOST_RETRIES = 100


class RetryPolicy(Definition):
    """How often, how soon and after which failures something is tried again. A bare number is its `count`."""

    count: int = Field(ge=0, le=MOST_RETRIES, description="How many more tries after the first")
    base: Seconds = Field(1.0, description="Longest wait before the second try; it doubles with each further one")
    max: Seconds = Field(300.0, description="Longest wait there is")
    on: Literal["transient", "any", "always"] | list[str] = Field(
        "transient",
        description="transient: what is known to pass; any: all but what a step calls permanent; always: all; "
        "or names of exception types, like [OperationalError]",
    )


def retry_of(value: Any) -> Any:
    """A policy as people write it: a number stands for its count. For validators; anything else is left to the policy's own."""
    return {"count": value} if isinstance(value, int) and not isinstance(value, bool) else value


Retry = Annotated[RetryPolicy, BeforeValidator(retry_of)]


def delay(policy: RetryPolicy, failures: int, uniform: Callable[[float, float], float] = random.uniform) -> float:
    """Seconds to wait after so many failures (1: the first), with full jitter: those that failed together do not meet again."""
    # 2.0**1024 overflows; long before that `max` holds.
    return uniform(0.0, min(policy.max, policy.base * 2.0 ** min(failures - 1, 60)))


def is_worth(policy: RetryPolicy, cause: BaseException) -> bool:
    """Whether this failure may be tried again under the policy; how often is the caller's to count. A stop never is."""
    if not isinstance(cause, Exception):
        return False
    if policy.on == "always":
        return True
    if policy.on == "any":
        return not isinstance(cause, StepError)
    if policy.on == "transient":
        return is_transient(cause)
    names = {name for kind in type(cause).__mro__ for name in (kind.__name__, f"{kind.__module__}.{kind.__qualname__}")}
    return not names.isdisjoint(policy.on)


# By name and attribute, so that nothing has to be imported to look: (first part of the module, class names).
_TRANSIENT_KINDS: dict[str, frozenset[str]] = {
    "requests": frozenset({"ConnectionError", "Timeout", "ChunkedEncodingError"}),
    "httpx": frozenset({"TimeoutException", "NetworkError", "RemoteProtocolError", "ProxyError"}),
    "httpcore": frozenset({"TimeoutException", "NetworkError", "RemoteProtocolError", "ProxyError"}),
    "urllib3": frozenset({"TimeoutError", "ProtocolError", "NewConnectionError"}),
    "http": frozenset({"IncompleteRead", "RemoteDisconnected"}),
    "aiohttp": frozenset({"ClientConnectionError", "ServerTimeoutError", "ClientPayloadError"}),
    "botocore": frozenset({"HTTPClientError", "ConnectionError", "EndpointConnectionError", "ConnectionClosedError"}),
    "boto3": frozenset({"RetriesExceededError"}),
}
_TRANSIENT_CODES = frozenset(
    {
        "BandwidthLimitExceeded", "EC2ThrottledException", "InternalError", "InternalFailure", "InternalServerError",
        "LimitExceededException", "PriorRequestNotComplete", "ProvisionedThroughputExceededException", "RequestLimitExceeded",
        "RequestThrottled", "RequestThrottledException", "RequestTimeout", "RequestTimeoutException", "ServiceUnavailable",
        "SlowDown", "Throttled", "ThrottledException", "Throttling", "ThrottlingException", "TooManyRequestsException",
        "TransactionInProgressException", "TransactionConflictException",
    }
)  # fmt: skip
_TRANSIENT_STATUSES = frozenset({408, 425, 429})
_PERMANENT_5XX = frozenset({501, 505})  # not implemented: no wait changes that
_EAI_AGAIN = -3  # the name service did not answer; other getaddrinfo errors say that there is no such host


def is_transient(cause: BaseException) -> bool:
    """Whether a failure is known to be one that passes: a TransientError, a lost connection, a timeout, a throttle, 429 or 5xx."""
    if isinstance(cause, NightshiftError):
        return isinstance(cause, TransientError)
    if isinstance(cause, ConnectionError | TimeoutError):
        return True
    if _kind_is_transient(cause):
        return True
    status = _http_status(cause)
    if status is not None and (status in _TRANSIENT_STATUSES or (500 <= status < 600 and status not in _PERMANENT_5XX)):
        return True
    if _aws_code(cause) in _TRANSIENT_CODES:
        return True
    # urllib's URLError and urllib3's MaxRetryError carry what really happened.
    reason = getattr(cause, "reason", None)
    if isinstance(reason, BaseException) and reason is not cause:
        return is_transient(reason)
    return type(cause).__name__ == "gaierror" and getattr(cause, "errno", None) == _EAI_AGAIN


def _kind_is_transient(cause: BaseException) -> bool:
    for kind in type(cause).__mro__:
        names = _TRANSIENT_KINDS.get(kind.__module__.partition(".")[0])
        if names and kind.__name__ in names:
            return True
    return False


def _http_status(cause: BaseException) -> int | None:
    """The HTTP status that an error stands for, wherever its library keeps it."""
    response = getattr(cause, "response", None)
    if isinstance(response, dict):  # botocore
        found: Any = (response.get("ResponseMetadata") or {}).get("HTTPStatusCode")
    else:
        found = getattr(response, "status_code", None)  # requests, httpx
    # urllib's HTTPError, aiohttp's ClientResponseError; the `code` of other errors means other things.
    if found is None and hasattr(cause, "headers"):
        found = getattr(cause, "code", None) or getattr(cause, "status", None)
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def _aws_code(cause: BaseException) -> str:
    response = getattr(cause, "response", None)
    error = response.get("Error") if isinstance(response, dict) else None
    return str(error.get("Code", "")) if isinstance(error, dict) else ""


def changed(task: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """A task's values with some changed: who changes one of `retry` and `retry_count` has not said anything against the other."""
    whole = task | changes
    if "retry" in changes and "retry_count" not in changes and changes["retry"] is not None:
        whole.pop("retry_count", None)
    elif changes.get("retry_count") is not None and "retry" not in changes and isinstance(task.get("retry"), dict):
        whole["retry"] = task["retry"] | {"count": changes["retry_count"]}
    return whole


def policy_of(retry: RetryPolicy | None, retry_count: int) -> RetryPolicy:
    """The policy that holds: a bare `retry_count` tries again after anything but what a step calls permanent."""
    return retry if retry is not None else RetryPolicy(count=retry_count, on="any")
