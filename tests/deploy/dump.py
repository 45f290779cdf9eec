"""Everything that is in an account of the stand-in for AWS, in plain JSON, so that two moments can be compared."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

from botocore.exceptions import ClientError

from tests.support.aws_server import AwsServer

VOLATILE = ("LastModified", "RevisionId", "LastUpdateStatus", "ResponseMetadata", "CreateDate", "RoleLastUsed", "RoleId")


def dump(account: AwsServer) -> dict[str, Any]:
    """{kind: {name: what it is}}."""
    functions = _functions(account)
    return {
        "functions": functions,
        "policies": {name: _policy(account, name) for name in functions},
        "invoke configs": {name: _invoke_config(account, name) for name in functions},
        "recursion": {name: loop for name, loop in account.gaps.recursion.items() if name in functions},
        "layers": {v["LayerVersionArn"]: v["CompatibleRuntimes"] for v in _layer_versions(account)},
        "rules": _rules(account),
        "roles": _roles(account),
        "rest apis": _rest_apis(account),
        "websocket apis": _websocket_apis(account),
        "stacks": _stacks(account),
        "tables": {name: _table(account, name) for name in account.client("dynamodb").list_tables()["TableNames"]},
        "buckets": {b["Name"]: {} for b in account.client("s3").list_buckets()["Buckets"]},
        "topics": {t["TopicArn"]: {} for t in account.client("sns").list_topics()["Topics"]},
        "queues": {url: {} for url in account.client("sqs").list_queues().get("QueueUrls", [])},
        "dashboards": {d["DashboardName"]: {} for d in account.client("cloudwatch").list_dashboards()["DashboardEntries"]},
        "logs": _logs(account),
    }


def of_stage(state: dict[str, Any], stage: str) -> dict[str, Any]:
    """The part of a dump whose names carry the stage. REST APIs are all named alike: theirs is who they call."""
    name = f"nightshift-{stage}"
    return {
        kind: {key: value for key, value in things.items() if name in key or (kind == "rest apis" and name in json.dumps(value))}
        for kind, things in state.items()
    }


def is_nothing(state: dict[str, Any]) -> bool:
    return not any(state.values())


def _functions(account: AwsServer) -> dict[str, Any]:
    client = account.client("lambda")
    pages = client.get_paginator("list_functions").paginate()
    names = [f["FunctionName"] for page in pages for f in page["Functions"]]
    return {name: _stable(client.get_function_configuration(FunctionName=name)) for name in names}


def _policy(account: AwsServer, name: str) -> Any:
    with suppress(ClientError):
        statements = json.loads(account.client("lambda").get_policy(FunctionName=name)["Policy"])["Statement"]
        return sorted((s["Principal"]["Service"], s["Condition"]["ArnLike"]["AWS:SourceArn"]) for s in statements)
    return None


def _invoke_config(account: AwsServer, name: str) -> Any:
    with suppress(ClientError):
        return _stable(account.client("lambda").get_function_event_invoke_config(FunctionName=name))
    return None


def _layer_versions(account: AwsServer) -> list[Any]:
    client = account.client("lambda")
    names = [layer["LayerName"] for layer in client.list_layers()["Layers"]]
    return [version for name in names for version in client.list_layer_versions(LayerName=name)["LayerVersions"]]


def _rules(account: AwsServer) -> dict[str, Any]:
    client = account.client("events")
    return {
        rule["Name"]: {**rule, "targets": client.list_targets_by_rule(Rule=rule["Name"])["Targets"]}
        for rule in client.list_rules()["Rules"]
    }


def _roles(account: AwsServer) -> dict[str, Any]:
    client = account.client("iam")
    found = {}
    for role in client.list_roles()["Roles"]:
        name = role["RoleName"]
        policies = client.list_role_policies(RoleName=name)["PolicyNames"]
        documents = {p: client.get_role_policy(RoleName=name, PolicyName=p)["PolicyDocument"] for p in policies}
        found[name] = {"trust": role["AssumeRolePolicyDocument"], "policies": documents}
    return found


def _rest_apis(account: AwsServer) -> dict[str, Any]:
    client = account.client("apigateway")
    found = {}
    for api in client.get_rest_apis()["items"]:
        resources = client.get_resources(restApiId=api["id"], limit=500)["items"]
        routes = {r["path"]: sorted(r.get("resourceMethods", {})) for r in resources}
        some = next(r for r in resources if r.get("resourceMethods"))
        method = sorted(some["resourceMethods"])[0]
        calls = client.get_integration(restApiId=api["id"], resourceId=some["id"], httpMethod=method)["uri"]
        stages = [stage["stageName"] for stage in client.get_stages(restApiId=api["id"])["item"]]
        found[api["id"]] = {"name": api["name"], "routes": routes, "calls": calls, "stages": stages}
    return found


def _websocket_apis(account: AwsServer) -> dict[str, Any]:
    client = account.client("apigatewayv2")
    found = {}
    for api in client.get_apis()["Items"]:
        integrations = {i["IntegrationId"]: i["IntegrationUri"] for i in client.get_integrations(ApiId=api["ApiId"])["Items"]}
        routes = client.get_routes(ApiId=api["ApiId"])["Items"]
        found[f"{api['Name']} {api['ApiId']}"] = {
            "protocol": api["ProtocolType"],
            "routes": {r["RouteKey"]: integrations[r["Target"].removeprefix("integrations/")] for r in routes},
            "stages": [stage["StageName"] for stage in client.get_stages(ApiId=api["ApiId"])["Items"]],
        }
    return found


def _stacks(account: AwsServer) -> dict[str, Any]:
    client = account.client("cloudformation")
    return {
        stack["StackName"]: {
            "status": stack["StackStatus"],
            "outputs": {o["OutputKey"]: o["OutputValue"] for o in stack.get("Outputs", [])},
            "parameters": {p["ParameterKey"]: p["ParameterValue"] for p in stack.get("Parameters", [])},
        }
        for stack in client.describe_stacks()["Stacks"]
    }


def _table(account: AwsServer, name: str) -> Any:
    pages = account.client("dynamodb").get_paginator("scan").paginate(TableName=name)
    return sorted(json.dumps(item, sort_keys=True, default=str) for page in pages for item in page["Items"])


def _logs(account: AwsServer) -> dict[str, Any]:
    pages = account.client("logs").get_paginator("describe_log_groups").paginate()
    return {group["logGroupName"]: group.get("retentionInDays") for page in pages for group in page["logGroups"]}


def _stable(answer: Any) -> Any:
    return {key: value for key, value in answer.items() if key not in VOLATILE}
