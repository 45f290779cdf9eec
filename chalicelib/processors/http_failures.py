"""What goes wrong with HTTP requests, said as StepError (permanent) or TransientError (worth another attempt)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from chalicelib.domain.errors import StepError, TransientError

MOST_REDIRECTS = 5


@contextmanager
def said_of_http(shown: str) -> Iterator[None]:
    """Errors of urllib3 as StepError and TransientError, `SHOWN why`; their own texts, which hold whole URLs, are not repeated."""
    from urllib3 import exceptions as wrong

    try:
        yield
    except wrong.HTTPError as error:
        cause: Any = error.reason if isinstance(error, wrong.MaxRetryError) and error.reason else error
        if isinstance(cause, wrong.ProxyError):
            cause = cause.original_error
        raise _kind_of(cause)(f"{shown} {_why(cause)}") from None
    except (ValueError, UnicodeError) as error:
        raise StepError(f"{shown} cannot be asked: {type(error).__name__}") from None
    except OSError as error:
        raise TransientError(f"{shown} does not answer: {error.strerror or type(error).__name__}") from None


def _kind_of(cause: Any) -> type[StepError | TransientError]:
    import ssl

    from urllib3 import exceptions as wrong

    if isinstance(cause, wrong.SSLError):
        inner = cause.args[0] if cause.args else None
        return StepError if isinstance(inner, ssl.SSLCertVerificationError) else TransientError
    return StepError if isinstance(cause, wrong.LocationValueError | wrong.ResponseError) else TransientError


def _why(cause: Any) -> str:
    import ssl

    from urllib3 import exceptions as wrong

    inner = cause.args[0] if cause.args else None
    if isinstance(inner, ssl.SSLCertVerificationError):
        return f"has a certificate that is not trusted: {inner.verify_message}"
    if isinstance(cause, wrong.SSLError):
        return f"does not speak TLS as wanted: {getattr(inner, 'reason', None) or type(inner).__name__}"
    if isinstance(cause, wrong.ResponseError):
        return f"redirects more than {MOST_REDIRECTS} times"
    if isinstance(cause, wrong.LocationValueError):
        return "is no URL that can be asked"
    if isinstance(cause, wrong.NameResolutionError):
        return "does not answer: its name is unknown"
    if isinstance(cause, wrong.TimeoutError) and not isinstance(cause, wrong.NewConnectionError):
        return "does not answer in time"
    return f"does not answer: {_system(cause)}"


def _system(error: BaseException) -> str:
    """What the system said first: "Connection refused" rather than a chain of wrappers."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.strerror:
            return seen.strerror
        inner = next((part for part in seen.args if isinstance(part, BaseException)), None)
        seen = inner or seen.__cause__ or seen.__context__
    return "the connection broke off"
