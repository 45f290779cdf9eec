"""What `chalice deploy` asks of AWS and moto lacks, so that the real command goes through. Requests are looked at before moto sees them."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Iterator
from typing import Any
from unittest import mock
from urllib.parse import parse_qs

from infra.local.wire import Request, Response, as_json

RECURSION = re.compile(r"/2024-08-31/functions/(?P<name>[^/]+)/recursion-config/?$")
DEPLOYMENTS = re.compile(r"/v2/apis/(?P<api>[^/]+)/deployments/?$")
REST_API = re.compile(r"/restapis(/[^/]+)?/?$")


class Gaps:
    """The little that has to be remembered beside moto."""

    def __init__(self) -> None:
        self.recursion: dict[str, str] = {}  # function -> RecursiveLoop
        self.deployments: dict[str, int] = {}  # WebSocket API -> how many

    def answer(self, service: str, request: Request) -> Response | None:
        """The answer, if moto has none; the request may be rewritten into one that moto understands."""
        if service == "cloudformation":  # for all but a failed creation it is this
            request.body = request.body.replace(b"RetainExceptOnCreate", b"Retain")
        if service == "lambda" and (match := RECURSION.match(request.plain_path)):
            return self._recursion_config(match["name"], request)
        if service == "lambda" and request.plain_path.rstrip("/").endswith("/layers") and "find=LayerVersion" in request.query:
            _, name, version = parse_qs(request.query)["Arn"][0].rsplit(":", 2)
            request.path, request.query = f"/2018-10-31/layers/{name}/versions/{version}", ""
        if service == "apigateway" and request.method == "POST" and (match := DEPLOYMENTS.match(request.path)):
            count = self.deployments[match["api"]] = self.deployments.get(match["api"], 0) + 1
            return as_json(201, {"deploymentId": f"d{count}", "deploymentStatus": "DEPLOYED"})
        if service == "apigateway" and request.method in ("POST", "PUT") and REST_API.match(request.path) and request.body:
            request.body = json.dumps(as_openapi_3(json.loads(request.body))).encode()
        return None

    def complete(self, service: str, request: Request, response: Response) -> Response:
        """moto's answer, with what is missing in it."""
        if service == "lambda" and request.method == "GET" and request.path.endswith("/configuration") and response.status == 200:
            said = json.loads(response.body)
            response.body = json.dumps({"RevisionId": hashlib.md5(response.body).hexdigest(), **said}).encode()
            response.headers = {k: v for k, v in response.headers.items() if k.lower() != "content-length"}
        return response

    def _recursion_config(self, name: str, request: Request) -> Response:
        name = name.rpartition(":")[2]
        if request.method == "PUT":
            self.recursion[name] = json.loads(request.body)["RecursiveLoop"]
        return as_json(200, {"RecursiveLoop": self.recursion.get(name, "Terminate")})


@contextlib.contextmanager
def whole_change_sets() -> Iterator[None]:
    """moto carries a change set out, but leaves the stack's outputs as they were, and what is conditional."""
    from moto.cloudformation.models import ChangeSet

    carry_out = ChangeSet.apply

    def apply(self: Any) -> None:
        resources = self.stack.resource_map
        carry_out(self)
        for name, resource in self.template_dict["Resources"].items():
            if "Condition" not in resource:
                continue
            wanted = resources.lazy_condition_map.get(resource["Condition"])
            if not wanted and resources._parsed_resources.get(name):
                resources._delete_resource(resources._parsed_resources.pop(name), resource)
            elif wanted and not resources._parsed_resources.get(name):
                resources._parsed_resources.pop(name, None)
                resources[name]
        declared = {name: parameter.get("Default", "") for name, parameter in self.template_dict["Parameters"].items()}
        self.stack.template_dict, self.stack.parameters = self.template_dict, {**declared, **self.parameters}
        self.stack.output_map = self.stack._create_output_map()

    with mock.patch.object(ChangeSet, "apply", apply):
        yield


def as_openapi_3(document: dict[str, Any]) -> dict[str, Any]:
    """Chalice writes Swagger 2 and no description; API Gateway takes that, moto does not."""
    if "swagger" not in document:
        return document
    document = {key: value for key, value in document.items() if key != "swagger"}
    return document | {"openapi": "3.0.1", "info": {"description": "", **document["info"]}}
