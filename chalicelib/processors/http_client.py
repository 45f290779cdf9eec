"""HTTP requests of processors: verified TLS, a limit on every wait, and errors told as passing or permanent.

No message shows a password or the query of a URL.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from http import HTTPStatus
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated

from pydantic import AfterValidator

from chalicelib.domain.errors import StepError, TransientError
from chalicelib.domain.handle import RunHandle
from chalicelib.processors.http_failures import MOST_REDIRECTS, said_of_http
from chalicelib.processors.paths import find

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse, PoolManager

MOST_CONNECT = 10.0  # seconds for connecting; the rest of the timeout is for the answer
BLOCK = 1 << 16

_PASSING = {408, 425, 429}
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_URL = re.compile(r"https?://[^\s/?#\\]+[^\s\x00-\x1f\x7f]*")
# What another host may see after a redirect. The rest may be a secret.
_HARMLESS = {"accept", "accept-encoding", "accept-language", "content-type", "user-agent"}


def checked_url(text: str) -> str:
    """A URL that can be asked; ValueError says what is wrong with others, without repeating them."""
    from urllib.parse import urlsplit

    if not _URL.fullmatch(text):
        raise ValueError("a URL is wanted, like https://example.com/path (spaces written as %20)")
    try:
        parts = urlsplit(text)
        named = parts.hostname and parts.port != 0
    except ValueError:
        named = False
    if not named:
        raise ValueError("the URL's host or port is malformed: write it like https://example.com:8443/path")
    return text


def checked_headers(headers: dict[str, str]) -> dict[str, str]:
    """Headers that are one line each; ValueError names the one that is not, without its value."""
    for name, value in headers.items():
        if not _TOKEN.fullmatch(name):
            raise ValueError(f"{name!r} is no name of a header: letters, digits and dashes are wanted")
        if _CONTROL.search(value):
            raise ValueError(f"the header '{name}' holds a line break or control character: one line is wanted")
    return headers


Url = Annotated[str, AfterValidator(checked_url)]
Headers = Annotated[dict[str, str], AfterValidator(checked_headers)]


@dataclass(frozen=True)
class Request:
    """What to ask. `timeout` is seconds for all of it; `trusted` is a PEM file of authorities to trust instead of the system's."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | IO[bytes] | None = None
    timeout: float = 30.0
    redirects: bool = True
    trusted: str | None = None


@dataclass
class Reply:
    """An answer whose body is still to be read. Header names are lower case."""

    status: int
    reason: str
    headers: dict[str, str]
    url: str
    response: BaseHTTPResponse
    run: RunHandle
    shown: str
    ends_at: float

    def blocks(self) -> Iterator[bytes]:
        """The body as it comes. TransientError when it breaks off or the time is over."""
        with said_of_http(self.shown):
            while block := self.response.read1(BLOCK, decode_content=True):
                yield block
                self.run.check_stopped()
                if time.monotonic() > self.ends_at:
                    raise TransientError(f"{self.shown} takes too long to send its answer: give it a longer timeout")

    def read(self, most: int) -> bytes:
        """The whole body; StepError when it is longer than `most` bytes."""
        body = bytearray()
        for block in self.blocks():
            body += block
            if len(body) > most:
                raise StepError(f"{self.shown} answered more than {most} bytes")
        return bytes(body)

    def excerpt(self) -> str:
        """The first line or so of the body, for messages; "" when there is nothing to read."""
        try:
            text = next(self.blocks(), b"")[:2000].decode("utf-8", "replace")
        except (StepError, TransientError):
            return ""
        return " ".join(text.split())[:200]

    def refused(self, quote: bool = True) -> StepError | TransientError:
        """The error that this status is, with the beginning of the answer if it may be quoted."""
        text = f"{self.shown} answered {self.status} {self.reason}".rstrip()
        excerpt = self.excerpt() if quote else ""
        text += f": {excerpt}" if excerpt else ""
        if self.status < 500 and self.status not in _PASSING:
            return StepError(text)
        wait = retry_after(self.headers)
        return TransientError(text + (f" (asks to wait {wait:g} s)" if wait else ""))


