"""How the functions of a deployment get to know where it is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from chalicelib.engine.addresses import complete_functions, find_addresses
from chalicelib.engine.services import Services
from chalicelib.settings import Settings

PREFIX = "nightshift-dev-"
APIS = {"nightshift-dev": "rest1", "nightshift-dev-websocket_connect": "socket1"}
STORAGE = {"nightshift-dev": 512, "nightshift-dev-websocket_connect": 512, "nightshift-dev-task_big": 2048}
WHERE = {
    "NIGHTSHIFT_API_URL": "https://rest1.execute-api.eu-central-1.amazonaws.com/api",
    "NIGHTSHIFT_WEBSOCKET_URL": "wss://socket1.execute-api.eu-central-1.amazonaws.com/api/",
    "NIGHTSHIFT_CONNECTIONS_ENDPOINT": "https://socket1.execute-api.eu-central-1.amazonaws.com/api",
}


class Lambda:
    """moto's, whose answers lack the revision; `refuses` is what the next update meets."""

    def __init__(self) -> None:
        self.client, self.exceptions = boto3.client("lambda"), boto3.client("lambda").exceptions
        self.refuses = False
        self.storage: dict[str, int] = {}  # that was asked for; moto keeps what a function was made with

    def get_function_configuration(self, **asked: Any) -> Any:
        return {"RevisionId": "1", **self.client.get_function_configuration(**asked)}

    def update_function_configuration(self, **asked: Any) -> Any:
        if self.refuses:
            raise self.exceptions.ResourceConflictException({"Error": {"Code": "ResourceConflictException"}}, "Update")
        asked.pop("RevisionId")
        if "EphemeralStorage" in asked:
            self.storage[asked["FunctionName"]] = asked["EphemeralStorage"]["Size"]
        return self.client.update_function_configuration(**asked)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.client, name)


@pytest.fixture
def functions() -> Iterator[Lambda]:
    with mock_aws():
        made = Lambda()
        role = boto3.client("iam").create_role(RoleName="any", AssumeRolePolicyDocument='{"Version": "2012-10-17"}')["Role"]["Arn"]
        for name in STORAGE:
            made.create_function(FunctionName=name, Role=role, Runtime="python3.11", Handler="app.x", Code={"ZipFile": b"x"})
        yield made


def let_in(functions: Lambda, apis: dict[str, str]) -> None:
    """What `chalice deploy` says to Lambda of its APIs."""
    for function, api in apis.items():
        functions.add_permission(
            FunctionName=function,
            StatementId=api,
            Action="lambda:InvokeFunction",
            Principal="apigateway.amazonaws.com",
            SourceArn=f"arn:aws:execute-api:eu-central-1:123456789012:{api}/*",
        )


def complete(functions: Lambda) -> None:
    nothing: Any = None
    services = Services(
        nothing, nothing, Settings(function_prefix=PREFIX), nothing, nothing, nothing, clients=lambda service: functions
    )
    complete_functions(services, STORAGE)


def variables(functions: Lambda) -> dict[str, dict[str, str]]:
    return {
        name: functions.get_function_configuration(FunctionName=name).get("Environment", {}).get("Variables", {})
        for name in STORAGE
    }


def test_the_addresses_are_those_of_the_apis_that_may_call_the_functions(functions: Lambda) -> None:
    assert find_addresses(functions, PREFIX) == {}
    let_in(functions, APIS)
    assert find_addresses(functions, PREFIX) == WHERE
    let_in(functions, {"nightshift-dev": "rest2"})  # a newer one
    assert "rest2" in find_addresses(functions, PREFIX)["NIGHTSHIFT_API_URL"]


def test_every_function_gets_the_addresses_and_its_storage(functions: Lambda) -> None:
    let_in(functions, APIS)
    complete(functions)
    assert variables(functions) == dict.fromkeys(STORAGE, WHERE)
    assert functions.storage == {"nightshift-dev-task_big": 2048}


def test_what_somebody_set_is_left(functions: Lambda) -> None:
    let_in(functions, APIS)
    own = {"NIGHTSHIFT_API_URL": "https://tasks.example.com", "TASK_TIMEOUT": "1m"}
    functions.client.update_function_configuration(FunctionName="nightshift-dev", Environment={"Variables": own})
    complete(functions)
    assert variables(functions)["nightshift-dev"] == {**WHERE, **own}


def test_nothing_is_changed_while_the_first_deploy_is_under_way(functions: Lambda) -> None:
    let_in(functions, {"nightshift-dev": "rest1"})
    functions.delete_function(FunctionName="nightshift-dev-websocket_connect")
    complete(functions)
    assert functions.get_function_configuration(FunctionName="nightshift-dev").get("Environment", {}).get("Variables", {}) == {}


def test_a_function_that_somebody_deploys_right_now_is_left_for_the_next_minute(functions: Lambda) -> None:
    let_in(functions, APIS)
    functions.refuses = True
    complete(functions)
    assert variables(functions)["nightshift-dev"] == {}
    functions.refuses = False
    complete(functions)
    assert json.dumps(variables(functions)).count("rest1") == 3
