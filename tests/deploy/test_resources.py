"""infra/resources.yaml: names, what it may cost, and beside what `chalice package` makes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.local.template import Template
from tests.deploy.conftest import ROOT, make_checkout, seed_layer
from tests.support.aws_server import run_aws_server

RESOURCES = ROOT / "infra" / "resources.yaml"
NAMES = ("TableName", "BucketName", "TopicName", "QueueName", "AlarmName", "DashboardName")
FREE_ALARM_METRICS = 10  # of an account, a month
ALWAYS_FREE_WHILE_IDLE = {
    "AWS::CloudWatch::Alarm",
    "AWS::CloudWatch::Dashboard",
    "AWS::DynamoDB::Table",
    "AWS::S3::Bucket",
    "AWS::S3::BucketPolicy",
    "AWS::SNS::Subscription",
    "AWS::SNS::Topic",
    "AWS::SQS::Queue",
}


def template(**parameters: str) -> Template:
    return Template(RESOURCES, {"Stage": "prod", **parameters})


def kinds(of: Template) -> set[str]:
    return {resource["Type"] for resource in of.raw["Resources"].values()}


def test_every_name_carries_the_stage() -> None:
    found = template()
    names = [r[key] for kind in kinds(found) for r in found.resources(kind) for key in NAMES if key in r]
    assert len(names) >= 9
    assert all(name.startswith("nightshift-prod") for name in names), names


def test_the_buckets_name_is_one_that_no_other_account_has() -> None:
    (bucket,) = template().resources("AWS::S3::Bucket")
    assert bucket["BucketName"] == "nightshift-prod-files-123456789012-us-east-1"
    (bucket,) = template(BucketName="my-own").resources("AWS::S3::Bucket")
    assert bucket["BucketName"] == "my-own"


def test_nothing_costs_anything_while_it_idles() -> None:
    found = template()
    assert kinds(found) <= ALWAYS_FREE_WHILE_IDLE
    (table,) = found.resources("AWS::DynamoDB::Table")
    assert table["BillingMode"] == "PAY_PER_REQUEST"
    alarms = found.resources("AWS::CloudWatch::Alarm")
    metrics = sum(len([m for m in alarm.get("Metrics", [1]) if m == 1 or "MetricStat" in m]) for alarm in alarms)
    assert metrics <= FREE_ALARM_METRICS


def test_monitoring_is_a_switch() -> None:
    off = template(Monitoring="off")
    assert [r for kind in ("AWS::CloudWatch::Alarm", "AWS::CloudWatch::Dashboard") for r in off.resources(kind)] == []
    assert len(template().resources("AWS::CloudWatch::Alarm")) == 4


def test_the_dashboard_is_what_cloudwatch_reads() -> None:
    (dashboard,) = template().resources("AWS::CloudWatch::Dashboard")
    widgets = json.loads(dashboard["DashboardBody"])["widgets"]
    assert len(widgets) == 6
    assert "${" not in dashboard["DashboardBody"].replace("${Table}", "").replace("${DeadLetters.QueueName}", "")


def test_data_is_encrypted_private_recoverable_and_outlives_the_stack() -> None:
    found = template()
    (table,), (bucket,) = found.resources("AWS::DynamoDB::Table"), found.resources("AWS::S3::Bucket")
    assert table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"]
    assert table["SSESpecification"]["SSEEnabled"]
    assert table["TimeToLiveSpecification"]["Enabled"]
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert {rule.get("Prefix") for rule in bucket["LifecycleConfiguration"]["Rules"]} == {"uploads/", "legs/", "artifacts/", None}
    for name in ("Table", "Bucket"):
        assert found.raw["Resources"][name]["DeletionPolicy"] == "RetainExceptOnCreate"


@pytest.fixture(scope="module")
def merged(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What `chalice package --merge-template infra/resources.yaml` writes."""
    with run_aws_server() as account:
        checkout = make_checkout(tmp_path_factory.mktemp("package"), account, tasks=None)
        seed_layer(checkout)
        checkout.chalice("package", "--template-format", "yaml", "--merge-template", "infra/resources.yaml", "out")
    found: dict[str, Any] = yaml.safe_load((Path(checkout.folder) / "out" / "sam.yaml").read_text())
    return found


def test_it_merges_into_what_chalice_packages(merged: dict[str, Any]) -> None:
    own = template().raw
    for name, resource in own["Resources"].items():
        there = merged["Resources"][name]
        assert there["Type"] == resource["Type"]
        # A resource of chalice's with the same name would have left properties of its own in it.
        assert there["Properties"].keys() == resource["Properties"].keys(), name
    for part in ("Parameters", "Conditions", "Outputs"):
        assert merged[part].keys() >= own[part].keys()
    assert len(merged["Resources"]) > len(own["Resources"]) + 30
