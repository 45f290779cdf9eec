"""Tasks that wait, keep files, and reach for what is not theirs."""

from __future__ import annotations

import os
import time
from typing import Any

from botocore.exceptions import ClientError

from chalicelib import task
from chalicelib.processors.clients import client
from chalicelib.processors.failures import said_plainly


@task(max_concurrent=1, overlap="queue")
def victim(seconds: float = 60.0) -> None:
    """Waits to be killed; the next one waits for that."""
    print("waiting")
    time.sleep(seconds)


@task(schedule="* * * * *", overlap="replace")
def replaced(seconds: float = 0.0) -> None:
    """Gives way to the next fire."""
    print("waiting")
    time.sleep(seconds)


@task(schedule="* * * * *", overlap="skip")
def skipping() -> None:
    """Looks first."""


@task
def first() -> None:
    """Others wait for it."""


@task(depends_on="first")
def second() -> None:
    """Waited."""


@task
def failing() -> None:
    """Fails for good."""
    raise ValueError("no")


@task
def keeps(bucket: str) -> dict[str, Any]:
    """Writes, reads, lists and removes a file in a bucket."""
    s3 = client("s3")
    with said_plainly(f"keeping a file in {bucket}"):
        s3.put_object(Bucket=bucket, Key="kept/file", Body=b"x" * 10)
        size = s3.get_object(Bucket=bucket, Key="kept/file")["ContentLength"]
        found = s3.list_objects_v2(Bucket=bucket, Prefix="kept/")["KeyCount"]
        s3.delete_object(Bucket=bucket, Key="kept/file")
    return {"size": size, "found": found}


@task(permissions=[{"actions": ["s3:*Object", "s3:ListBucket"], "resources": ["s3://granted", "s3://granted/*"]}])
def granted(bucket: str = "granted") -> dict[str, Any]:
    """The same, in a bucket that its permissions name."""
    return keeps(bucket)


@task
def snoops(partition: str, table: str = "nightshift-local") -> dict[str, Any]:
    """Reads an item that is none of a task's business."""
    key = {"pk": {"S": partition}, "sk": {"S": "tickets"}}
    return {"found": "Item" in client("dynamodb").get_item(TableName=table, Key=key)}


@task
def reaches() -> dict[str, str]:
    """What each service says to a call that nobody allowed, by its protocol."""
    asked = {
        "events": lambda c: c.put_rule(Name="mine", ScheduleExpression="rate(1 day)"),
        "lambda": lambda c: c.get_function(FunctionName="nightshift-local-sweeper"),
        "secretsmanager": lambda c: c.get_secret_value(SecretId="database"),
        "sns": lambda c: c.publish(TopicArn="arn:aws:sns:us-east-1:123456789012:others", Message="x"),
        "sqs": lambda c: c.send_message(QueueUrl="http://localhost/123456789012/orders", MessageBody="x"),
        "ssm": lambda c: c.get_parameter(Name="/app/key"),
        "sts": lambda c: c.get_caller_identity(),
    }
    said = {}
    for service, ask in asked.items():
        try:
            ask(client(service))
            said[service] = "allowed"
        except ClientError as error:
            said[service] = error.response["Error"]["Code"]
    return said


@task(environment={"MODE": "careful"}, memory=256)
def moody() -> dict[str, str | None]:
    """What its own environment says."""
    return {name: os.environ.get(name) for name in ("MODE", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE")}


@task
def scans(table: str = "nightshift-local") -> None:
    """Asks DynamoDB what no function asks."""
    client("dynamodb").scan(TableName=table, Limit=1)
