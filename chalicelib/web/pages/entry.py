"""The front door: the root, logging in and out."""

from __future__ import annotations

from chalicelib.api.auth import token_owner
from chalicelib.api.http import Reply
from chalicelib.domain.errors import UnauthorizedError
from chalicelib.web.forms import read_form
from chalicelib.web.security import login_cookie, logout_cookie
from chalicelib.web.visit import Visit, redirect


def home(visit: Visit) -> Reply:
    """The tasks are home. A token in the address comes along."""
    return redirect(visit, "/admin/task", **visit.request.query)


def login(visit: Visit) -> Reply:
    """The token becomes a cookie; then back to the page that asked for it."""
    form = read_form(visit.request)
    token = form.text("token")
    if not token or token_owner(visit.services, token) is None:
        raise UnauthorizedError("the login token is not known here")
    asked = form.text("asked")
    reply = redirect(visit, asked if _is_page(asked) else "/admin/task")
    reply.headers["Set-Cookie"] = login_cookie(visit, token)
    return reply


def logout(visit: Visit) -> Reply:
    """The cookie goes."""
    reply = redirect(visit, "/admin/task")
    reply.headers["Set-Cookie"] = logout_cookie(visit)
    return reply


def _is_page(path: str) -> bool:
    """Whether this is a page of ours, and not somebody else's address."""
    return path.startswith("admin/") and ".." not in path and path.isprintable() and not set(path) & set("\\:?#")
