"""What goes wrong with files and AWS, said as StepError (permanent) or TransientError (worth another attempt)."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from chalicelib.domain.errors import StepError, TransientError

if TYPE_CHECKING:
    from botocore.exceptions import ClientError

PASSING_CODES = {
    "InternalError",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "RequestTimeout",
    "ServiceUnavailable",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
}
_REMEDIES = {
    "NoSuchBucket": "there is no such bucket; create it, or name another one",
    "AccessDenied": "access denied; the role of this function needs the permission",
    "AccessDeniedException": "access denied; the role of this function needs the permission",
    "403": "access denied; the role of this function needs the permission",
    "NoSuchKey": "there is no such object",
    "404": "there is no such object",
    "NotFound": "it does not exist",
    "ResourceNotFoundException": "it does not exist",
    "ParameterNotFound": "it does not exist",
}


@contextmanager
def said_plainly(doing: str) -> Iterator[None]:
    """Raise StepError or TransientError, `DOING: why`, for errors of files and AWS; others pass as they are.

    `doing` is what was tried, like "copying s3://data/x to /tmp/x".
    """
    try:
        yield
    except Exception as error:
        # botocore's timeouts are OSErrors too, by way of requests.
        if isinstance(error, OSError) and not type(error).__module__.startswith("botocore"):
            raise StepError(f"{doing}: {_of_system(error)}") from error
        known = _of_aws(error)
        if known is None:
            raise
        kind, why = known
        raise kind(f"{doing}: {why}") from error


def _of_system(error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        return "the disk is full; give it more room, or write less"
    return f"{error.strerror or error}" + (f": '{error.filename}'" if error.filename else "")


def _of_aws(error: Exception) -> tuple[type[StepError | TransientError], str] | None:
    from botocore.exceptions import BotoCoreError, ClientError, ConnectionError, HTTPClientError, NoCredentialsError

    if isinstance(error, ClientError):
        return _of_response(error)
    if isinstance(error, HTTPClientError | ConnectionError) or type(error).__name__ == "RetriesExceededError":
        return TransientError, str(error)
    if isinstance(error, NoCredentialsError):
        return StepError, "there are no AWS credentials here; set AWS_ACCESS_KEY_ID or AWS_PROFILE"
    if isinstance(error, BotoCoreError):
        return StepError, str(error)
    if isinstance(error, UnicodeEncodeError):
        return StepError, "a name that is not UTF-8, which S3 does not take; rename it"
    return None


def _of_response(error: ClientError) -> tuple[type[StepError | TransientError], str]:
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    if status >= 500 or status == 429 or code in PASSING_CODES:
        return TransientError, str(error)
    # AWS says which permission is missing, and the laptop how to write it down.
    said = str(error.response.get("Error", {}).get("Message", ""))
    return StepError, f"access denied: {said}" if "not authorized" in said else _REMEDIES.get(code, str(error))
