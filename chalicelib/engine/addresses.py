"""Where a deployment's own API and WebSocket are, found out from whom its functions let in, and told to all of them.

Both addresses exist only once everything is deployed. `nightshift deploy` writes them into the stage's environment; after a bare
`chalice deploy` the sweeper does it here.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import Any

from chalicelib.engine.services import Services

API_STAGE = "api"
API, WEBSOCKET, CONNECTIONS = "NIGHTSHIFT_API_URL", "NIGHTSHIFT_WEBSOCKET_URL", "NIGHTSHIFT_CONNECTIONS_ENDPOINT"


def find_addresses(functions: Any, prefix: str, api_stage: str = API_STAGE) -> dict[str, str]:
    """{variable: address}; without those of an API that is not there. `functions`: a client of Lambda."""
    found = {}
    if host := _host(functions, prefix.removesuffix("-")):
        found[API] = f"https://{host}/{api_stage}"
    if host := _host(functions, prefix + "websocket_connect"):
        found[WEBSOCKET] = f"wss://{host}/{api_stage}/"
        found[CONNECTIONS] = f"https://{host}/{api_stage}"
    return found


def addresses_are_missing(services: Services) -> bool:
    """Whether this process was not told where it is."""
    return not (services.settings.api_url and services.settings.websocket_url)


def complete_functions(services: Services, storage: dict[str, int]) -> None:
    """Give each function what Chalice does not: the addresses, and its own size of /tmp. `storage`: {full name: MB}.

    An address that stands in a function's environment is left: it may be a custom domain. While the APIs are not all there,
    somebody deploys for the first time, and nothing is changed.
    """
    if services.clients is None:
        return
    functions = services.clients("lambda")
    stage = os.environ.get("NIGHTSHIFT_API_STAGE", API_STAGE)
    addresses = find_addresses(functions, services.settings.function_prefix, stage)
    if not {API, WEBSOCKET} <= addresses.keys():
        return
    for name, megabytes in storage.items():
        try:
            there = functions.get_function_configuration(FunctionName=name)
        except functions.exceptions.ResourceNotFoundException:
            continue  # not deployed yet
        variables = there.get("Environment", {}).get("Variables", {})
        wanted = {**addresses, **{key: value for key, value in variables.items() if value}}
        changes: dict[str, Any] = {} if wanted == variables else {"Environment": {"Variables": wanted}}
        if there.get("EphemeralStorage", {}).get("Size", megabytes) != megabytes:
            changes["EphemeralStorage"] = {"Size": megabytes}
        if changes:
            # Meanwhile somebody may deploy: then Lambda refuses, and the next minute will do.
            with suppress(functions.exceptions.ResourceConflictException, functions.exceptions.PreconditionFailedException):
                functions.update_function_configuration(FunctionName=name, RevisionId=there["RevisionId"], **changes)


def _host(functions: Any, name: str) -> str:
    """The host of the API that may invoke a function, or nothing. Of several the one that was let in last."""
    try:
        policy = json.loads(functions.get_policy(FunctionName=name)["Policy"])
    except functions.exceptions.ResourceNotFoundException:
        return ""
    for statement in reversed(policy["Statement"]):
        source = str(statement.get("Condition", {}).get("ArnLike", {}).get("AWS:SourceArn", ""))
        parts = source.split(":")  # arn:aws:execute-api:REGION:ACCOUNT:API/*
        if len(parts) == 6 and parts[2] == "execute-api":
            suffix = "amazonaws.com.cn" if parts[1] == "aws-cn" else "amazonaws.com"
            return f"{parts[5].split('/')[0]}.execute-api.{parts[3]}.{suffix}"
    return ""
