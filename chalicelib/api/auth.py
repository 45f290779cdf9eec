"""Who may come in: a login token on every request, and short-lived tickets for WebSockets."""

from __future__ import annotations

import hmac
import time
from functools import lru_cache
from typing import Any

from chalicelib.domain.errors import ForbiddenError, UnauthorizedError
from chalicelib.engine.services import Services
from chalicelib.store import tokens

COOKIE = "nightshift_token"
KNOWN_FOR = 60.0  # seconds that a token, once found, is not looked up again
TICKET_SECONDS = 6 * 3600

_known: dict[str, tuple[str, float]] = {}


def check_token(services: Services, headers: dict[str, str]) -> str:
    """Whose token the request carries, as `Authorization: Bearer` or as the pages' cookie. Raises UnauthorizedError."""
    token = token_of(headers)
    if not token:
        raise UnauthorizedError("a login token is needed: send it as 'Authorization: Bearer TOKEN'")
    owner = token_owner(services, token)
    if owner is None:
        raise UnauthorizedError("the login token is not known here")
    return owner


def check_origin(headers: dict[str, str], method: str) -> None:
    """Raise ForbiddenError for a change that a browser sends with its cookie on behalf of another site.

    SameSite tells hosts apart, not ports; browsers say themselves where a request comes from.
    """
    by_cookie = not headers.get("authorization")
    if by_cookie and method not in ("GET", "HEAD") and headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise ForbiddenError("this was sent by another site; send a token as 'Authorization: Bearer TOKEN'")


def token_of(headers: dict[str, str]) -> str:
    """The token that a request carries, or nothing."""
    scheme, _, value = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and value:
        return value.strip()
    for part in headers.get("cookie", "").split(";"):
        name, _, value = part.strip().partition("=")
        if name == COOKIE:
            return value
    return ""


def token_owner(services: Services, token: str) -> str | None:
    """Whose token it is: one of the table's has a name, the stack's own has none (""). None: it does not let in."""
    own = services.settings.token
    if own and hmac.compare_digest(own.encode(), token.encode()):
        return ""
    owner, until = _known.get(token, ("", 0.0))
    if until > time.monotonic():
        return owner
    found = tokens.token_owner(services.table, token)
    if found is not None:
        _known[token] = (found, time.monotonic() + KNOWN_FOR)
    return found


def ticket_for(services: Services, run_id: str) -> str:
    """A ticket to follow one run."""
    return str(_signer(_secret(services)).dumps(run_id))


def check_ticket(services: Services, ticket: str, run_id: str) -> None:
    """Raise UnauthorizedError for a ticket that is not ours or too old, ForbiddenError for another run's."""
    from itsdangerous import BadSignature, SignatureExpired

    try:
        said = _signer(_secret(services)).loads(ticket, max_age=TICKET_SECONDS)
    except SignatureExpired:
        raise UnauthorizedError("the ticket is too old: ask for the run again") from None
    except BadSignature:
        raise UnauthorizedError("the ticket is not one of ours") from None
    if said != run_id:
        raise ForbiddenError("the ticket is another run's")


@lru_cache(maxsize=4)
def _signer(secret: str) -> Any:
    from itsdangerous import URLSafeTimedSerializer

    return URLSafeTimedSerializer(secret, salt="follow")


_secrets: dict[str, str] = {}


def _secret(services: Services) -> str:
    table = services.table.name
    if table not in _secrets:
        _secrets[table] = tokens.signing_secret(services.table)
    return _secrets[table]
