"""What keeps other sites out of the pages: the cookie, the check of where a form comes from, and the headers."""

from __future__ import annotations

import os
import re
from urllib.parse import urlsplit

from chalicelib.api.auth import COOKIE
from chalicelib.domain.errors import ForbiddenError, UnauthorizedError
from chalicelib.settings import Settings
from chalicelib.web.visit import Visit

COOKIE_SECONDS = 30 * 86_400
_COOKIE_VALUE = re.compile(r"[!#-+\--:<-\[\]-~]+")  # what RFC 6265 lets a cookie hold


def check_same_site(visit: Visit) -> None:
    """Raise ForbiddenError for a form that another site sent.

    The cookie is SameSite=Lax already. Browsers say where a POST comes from; what says nothing is no browser, and has no cookie
    but its own.
    """
    headers = visit.request.headers
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site in ("same-origin", "none") or (site is None and origin is None):
        return
    if site is None and origin is not None and urlsplit(origin).netloc in visit.hosts:
        return
    raise ForbiddenError("this form was sent by another site; open the page here and send it again")


def login_cookie(visit: Visit, token: str) -> str:
    """Set-Cookie for a token. Raises UnauthorizedError for one that no cookie can hold."""
    if not _COOKIE_VALUE.fullmatch(token):
        raise UnauthorizedError("this token has characters that a browser's cookie cannot hold")
    return _cookie(visit, token, COOKIE_SECONDS)


def logout_cookie(visit: Visit) -> str:
    """Set-Cookie that forgets the token."""
    return _cookie(visit, "", 0)


def _cookie(visit: Visit, value: str, seconds: int) -> str:
    secure = "; Secure" if visit.secure else ""
    return f"{COOKIE}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}"


def page_headers(settings: Settings) -> dict[str, str]:
    """Of every page: only our own scripts and styles, no inline ones, no frames, nothing kept by caches."""
    connect = " ".join(["'self'", *_origins(settings)])
    policy = (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; manifest-src 'self'; "
        f"connect-src {connect}; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
    return {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cache-Control": "no-store",
        "Vary": "Accept, Cookie, X-Fragment",
    }


def _origins(settings: Settings) -> list[str]:
    """Where a page's scripts go beside its own origin: the WebSocket, and the bucket for uploads."""
    found = []
    if settings.websocket_enabled and settings.websocket_url:
        parts = urlsplit(settings.websocket_url)
        found.append(f"{parts.scheme}://{parts.netloc}")
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if endpoint:
        parts = urlsplit(endpoint)
        found.append(f"{parts.scheme}://{parts.netloc}")
    else:
        region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION", "us-east-1")
        found += [f"https://{settings.bucket}.s3.amazonaws.com", f"https://{settings.bucket}.s3.{region}.amazonaws.com"]
    return found
