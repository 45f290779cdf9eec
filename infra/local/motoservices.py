"""Every AWS service but DynamoDB, Lambda and @connections: moto's own handlers, imported when first asked for."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from .options import REGION
from .wire import Request, Response

# the name a request is signed for -> moto's package
PACKAGES = {"monitoring": "cloudwatch", "states": "stepfunctions", "email": "ses"}
Route = tuple[re.Pattern[str], Callable[..., Any]]


class MotoServices:
    def __init__(self) -> None:
        self.routes: dict[str, list[Route]] = {}

    def handle(self, service: str, request: Request) -> Response:
        """Answer one request that was signed for `service`."""
        from moto.core.request import Request as MotoRequest
        from werkzeug.exceptions import HTTPException

        host = f"https://{service}.{REGION}.amazonaws.com"
        url = host + request.path + (f"?{request.query}" if request.query else "")
        headers = {k: v for k, v in request.headers.items() if k not in ("host", "transfer-encoding")}
        moto_request = MotoRequest.from_primitives(request.method, url, headers, request.body)
        moto_request.environ["RAW_URI"] = request.path
        for pattern, handler in self._routes(service):
            if not pattern.match(host + request.path):
                continue
            try:
                status, reply_headers, body = handler(moto_request, moto_request.raw_url, moto_request.headers)
            except HTTPException as error:
                status, reply_headers, body = error.code or 400, dict(error.get_headers()), error.get_body()
            return _response(int(status), dict(reply_headers), body)
        return Response(404, f"{service} is not served here".encode(), {}, "text/plain")

    def _routes(self, service: str) -> list[Route]:
        if service not in self.routes:
            self.routes[service] = self._load(service)
        return self.routes[service]

    def _load(self, service: str) -> list[Route]:
        from moto.backends import get_backend

        try:
            accounts: Any = get_backend(PACKAGES.get(service, service))  # type: ignore[call-overload]
        except (ImportError, KeyError, ValueError):
            return []
        regions = accounts["123456789012"] if "123456789012" in accounts or hasattr(accounts, "backend") else accounts
        backend = regions[REGION] if REGION in regions else regions["aws"]
        return [(re.compile(url), handler) for url, handler in backend.urls.items()]


def _response(status: int, headers: dict[str, Any], body: Any) -> Response:
    data = body.encode() if isinstance(body, str) else bytes(body or b"")
    kept = {k.lower(): str(v) for k, v in headers.items()}
    content_type = kept.pop("content-type", "application/xml" if data[:1] == b"<" else "application/json")
    for name in ("status", "content-length", "connection", "transfer-encoding"):
        value = kept.pop(name, None)
        if name == "content-length" and value is not None and not data:
            kept[name] = value  # HEAD tells a length without a body
    return Response(status, data, kept, content_type)
