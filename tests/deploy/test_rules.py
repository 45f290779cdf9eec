"""Cadence rules in EventBridge, whatever was there before."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from chalicelib.engine.rules import CadenceRules

PREFIX = "nightshift-dev-"
WANTED = {"a": "cron(0 2 * * ? *)", "b": "cron(*/5 * * * ? *)"}


@pytest.fixture
def aws() -> Iterator[Any]:
    with mock_aws():
        make_dispatcher()
        yield boto3.client


def make_dispatcher() -> None:
    role = {"Version": "2012-10-17", "Statement": []}
    iam = boto3.client("iam")
    try:
        arn = iam.create_role(RoleName="any", AssumeRolePolicyDocument=json.dumps(role))["Role"]["Arn"]
    except ClientError:
        arn = iam.get_role(RoleName="any")["Role"]["Arn"]
    boto3.client("lambda").create_function(
        FunctionName=f"{PREFIX}dispatcher", Role=arn, Runtime="python3.11", Handler="app.x", Code={"ZipFile": b"x"}
    )


def standing() -> dict[str, tuple[str, str, list[str]]]:
    """{suffix: (expression, state, functions that it wakes)}."""
    events = boto3.client("events")
    found = {}
    for rule in events.list_rules(NamePrefix=f"{PREFIX}wake-")["Rules"]:
        targets = [t["Arn"].rsplit(":", 1)[1] for t in events.list_targets_by_rule(Rule=rule["Name"])["Targets"]]
        found[rule["Name"].rsplit("-", 1)[1]] = (rule["ScheduleExpression"], rule["State"], targets)
    return found


def right(wanted: dict[str, str]) -> dict[str, tuple[str, str, list[str]]]:
    return {suffix: (expression, "ENABLED", [f"{PREFIX}dispatcher"]) for suffix, expression in wanted.items()}


def test_what_is_wanted_stands_and_nothing_else(aws: Any) -> None:
    rules = CadenceRules(aws, PREFIX)
    rules(WANTED)
    assert standing() == right(WANTED)
    changed = {"b": "cron(*/10 * * * ? *)", "c": "cron(0 3 * * ? *)"}
    rules(changed)
    assert standing() == right(changed)
    rules({})
    assert standing() == {}


def test_another_stages_rules_are_left_alone(aws: Any) -> None:
    boto3.client("events").put_rule(Name="nightshift-prod-wake-a", ScheduleExpression="rate(1 hour)")
    CadenceRules(aws, PREFIX)({})
    assert len(boto3.client("events").list_rules()["Rules"]) == 1


def test_a_rule_that_a_crash_left_without_its_target_is_made_again(aws: Any) -> None:
    class Dies:
        """EventBridge, for one that dies before it can add a target."""

        def __init__(self) -> None:
            self.events = boto3.client("events")

        def __getattr__(self, name: str) -> Any:
            if name == "put_targets":
                raise KeyboardInterrupt
            return getattr(self.events, name)

    dies = Dies()
    with pytest.raises(KeyboardInterrupt):
        CadenceRules(lambda service: dies if service == "events" else aws(service), PREFIX)(WANTED)
    assert standing()["a"] == (WANTED["a"], "DISABLED", [])
    CadenceRules(aws, PREFIX)(WANTED)
    assert standing() == right(WANTED)


def test_a_dispatcher_that_was_deployed_anew_lets_the_rules_in_again(aws: Any) -> None:
    functions, rules = boto3.client("lambda"), CadenceRules(aws, PREFIX)
    rules(WANTED)
    functions.delete_function(FunctionName=f"{PREFIX}dispatcher")
    make_dispatcher()
    rules(WANTED)
    policy = json.loads(functions.get_policy(FunctionName=f"{PREFIX}dispatcher")["Policy"])
    (statement,) = policy["Statement"]
    assert statement["Condition"]["ArnLike"]["AWS:SourceArn"].endswith(f":rule/{PREFIX}wake-*")
    rules(WANTED)  # and once more changes nothing
    policy = json.loads(functions.get_policy(FunctionName=f"{PREFIX}dispatcher")["Policy"])
    assert {statement["Sid"] for statement in policy["Statement"]} == {"cadence-rules"}
