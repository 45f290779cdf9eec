"""The `lambda` service's REST API, as far as applications and deploy tools call it."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from .lambdas import Lambdas
from .manifest import Function
from .wire import Request, Response, as_json
from .workers import arn

MAX_SYNC, MAX_ASYNC = 6 * 1024 * 1024, 1024 * 1024


class LambdaApi:
    def __init__(self, lambdas: Lambdas) -> None:
        self.lambdas = lambdas

    def operation(self, request: Request) -> str:
        """The name of the operation that a request is."""
        parts = [unquote(part) for part in request.path.strip("/").split("/")]
        if len(parts) < 2 or parts[1] != "functions":
            return "Unknown"
        what = "/".join(parts[3:])
        return "ListFunctions" if len(parts) == 2 else _OPERATIONS.get((request.method, what), f"{request.method} {what}")

    def handle(self, request: Request) -> tuple[str, Response | Any]:
        """(operation name, response or awaitable) for a request to the `lambda` service."""
        parts = [unquote(part) for part in request.path.strip("/").split("/")]
        # /2015-03-31/functions/{name}/invocations and its relatives: the date differs per operation
        if len(parts) < 2 or parts[1] != "functions":
            return "Unknown", _refuse(404, "ResourceNotFoundException", f"no such path: {request.path}")
        if len(parts) == 2:
            listed = [self.configuration(f) for f in self.lambdas.functions.values()]
            return "ListFunctions", as_json(200, {"Functions": listed})
        operation = self.operation(request)
        function = self.lambdas.resolve(parts[2])
        if function is None:
            name = parts[2] if ":function:" in parts[2] else arn(parts[2])
            return operation, _refuse(404, "ResourceNotFoundException", f"Function not found: {name}")
        answer: Callable[[Function, Request], Any] | None = getattr(self, f"_do_{operation}", None)
        if answer is None:
            return operation, _refuse(400, "InvalidParameterValueException", f"{operation} is not served here")
        return operation, answer(function, request)

    def configuration(self, function: Function) -> dict[str, Any]:
        return {
            "FunctionName": function.name,
            "FunctionArn": arn(function.name),
            "Runtime": "python3.11",
            "Handler": function.handler,
            "Timeout": int(function.timeout),
            "MemorySize": function.memory,
            "Version": "$LATEST",
            "State": "Active",
            "LastUpdateStatus": "Successful",
            "PackageType": "Zip",
        }

    def _do_Invoke(self, function: Function, request: Request) -> Any:
        kind = request.headers.get("x-amz-invocation-type", "RequestResponse")
        limit = MAX_ASYNC if kind == "Event" else MAX_SYNC
        if len(request.body) > limit:
            text = f"{len(request.body)} byte payload is too large for the {kind} invocation type (limit {limit} bytes)"
            return _refuse(413, "RequestTooLargeException", text)
        payload = request.body or b"{}"
        try:
            json.loads(payload)
        except ValueError as error:
            return _refuse(400, "InvalidRequestContentException", f"Could not parse request body into json: {error}")
        if kind == "DryRun":
            return Response(204)
        if kind == "Event":
            return Response(202, b"", {"x-amzn-RequestId": self.lambdas.invoke_later(function, payload)})
        if kind != "RequestResponse":
            return _refuse(400, "InvalidParameterValueException", f"unknown invocation type {kind}")
        return self._invoke_and_wait(function, payload, request.headers.get("x-amz-client-context", ""))

    async def _invoke_and_wait(self, function: Function, payload: bytes, context: str) -> Response:
        outcome = await self.lambdas.invoke(function, payload, base64.b64decode(context).decode() if context else "")
        headers = {"X-Amz-Executed-Version": "$LATEST"}
        if outcome.error:
            headers["X-Amz-Function-Error"] = outcome.error
        return Response(200, outcome.payload, headers)

    def _do_GetFunctionConfiguration(self, function: Function, request: Request) -> Response:
        return as_json(200, self.configuration(function))

    def _do_GetFunction(self, function: Function, request: Request) -> Response:
        return as_json(200, {"Configuration": self.configuration(function), "Code": {}, "Tags": {}})

    def _do_PutFunctionEventInvokeConfig(self, function: Function, request: Request) -> Response:
        config = json.loads(request.body or b"{}")
        self.lambdas.invoke_configs[function.name] = config
        self.lambdas.history.set("invoke_configs", self.lambdas.invoke_configs)
        return self._do_GetFunctionEventInvokeConfig(function, request)

    _do_UpdateFunctionEventInvokeConfig = _do_PutFunctionEventInvokeConfig

    def _do_GetFunctionEventInvokeConfig(self, function: Function, request: Request) -> Response:
        config = self.lambdas.invoke_configs.get(function.name)
        if config is None:
            text = f"The function {arn(function.name)}:$LATEST doesn't have an EventInvokeConfig"
            return _refuse(404, "ResourceNotFoundException", text)
        return as_json(200, {"FunctionArn": arn(function.name), "LastModified": time.time(), **config})

    def _do_DeleteFunctionEventInvokeConfig(self, function: Function, request: Request) -> Response:
        self.lambdas.invoke_configs.pop(function.name, None)
        self.lambdas.history.set("invoke_configs", self.lambdas.invoke_configs)
        return Response(204)

    def _do_PutFunctionRecursionConfig(self, function: Function, request: Request) -> Response:
        return as_json(200, {"RecursiveLoop": json.loads(request.body).get("RecursiveLoop", "Allow")})

    def _do_GetFunctionRecursionConfig(self, function: Function, request: Request) -> Response:
        return as_json(200, {"RecursiveLoop": "Allow"})

    def _do_PutFunctionConcurrency(self, function: Function, request: Request) -> Response:
        return Response(200, request.body)

    def _do_AddPermission(self, function: Function, request: Request) -> Response:
        return as_json(201, {"Statement": request.body.decode()})

    def _do_RemovePermission(self, function: Function, request: Request) -> Response:
        return Response(204)

    def _do_GetPolicy(self, function: Function, request: Request) -> Response:
        return _refuse(404, "ResourceNotFoundException", "The resource you requested does not exist.")


_OPERATIONS = {
    ("POST", "invocations"): "Invoke",
    ("GET", ""): "GetFunction",
    ("GET", "configuration"): "GetFunctionConfiguration",
    ("PUT", "event-invoke-config"): "PutFunctionEventInvokeConfig",
    ("POST", "event-invoke-config"): "UpdateFunctionEventInvokeConfig",
    ("GET", "event-invoke-config"): "GetFunctionEventInvokeConfig",
    ("DELETE", "event-invoke-config"): "DeleteFunctionEventInvokeConfig",
    ("PUT", "recursion-config"): "PutFunctionRecursionConfig",
    ("GET", "recursion-config"): "GetFunctionRecursionConfig",
    ("PUT", "concurrency"): "PutFunctionConcurrency",
    ("POST", "policy"): "AddPermission",
    ("GET", "policy"): "GetPolicy",
}


def _refuse(status: int, code: str, message: str) -> Response:
    return as_json(status, {"Type": "User", "Message": message}, {"x-amzn-ErrorType": code})
