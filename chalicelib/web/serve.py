"""From a visit to its answer: login, the form's origin, the handler, then HTML for people and JSON for programs."""

from __future__ import annotations

import json
from importlib import import_module
from typing import Any

from chalicelib.api.auth import check_token, token_owner
from chalicelib.api.http import Reply, Request, problem
from chalicelib.domain.errors import NightshiftError, UnauthorizedError, http_status
from chalicelib.engine.services import Services
from chalicelib.web.routes import Page
from chalicelib.web.security import check_same_site, login_cookie, page_headers
from chalicelib.web.visit import View, Visit, redirect

FAILED = "something went wrong inside; the function's log says what"


def serve(services: Services, page: Page, request: Request, context: dict[str, Any]) -> Reply:
    """Answer one request for a page. `context` is API Gateway's requestContext."""
    hosts = {request.headers.get("host", ""), str(context.get("domainName", ""))} - {""}
    secure = request.headers.get("x-forwarded-proto") == "https"
    visit = Visit(request, page.path, str(context.get("path", "")), frozenset(hosts), secure)
    try:
        reply = _answer(visit, page)
    except NightshiftError as error:
        reply = _refusal(visit, error)
    except Exception:
        services.log.exception("a page failed")
        reply = _refusal(visit, NightshiftError(FAILED))
    reply.headers = page_headers(services.settings) | reply.headers | visit.answer_headers
    return reply


def _answer(visit: Visit, page: Page) -> Reply:
    if page.method == "POST":
        check_same_site(visit)
    elif "token" in visit.request.query and not page.public:
        return _log_in(visit)
    if not page.public:
        visit.request.who = check_token(visit.services, visit.request.headers)
    module, function = page.handler.split(":")
    answer = getattr(import_module(f"chalicelib.web.pages.{module}"), function)(visit)
    if isinstance(answer, View):
        return _shown(visit, answer)
    assert isinstance(answer, Reply)
    return answer


def _log_in(visit: Visit) -> Reply:
    """`?token=` becomes a cookie, and goes from the address bar."""
    query = dict(visit.request.query)
    token = query.pop("token")
    if token_owner(visit.services, token) is None:
        raise UnauthorizedError("the login token is not known here")
    reply = redirect(visit, visit.here, **query)
    reply.headers["Set-Cookie"] = login_cookie(visit, token)
    return reply


def _shown(visit: Visit, view: View) -> Reply:
    if visit.wants_json:
        return Reply(json.dumps(view.data, ensure_ascii=False), view.status, {"Content-Type": "application/json"})
    from chalicelib.web.render import render

    return Reply(render(visit, view), view.status)


def _refusal(visit: Visit, error: NightshiftError) -> Reply:
    if visit.wants_json:
        reply = problem(error)
        reply.body = json.dumps(reply.body, ensure_ascii=False)
        return reply
    status = http_status(error)
    # Nothing of what the error says goes into a page that a stranger sees.
    view = View("login.html" if status == 401 else "error.html", {"status": status, "detail": error.message}, status=status)
    view.extra["asked"] = visit.here.lstrip("/")
    return _shown(visit, view)
