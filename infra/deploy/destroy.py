"""Removing a stage: everything, or everything but the table and the bucket."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from . import application, stack
from .config import forget_stage
from .inventory import LAYER, Inventory, take_inventory
from .stage import Stage, until

LISTED_SECONDS = 90.0
Told = Callable[[str], None]
GONE = ("ResourceNotFoundException", "NoSuchEntity", "NoSuchBucket", "404", "NotFoundException", "ResourceNotFound")


@dataclass
class Remains:
    """What there is to remove; `data`: the table and the bucket by name."""

    found: Inventory
    stack: bool
    data: list[str]

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing."""
        return self.found.is_empty and not self.stack and not self.data


def look(stage: Stage) -> Remains:
    """What there is of a stage."""
    outputs = stack.outputs(stage)
    data = [
        name
        for name, there in ((stage.app, _table_exists(stage)), (_bucket(stage, outputs), _bucket_exists(stage, outputs)))
        if there
    ]
    return Remains(take_inventory(stage, logs=True), bool(outputs), data)


def destroy(stage: Stage, keep_data: bool, told: Told) -> None:
    """Remove the stage. With `keep_data` the stack stays, but for its alarms: a later deploy goes on with table and bucket."""
    outputs = stack.outputs(stage)
    found = take_inventory(stage)
    _stop_waking(stage, found, told)
    application.remember(stage, found)
    if application.remembered(stage):
        application.chalice(stage, "delete", told)
    _sweep_up(stage, told)
    if keep_data:
        if outputs:
            stack.apply(stage, stack.plan_stack(stage, {"Monitoring": "off"}), told)
    else:
        bucket = _bucket(stage, outputs)
        stack.delete(stage, told)
        _delete_table(stage, told)
        _delete_bucket(stage, bucket, told)
        forget_stage(stage.project, stage.name)
    application.forget(stage)
    left = take_inventory(stage, logs=True)
    if not left.is_empty:  # IAM and Lambda list for a moment what is gone
        told("waiting until everything is gone")
        until(lambda: take_inventory(stage, logs=True).is_empty, LISTED_SECONDS, f"removing what is left of {stage.name}")


def _stop_waking(stage: Stage, found: Inventory, told: Told) -> None:
    """First of all the rules: nothing shall begin any more. The sweeper's own is chalice's."""
    for rule in found.rules:
        if rule.startswith(f"{stage.prefix}wake-"):
            told(f"rule {rule}")
            _delete_rule(stage, rule)


def _sweep_up(stage: Stage, told: Told) -> None:
    """What chalice did not know of: older layer versions, log groups, and whatever an interrupted command left."""
    left = take_inventory(stage, logs=True)
    functions, iam = stage.client("lambda"), stage.client("iam")
    for rule in left.rules:
        told(f"rule {rule}")
        _delete_rule(stage, rule)
    for api in left.rest_apis:
        told(f"REST API {api}")
        with _gone_already():
            stage.client("apigateway").delete_rest_api(restApiId=api)
    for api in left.websocket_apis:
        told(f"WebSocket API {api}")
        with _gone_already():
            stage.client("apigatewayv2").delete_api(ApiId=api)
    for configuration in left.functions.values():
        told(f"function {configuration['FunctionName']}")
        with _gone_already():
            functions.delete_function(FunctionName=configuration["FunctionName"])
    for role in left.roles:
        told(f"role {role}")
        _delete_role(iam, role)
    for arn in left.layers:
        told(f"layer {arn.rsplit(':', 2)[1]} version {arn.rsplit(':', 1)[1]}")
        functions.delete_layer_version(LayerName=stage.prefix + LAYER, VersionNumber=int(arn.rsplit(":", 1)[1]))
    for group in left.log_groups:
        told(f"log group {group}")
        with _gone_already():
            stage.client("logs").delete_log_group(logGroupName=group)


def _delete_rule(stage: Stage, rule: str) -> None:
    events = stage.client("events")
    targets = [target["Id"] for target in events.list_targets_by_rule(Rule=rule)["Targets"]]
    if targets:
        events.remove_targets(Rule=rule, Ids=targets)
    events.delete_rule(Name=rule)


def _delete_role(iam: Any, role: str) -> None:
    for policy in iam.list_role_policies(RoleName=role)["PolicyNames"]:
        iam.delete_role_policy(RoleName=role, PolicyName=policy)
    for policy in iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]:
        iam.detach_role_policy(RoleName=role, PolicyArn=policy["PolicyArn"])
    iam.delete_role(RoleName=role)


def _bucket(stage: Stage, outputs: dict[str, str]) -> str:
    return outputs.get("Bucket", stage.bucket)


def _table_exists(stage: Stage) -> bool:
    return _exists(lambda: stage.client("dynamodb").describe_table(TableName=stage.app))


def _bucket_exists(stage: Stage, outputs: dict[str, str]) -> bool:
    return _exists(lambda: stage.client("s3").head_bucket(Bucket=_bucket(stage, outputs)))


def _exists(ask: Callable[[], Any]) -> bool:
    try:
        ask()
    except ClientError as error:
        if error.response["Error"]["Code"] in GONE:
            return False
        raise
    return True


def _delete_table(stage: Stage, told: Told) -> None:
    with _gone_already():
        stage.client("dynamodb").delete_table(TableName=stage.app)
        told(f"table {stage.app}")
    until(lambda: not _table_exists(stage), 300, f"deleting the table {stage.app}")


def _delete_bucket(stage: Stage, bucket: str, told: Told) -> None:
    """Emptied first, with the versions that it may have."""
    s3 = stage.client("s3")
    with _gone_already():
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
            found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
            if found:
                told(f"bucket {bucket}: {len(found)} objects")
                keys = [{"Key": item["Key"], "VersionId": item["VersionId"]} for item in found]
                s3.delete_objects(Bucket=bucket, Delete={"Objects": keys, "Quiet": True})
        s3.delete_bucket(Bucket=bucket)
        told(f"bucket {bucket}")


@contextlib.contextmanager
def _gone_already() -> Iterator[None]:
    """What is gone already need not be removed."""
    try:
        yield
    except ClientError as error:
        if error.response["Error"]["Code"] not in GONE:
            raise
