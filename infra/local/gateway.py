"""The HTTP gateway: requests become the events that API Gateway's REST API sends to a Chalice function, and back."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import time
from typing import Any
from urllib.parse import parse_qsl, quote, unquote
from uuid import uuid4

from .lambdas import Lambdas
from .manifest import Manifest, Route
from .options import ACCOUNT
from .wire import Request

MAX_BODY = 10 * 1024 * 1024
INTEGRATION_SECONDS = 29.0
GZIP_FROM = 1024
STAGE = "api"


class Gateway:
    def __init__(self, lambdas: Lambdas) -> None:
        self.lambdas = lambdas
        self.manifest: Manifest | None = None

    async def handle(self, request: Request) -> tuple[int, list[tuple[str, str]], bytes]:
        """Answer with (status, headers as pairs, body)."""
        status, headers, body = await self._answer(request)
        accepts = "gzip" in request.headers.get("accept-encoding", "")
        names = {name.lower() for name, _ in headers}
        if accepts and len(body) > GZIP_FROM and "content-encoding" not in names and _is_text(headers):
            body = gzip.compress(body, 4)
            headers += [("content-encoding", "gzip"), ("vary", "accept-encoding")]
        headers = [(name, value) for name, value in headers if name.lower() != "content-length"]
        if status not in (204, 304):
            headers.append(("content-length", str(len(body))))
        return status, headers, (b"" if request.method == "HEAD" else body)

    async def _answer(self, request: Request) -> tuple[int, list[tuple[str, str]], bytes]:
        if self.manifest is None:
            return _problem(503, "Service Unavailable", "the app has not been loaded")
        if len(request.body) > MAX_BODY:
            return _message(413, "Request Too Long")
        found = self.match(request.path)
        if found is None:
            return _problem(404, "Not Found", f"no such path: {request.plain_path}")
        route, parameters = found
        if request.method not in route.methods:
            if request.method == "OPTIONS" and route.cors is not None:
                return self._preflight(route)
            allow = ", ".join(route.methods)
            return _problem(405, "Method Not Allowed", f"{request.plain_path} allows {allow}", [("allow", allow)])
        function = self.lambdas.resolve("api")
        if function is None:
            return _problem(503, "Service Unavailable", "the app has no REST API")
        event = self.event(request, route, parameters)
        waiting = asyncio.ensure_future(self.lambdas.invoke(function, json.dumps(event).encode()))
        try:
            outcome = await asyncio.wait_for(asyncio.shield(waiting), INTEGRATION_SECONDS)
        except TimeoutError:
            return _message(504, "Endpoint request timed out")
        if outcome.error:
            return _message(502, "Internal server error")
        return _unpack(outcome.payload)

    def match(self, path: str) -> tuple[Route, dict[str, str]] | None:
        """The route for a path, literal parts before `{parameters}`; a trailing slash makes no difference."""
        assert self.manifest is not None
        parts = path.strip("/").split("/")
        best: tuple[tuple[bool, ...], Route, dict[str, str]] | None = None
        for route in self.manifest.routes:
            parameters = _match(route.parts, parts)
            if parameters is None:
                continue
            rank = tuple(part.startswith("{") for part in route.parts)
            if best is None or rank < best[0]:
                best = (rank, route, parameters)
        return (best[1], best[2]) if best else None

    def event(self, request: Request, route: Route, parameters: dict[str, str]) -> dict[str, Any]:
        """The proxy event, version 1.0."""
        assert self.manifest is not None
        many: dict[str, list[str]] = {}
        for name, value in parse_qsl(request.query, keep_blank_values=True):
            many.setdefault(name, []).append(value)
        body, encoded = _body(request, self.manifest.binary_types)
        now = time.time()
        return {
            "resource": route.path,
            "path": request.plain_path,
            "httpMethod": request.method,
            "headers": request.headers,
            "multiValueHeaders": {name: [value] for name, value in request.headers.items()},
            "queryStringParameters": {name: values[-1] for name, values in many.items()} or None,
            "multiValueQueryStringParameters": many or None,
            "pathParameters": parameters or None,
            "stageVariables": None,
            "body": body,
            "isBase64Encoded": encoded,
            "requestContext": {
                "resourceId": "local",
                "resourcePath": route.path,
                "httpMethod": request.method,
                "path": f"/{STAGE}{request.plain_path}",
                "accountId": ACCOUNT,
                "protocol": "HTTP/1.1",
                "stage": STAGE,
                "apiId": "local",
                "domainName": request.headers.get("host", "localhost"),
                "requestId": str(uuid4()),
                "requestTime": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(now)),
                "requestTimeEpoch": int(now * 1000),
                "identity": {"sourceIp": request.client, "userAgent": request.headers.get("user-agent")},
            },
        }

    def _preflight(self, route: Route) -> tuple[int, list[tuple[str, str]], bytes]:
        methods = ",".join([*route.methods, "OPTIONS"])
        return 200, [*(route.cors or {}).items(), ("Access-Control-Allow-Methods", methods)], b""


def _match(pattern: tuple[str, ...], parts: list[str]) -> dict[str, str] | None:
    parameters: dict[str, str] = {}
    for at, wanted in enumerate(pattern):
        if wanted.startswith("{") and wanted.endswith("+}"):
            parameters[wanted[1:-2]] = unquote("/".join(parts[at:]))
            return parameters if len(parts) > at else None
        if at >= len(parts):
            return None
        if wanted.startswith("{"):
            if not parts[at]:
                return None
            parameters[wanted[1:-1]] = unquote(parts[at])
        elif wanted != parts[at] and quote(wanted) != parts[at]:
            return None
    return parameters if len(parts) == len(pattern) else None


def _body(request: Request, binary_types: frozenset[str]) -> tuple[str | None, bool]:
    """(body, isBase64Encoded): text as it is, binary types and what is not UTF-8 in base64."""
    if not request.body:
        return None, False
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in binary_types and "*/*" not in binary_types:
        try:
            return request.body.decode(), False
        except UnicodeDecodeError:
            pass
    return base64.b64encode(request.body).decode(), True


def _unpack(payload: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
    """What a proxy function returned, as HTTP; a malformed answer is API Gateway's 502."""
    try:
        answer = json.loads(payload)
        status = int(answer["statusCode"])
        body = answer.get("body") or ""
        data = base64.b64decode(body) if answer.get("isBase64Encoded") else body.encode()
        headers = [(str(k), str(v)) for k, v in (answer.get("headers") or {}).items()]
        for name, values in (answer.get("multiValueHeaders") or {}).items():
            headers += [(str(name), str(value)) for value in values]
    except (ValueError, KeyError, TypeError, AttributeError):
        return _message(502, "Internal server error")
    if not any(name.lower() == "content-type" for name, _ in headers):
        headers.append(("content-type", "application/json"))
    return status, headers, data


def _is_text(headers: list[tuple[str, str]]) -> bool:
    kind = next((value for name, value in headers if name.lower() == "content-type"), "").lower()
    return kind.startswith("text/") or any(word in kind for word in ("json", "javascript", "xml", "yaml", "svg"))


def _message(status: int, text: str) -> tuple[int, list[tuple[str, str]], bytes]:
    return status, [("content-type", "application/json")], json.dumps({"message": text}).encode()


def _problem(
    status: int, title: str, detail: str, headers: list[tuple[str, str]] | None = None
) -> tuple[int, list[tuple[str, str]], bytes]:
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return status, [("content-type", "application/problem+json"), *(headers or [])], json.dumps(body).encode()
