"""The AWS front door: finds the service a request is signed for and hands it there."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable
from typing import Any
from urllib.parse import parse_qs

from .chaos import Chaos
from .dynamodb import DynamoDB
from .files import Files
from .guard import Guard, form_caller
from .history import History
from .lambdaapi import LambdaApi
from .lambdas import Lambdas
from .motoservices import MotoServices
from .options import ACCOUNT, REGION
from .requestlog import RequestLog
from .secrets import LocalSecrets
from .websockets import OPERATIONS, Connections
from .wire import Request, Response

PATHS = {("xray", "/TraceSegments"): "PutTraceSegments"}  # operations that nothing but the path names
RULE_CHANGES = {"PutRule", "DeleteRule", "PutTargets", "RemoveTargets", "EnableRule", "DisableRule"}


class Aws:
    def __init__(
        self,
        dynamodb: DynamoDB,
        files: Files,
        history: History,
        lambdas: Lambdas,
        connections: Connections,
        chaos: Chaos,
        secrets: LocalSecrets,
        guard: Guard,
    ) -> None:
        self.chaos = chaos
        self.guard = guard
        self.dynamodb = dynamodb
        self.files = files
        self.history = history
        self.lambdas = lambdas
        self.lambda_api = LambdaApi(lambdas)
        self.connections = connections
        self.secrets = secrets
        self.services = MotoServices()
        self.log = RequestLog()
        self.topics: list[str] = []

    def is_mine(self, request: Request) -> bool:
        """Whether the request is one to AWS: signed, presigned, or a form posted to a bucket."""
        headers = request.headers
        if "x-amz-target" in headers or headers.get("authorization", "").startswith(("AWS4-", "AWS ")):
            return True
        if "X-Amz-Signature=" in request.query or "AWSAccessKeyId=" in request.query:
            return True
        bucket = request.path.lstrip("/").partition("/")[0]
        return bucket in self.files.buckets

    def handle(self, request: Request) -> Response | Awaitable[Response]:
        began = time.perf_counter()
        key, service = credential(request)
        if not key and request.method == "POST":
            key = form_caller(request.body)
        caller = self.lambdas.callers.get(key, "")
        target = request.headers.get("x-amz-target", "")
        operation = self._operation(service, request, target)
        if caller and (denied := self.guard.refusal(caller, service, operation, request)):
            self.log.add(caller, service, operation, denied.status, time.perf_counter() - began)
            return denied
        if service == "dynamodb":
            refusal = self.chaos.refusal(operation, request.body, caller)
            response = refusal or self.dynamodb.handle(operation, request.body)
            if response.status == 200:
                response = self.chaos.lost_answer(operation, caller) or response
        elif service == "lambda":
            _, answer = self.lambda_api.handle(request)
            if not isinstance(answer, Response):
                return self._awaited(answer, caller, service, operation, began)
            response = answer
        elif service == "execute-api":
            seconds, refusal = self.chaos.post() if caller else (0.0, None)
            if seconds:
                return self._awaited(self._late_post(seconds, refusal, request), caller, service, operation, began)
            response = refusal or self.connections.handle(request)[1]
        elif service == "s3":
            response = self._s3(request)
        else:
            if service == "sns":
                self._create_topics()
            if service in ("secretsmanager", "ssm"):
                self.secrets.load()
            response = self.services.handle(service, request)
            if operation in RULE_CHANGES and response.status == 200:
                self.history.set("rules", rules())
        self.log.add(caller, service, operation, response.status, time.perf_counter() - began)
        return response

    def _operation(self, service: str, request: Request, target: str) -> str:
        if service == "lambda":
            return self.lambda_api.operation(request)
        if service == "execute-api":
            return OPERATIONS.get(request.method, request.method)
        if service == "s3":
            return f"{request.method} object" if request.path.strip("/").count("/") else f"{request.method} bucket"
        return target.rpartition(".")[2] or PATHS.get((service, request.path)) or _action(request)

    async def _awaited(self, answer: Awaitable[Response], caller: str, service: str, operation: str, began: float) -> Response:
        response = await answer
        self.log.add(caller, service, operation, response.status, time.perf_counter() - began)
        return response

    async def _late_post(self, seconds: float, refusal: Response | None, request: Request) -> Response:
        await asyncio.sleep(seconds)
        return refusal or self.connections.handle(request)[1]

    def _s3(self, request: Request) -> Response:
        self.files.load()
        self.files.before(request)
        response = self.services.handle("s3", request)
        self.files.after(request, response)
        if request.headers.get("origin"):
            cors = {"access-control-allow-origin": "*", "access-control-expose-headers": "ETag"}
            response.headers = {**response.headers, **cors}
        return response

    def _create_topics(self) -> None:
        """The template's topics, made when SNS is first spoken to: its module is not imported before."""
        topics, self.topics = self.topics, []
        if topics:
            from moto.sns.models import sns_backends

            for name in topics:
                sns_backends[ACCOUNT][REGION].create_topic(name)

    def restore_rules(self) -> None:
        """Put the kept EventBridge rules back into moto; without any, its module stays unimported."""
        for rule in self.history.get("rules", []):
            backend = events_backend()
            targets = rule.pop("targets")
            backend.put_rule(**rule)
            if targets:
                backend.put_targets(rule["name"], "default", targets)


def credential(request: Request) -> tuple[str, str]:
    """(access key id, service name) from the signature; an unsigned request can only be for S3."""
    value = request.headers.get("authorization", "")
    at = value.find("Credential=")
    if at >= 0:
        parts = value[at + 11 :].split(",", 1)[0].split("/")
        if len(parts) >= 5:
            return parts[0], {"eventbridge": "events"}.get(parts[3], parts[3])
    presigned = parse_qs(request.query).get("X-Amz-Credential")
    if presigned:
        parts = presigned[0].split("/")
        return parts[0], parts[3] if len(parts) > 3 else "s3"
    target = request.headers.get("x-amz-target", "")
    if target.startswith("DynamoDB"):
        return "", "dynamodb"
    return "", "s3"


def _action(request: Request) -> str:
    """The operation of a query protocol (`Action=Publish`), or the method for a REST one."""
    if b"Action=" in request.body[:4096]:
        return parse_qs(request.body.decode("utf-8", "replace")).get("Action", [request.method])[0]
    return request.method


def events_backend() -> Any:
    from moto.events.models import events_backends

    return events_backends[ACCOUNT][REGION]


def rules() -> list[dict[str, Any]]:
    """The rules of the default event bus, as `put_rule` takes them, each with its targets."""
    return [
        {
            "name": rule.name,
            "scheduled_expression": rule.scheduled_expression,
            "event_pattern": json.dumps(rule.event_pattern.get_pattern()) if rule.event_pattern.get_pattern() else None,
            "state": rule.state,
            "description": rule.description,
            "targets": json.loads(json.dumps(rule.targets, default=dict)),
        }
        for rule in events_backend().event_buses["default"].rules.values()
    ]
