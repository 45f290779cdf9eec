"""What the policy of who deploys has to allow: every request of a deploy and a destroy, as botocore names them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from botocore.session import get_session

from infra.local.calls import calls_of
from infra.local.template import Template
from infra.local.wire import Request, Response
from tests.deploy.conftest import make_checkout, seed_layer
from tests.package.build import ROOT
from tests.support.aws_server import AwsServer, run_aws_server

pytestmark = pytest.mark.proof

# Where IAM's action is not the operation's name.
RENAMED = {"lambda:GetLayerVersionByArn": "lambda:GetLayerVersion", "lambda:Invoke": "lambda:InvokeFunction"}
FREE = {"sts:GetCallerIdentity"}  # everybody may


def test_the_policy_in_the_template_is_enough_to_deploy_and_destroy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: set[str] = set()
    answer = AwsServer.handle

    def handle(server: AwsServer, request: Request) -> Response:
        asked.update(actions(server, request))
        return answer(server, request)

    monkeypatch.setattr(AwsServer, "handle", handle)
    with run_aws_server() as account:
        checkout = make_checkout(tmp_path / "checkout", account)
        seed_layer(checkout)
        checkout.deploy("prod")
        checkout.deploy("prod", "--force")
        checkout.nightshift("destroy", "--stage", "prod", "--yes")
    template = Template(ROOT / "infra" / "github-oidc.yaml", {"Stage": "prod", "Repository": "you/repo"})
    (policy,) = template.resources("AWS::IAM::ManagedPolicy")
    allowed = [action for statement in policy["PolicyDocument"]["Statement"] for action in many(statement["Action"])]
    patterns = [re.compile(action.replace("*", ".*")) for action in allowed]
    assert len(asked) > 30
    assert sorted(a for a in asked - FREE if not any(pattern.fullmatch(a) for pattern in patterns)) == []


def many(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]


def actions(server: AwsServer, request: Request) -> set[str]:
    """The IAM actions of one request."""
    from infra.local.aws import credential

    service = credential(request)[1]
    if service == "apigateway":
        return {f"apigateway:{request.method}"}
    if service in ("s3", "dynamodb"):
        operation = request.headers.get("x-amz-target", "").rpartition(".")[2]
        if service == "s3" and "versions" in request.query:
            return {"s3:ListBucketVersions"}
        return {call.action for call in calls_of(service, operation, request)}
    action = f"{service}:{operation_of(service, request)}"
    return {RENAMED.get(action, action)}


def operation_of(service: str, request: Request) -> str:
    """The operation's name: in a header, in the form, or by the path."""
    if target := request.headers.get("x-amz-target"):
        return target.rpartition(".")[2]
    if b"Action=" in request.body:
        return parse_qs(request.body.decode())["Action"][0]
    model = get_session().get_service_model(service)
    found = []
    for name in model.operation_names:
        http = model.operation_model(name).http
        path, _, query = http["requestUri"].partition("?")
        pattern = re.sub(r"\\{[^}]*\\}", "[^/]+", re.escape(path.rstrip("/")))
        if http["method"] == request.method and re.fullmatch(pattern, request.path.rstrip("/")) and query in request.query:
            found.append((len(query), name))
    assert found, (service, request.method, request.path)
    return max(found)[1]


def test_an_operation_is_found_by_its_path() -> None:
    request = Request("PUT", "/2019-09-25/functions/x/event-invoke-config", "", {}, json.dumps({}).encode())
    assert operation_of("lambda", request) == "PutFunctionEventInvokeConfig"