@contextmanager
def ask(run: RunHandle, request: Request, shown: str = "") -> Iterator[Reply]:
    """The answer, whatever its status. StepError for what can never work, TransientError for who does not answer.

    `shown` is what messages call it; default: the URL without its secrets.
    """
    from urllib3 import Retry, Timeout, make_headers
    from urllib3.util import parse_url

    shown = shown or shown_url(request.url)
    timeout = max(0.1, min(request.timeout, run.remaining()))
    began = time.monotonic()
    headers = {"User-Agent": "nightshift", **request.headers}
    with said_of_http(shown):
        url = parse_url(request.url)
        if url.auth and not any(name.lower() == "authorization" for name in headers):
            from urllib.parse import unquote

            headers |= make_headers(basic_auth=unquote(url.auth))
        secret = [name for name in headers if name.lower() not in _HARMLESS]
        retry = Retry(
            total=None,
            connect=0,
            read=0,
            status=0,
            other=0,
            redirect=MOST_REDIRECTS if request.redirects else False,
            remove_headers_on_redirect=secret,
        )
        response = _manager(url.host or "", url.scheme or "", _trusted(run, request.trusted)).request(
            request.method,
            url._replace(auth=None).url,
            headers=headers,
            body=request.body,
            timeout=Timeout(connect=min(timeout, MOST_CONNECT), read=timeout),
            retries=retry,
            redirect=request.redirects,
            preload_content=False,
        )
    try:
        seen = {name.lower(): value for name, value in response.headers.items()}
        yield Reply(response.status, _reason(response), seen, _final(request.url, response), response, run, shown, began + timeout)
    finally:
        response.close()


def shown_url(url: str) -> str:
    """A URL as it may be shown: without user, password, query and fragment."""
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
        if not host:  # in a dry run: it begins with what is not known yet
            return "a malformed URL" if "@" in url else parts.path
        return f"{parts.scheme}://{host}{parts.path}" + ("?…" if parts.query else "")
    except ValueError:
        return "a malformed URL"


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds that Retry-After asks for, given as a number or an instant; None without a usable one."""
    from email.utils import parsedate_to_datetime

    text = headers.get("retry-after", "").strip()
    if text.isdigit():
        return float(text)
    try:
        return max(0.0, round(parsedate_to_datetime(text).timestamp() - time.time(), 1)) if text else None
    except ValueError:
        return None


def _final(url: str, response: BaseHTTPResponse) -> str:
    """Where redirects have led to."""
    from urllib.parse import urljoin

    for step in response.retries.history if response.retries else ():
        url = urljoin(url, step.redirect_location or "")
    return shown_url(url)


def _reason(response: BaseHTTPResponse) -> str:
    if response.reason:
        return response.reason
    return HTTPStatus(response.status).phrase if response.status in HTTPStatus._value2member_map_ else ""


def _trusted(run: RunHandle, text: str | None) -> str | None:
    if text is None:
        return None
    path = find(run, text).entries[0].path
    if not isinstance(path, Path):
        raise StepError(f"'{text}' is in S3: fetch the certificates to a local path first")
    return str(path)


@lru_cache(maxsize=16)
def _manager(host: str, scheme: str, trusted: str | None) -> PoolManager:
    """Connections that are kept for the next request; through the proxy of the environment where one is meant."""
    import ssl
    from urllib.request import getproxies, proxy_bypass

    from urllib3 import PoolManager, ProxyManager

    try:
        context = ssl.create_default_context(cafile=trusted)
    except OSError as error:  # ssl.SSLError is one, too
        raise StepError(f"'{trusted}' holds no certificates in PEM form: {error}") from error
    if trusted:
        # Certificates that people make themselves often lack what the strict reading wants; naming them is trust enough.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    proxy = None if proxy_bypass(host) else getproxies().get(scheme)
    return ProxyManager(proxy, ssl_context=context) if proxy else PoolManager(ssl_context=context)
