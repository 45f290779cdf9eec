"""The CloudFormation templates: without a finding, and what runs at the edge does what it should. And what Chalice makes of the app."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from infra.local.template import Template
from tests.package.build import ROOT, Package

TEMPLATES = sorted(path for path in (ROOT / "infra").glob("*.yaml"))
STAGE = {"Stage": "prod"}


def test_templates_are_without_a_finding() -> None:
    assert {path.name for path in TEMPLATES} >= {"edge.yaml", "github-oidc.yaml", "resources.yaml"}
    command = [str(Path(sys.executable).with_name("cfn-lint")), *map(str, TEMPLATES)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def edge(uri: str, query: dict[str, str]) -> dict[str, Any]:
    """What CloudFront's function makes of a viewer's request."""
    code = Template(ROOT / "infra" / "edge.yaml", STAGE).resources("AWS::CloudFront::Function")[0]["FunctionCode"]
    event = {"request": {"uri": uri, "querystring": {name: {"value": value} for name, value in query.items()}}}
    node = shutil.which("node") or str(Path(sys.executable).with_name("node"))
    script = f"{code}\nconsole.log(JSON.stringify(handler({json.dumps(event)})))"
    said = subprocess.run([node, "-e", script], capture_output=True, text=True, check=True)
    return dict(json.loads(said.stdout))


def test_a_run_in_the_path_becomes_what_the_functions_read() -> None:
    request = edge("/ws/task/01ARZ3NDEKTSV4RRFFQ69G5FAV", {"ticket": "t.t", "after": "7"})
    assert request["uri"] == "/"
    assert {name: entry["value"] for name, entry in request["querystring"].items()} == {
        "ticket": "t.t",
        "after": "7",
        "run": "01ARZ3NDEKTSV4RRFFQ69G5FAV",
    }
    assert edge("/ws/task/a/b", {})["statusCode"] == 404


def test_only_the_named_repository_and_environment_may_deploy() -> None:
    template = Template(ROOT / "infra" / "github-oidc.yaml", STAGE | {"Repository": "you/repo"})
    (role,) = template.resources("AWS::IAM::Role")
    (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Condition"] == {
        "StringEquals": {
            "token.actions.githubusercontent.com:aud": "sts.amazonaws.com",
            "token.actions.githubusercontent.com:sub": "repo:you/repo:environment:prod",
        }
    }


def test_who_deploys_a_stage_touches_no_other() -> None:
    (policy,) = Template(ROOT / "infra" / "github-oidc.yaml", STAGE | {"Repository": "you/repo"}).resources(
        "AWS::IAM::ManagedPolicy"
    )
    for statement in policy["PolicyDocument"]["Statement"]:
        resources = statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
        if statement["Sid"] not in ("Apis", "Lists"):
            assert all("nightshift-prod" in resource for resource in resources), statement["Sid"]
        assert not any(action.endswith(":*") for action in statement["Action"])
    size = len(re.sub(r"\s", "", json.dumps(policy["PolicyDocument"])))
    assert size < 6_144  # what IAM takes of a managed policy


@pytest.fixture(scope="module")
def sam(package: Package) -> dict[str, Any]:
    """What `chalice package` says that CloudFormation should make."""
    return dict(json.loads(package.template.read_text())["Resources"])


def test_every_function_has_its_own_role_with_its_own_policy(sam: dict[str, Any]) -> None:
    functions = {name: r["Properties"] for name, r in sam.items() if r["Type"] == "AWS::Serverless::Function"}
    assert len(functions) > 15
    roles = [function["Role"]["Fn::GetAtt"][0] for function in functions.values()]
    assert len(set(roles)) == len(roles)
    for function in functions.values():
        (policy,) = sam[function["Role"]["Fn::GetAtt"][0]]["Properties"]["Policies"]
        allowed = {action for s in policy["PolicyDocument"]["Statement"] if s["Effect"] == "Allow" for action in s["Action"]}
        assert "dynamodb:Query" in allowed
        assert not any("*" in action for action in allowed)


def test_functions_share_one_layer_and_one_architecture(sam: dict[str, Any]) -> None:
    functions = [r["Properties"] for r in sam.values() if r["Type"] == "AWS::Serverless::Function"]
    layers = {name for name, r in sam.items() if r["Type"] == "AWS::Serverless::LayerVersion"}
    assert len(layers) == 1
    for function in functions:
        assert function["Layers"] == [{"Ref": layer} for layer in layers]
        assert function["Architectures"] == ["x86_64"]
