"""What of a stage is in the account, found by name alone: nothing has to be remembered between two commands, or machines."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from chalicelib.catalog.chalice_config import functions_of
from chalicelib.catalog.checks import FUNCTION_PREFIX
from chalicelib.domain.model import Catalog
from chalicelib.engine.addresses import API, WEBSOCKET, find_addresses

from .stage import Stage

OWN_FUNCTIONS = functions_of(Catalog()).keys()
APP = "nightshift"
LAYER = "managed-layer"
API_FUNCTION = "api_handler"  # what Chalice calls the function that is named like the stack


@dataclass
class Inventory:
    """What `chalice deploy` and the sync have made. Functions are {short name: configuration}."""

    functions: dict[str, dict[str, Any]] = field(default_factory=dict)
    roles: list[str] = field(default_factory=list)
    rules: dict[str, str] = field(default_factory=dict)  # name -> expression
    layers: list[str] = field(default_factory=list)  # ARNs, the newest first
    log_groups: list[str] = field(default_factory=list)
    rest_apis: list[str] = field(default_factory=list)  # ids, the one in use first; others are an interrupted deploy's
    websocket_apis: list[str] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing of it."""
        return not any(vars(self).values())

    @property
    def rest_api(self) -> str:
        """The id of the one in use."""
        return next(iter(self.rest_apis), "")

    @property
    def websocket_api(self) -> str:
        """The id of the one in use."""
        return next(iter(self.websocket_apis), "")


def take_inventory(stage: Stage, logs: bool = False) -> Inventory:
    """Look. `logs`: for log groups as well, which outlive their functions."""
    functions = {short_name(stage, f["FunctionName"]): f for f in _functions(stage)}
    addresses = find_addresses(stage.client("lambda"), stage.prefix)
    return Inventory(
        functions=functions,
        roles=list(_roles(stage)),
        rules={rule["Name"]: rule.get("ScheduleExpression", "") for rule in _rules(stage)},
        layers=list(_layers(stage)),
        log_groups=list(_log_groups(stage)) if logs else [],
        rest_apis=_first(_api_id(addresses.get(API, "")), _rest_apis(stage)),
        websocket_apis=_first(_api_id(addresses.get(WEBSOCKET, "")), _websocket_apis(stage)),
    )


def short_name(stage: Stage, function: str) -> str:
    """A function's name in the project."""
    return API_FUNCTION if function == stage.app else function.removeprefix(stage.prefix)


def _api_id(address: str) -> str:
    return address.partition("://")[2].partition(".")[0]


def _first(used: str, apis: Iterator[str]) -> list[str]:
    """The API that is in use before the others."""
    return sorted(apis, key=lambda api: (api != used, api))


def _rest_apis(stage: Stage) -> Iterator[str]:
    """Those that call the stage's function. By name they cannot be told apart: Chalice calls the REST API of every stage alike."""
    client = stage.client("apigateway")
    for page in client.get_paginator("get_rest_apis").paginate():
        for api in page["items"]:
            if api["name"] == APP and f":function:{stage.app}/" in _called(client, api["id"]):
                yield api["id"]


def _called(client: Any, api: str) -> str:
    """What a REST API calls; all its methods call the same."""
    for page in client.get_paginator("get_resources").paginate(restApiId=api):
        for resource in page["items"]:
            for method in resource.get("resourceMethods", {}):
                if method != "OPTIONS":
                    found = client.get_integration(restApiId=api, resourceId=resource["id"], httpMethod=method)
                    return str(found.get("uri", ""))
    return ""


def _websocket_apis(stage: Stage) -> Iterator[str]:
    for page in stage.client("apigatewayv2").get_paginator("get_apis").paginate():
        yield from (api["ApiId"] for api in page["Items"] if api["Name"] == f"{stage.prefix}websocket-api")


def _functions(stage: Stage) -> Iterator[dict[str, Any]]:
    for page in stage.client("lambda").get_paginator("list_functions").paginate():
        yield from (f for f in page["Functions"] if f["FunctionName"] == stage.app or f["FunctionName"].startswith(stage.prefix))


def _roles(stage: Stage) -> Iterator[str]:
    for page in stage.client("iam").get_paginator("list_roles").paginate():
        names = [role["RoleName"] for role in page["Roles"] if role["RoleName"].startswith(stage.prefix)]
        yield from (name for name in names if _is_function(name.removeprefix(stage.prefix)))


def _is_function(short: str) -> bool:
    """Whether a role of that name is a function's, and not somebody's own that happens to begin alike."""
    return short.startswith(FUNCTION_PREFIX) or short in OWN_FUNCTIONS


def _rules(stage: Stage) -> Iterator[dict[str, Any]]:
    for page in stage.client("events").get_paginator("list_rules").paginate(NamePrefix=stage.prefix):
        yield from page["Rules"]


def _layers(stage: Stage) -> Iterator[str]:
    with contextlib.suppress(ClientError):
        for page in stage.client("lambda").get_paginator("list_layer_versions").paginate(LayerName=stage.prefix + LAYER):
            versions = sorted(page["LayerVersions"], key=lambda version: -version["Version"])
            yield from (version["LayerVersionArn"] for version in versions)


def _log_groups(stage: Stage) -> Iterator[str]:
    start = f"/aws/lambda/{stage.app}"
    for page in stage.client("logs").get_paginator("describe_log_groups").paginate(logGroupNamePrefix=start):
        names = [group["logGroupName"] for group in page["logGroups"]]
        yield from (name for name in names if name == start or name.startswith(start + "-"))
