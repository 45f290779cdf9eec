"""Which permissions a request asks for, and how long it takes to look."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from chalicelib.catalog.load import load_catalog
from chalicelib.catalog.policies import policies_of
from infra.local.calls import calls_of
from infra.local.guard import Guard, form_caller
from infra.local.policies import Policy
from infra.local.wire import Request

TABLE = "arn:aws:dynamodb:us-east-1:123456789012:table/t"
MOST_SECONDS = 0.0002


def asked(
    service: str, operation: str, body: Any = b"", method: str = "POST", path: str = "/", query: str = "", **headers: str
) -> list[tuple[str, ...]]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = Request(method, path, query, {name.replace("_", "-"): value for name, value in headers.items()}, data)
    return [(call.action, call.resource, *call.partitions) for call in calls_of(service, operation, request)]


def item(pk: str) -> dict[str, Any]:
    return {"pk": {"S": pk}, "sk": {"S": "x"}}


@pytest.mark.parametrize(
    ("operation", "body", "expected"),
    [
        ("GetItem", {"TableName": "t", "Key": item("RUN#1")}, [("dynamodb:GetItem", TABLE, "RUN#1")]),
        ("Query", {"TableName": "t", "IndexName": "by_age", "ExpressionAttributeValues": {":value": {"S": "runs"}}}, [("dynamodb:Query", f"{TABLE}/index/by_age")]),
        ("Query", {"TableName": "t", "ExpressionAttributeValues": {":pk": {"S": "TOKEN"}}}, [("dynamodb:Query", TABLE, "TOKEN")]),
        ("PutItem", {"TableName": "t", "Item": item("A") | {"text": {"S": '"TableName": "other", "pk": {"S": "TOKEN"}'}}}, [("dynamodb:PutItem", TABLE, "A")]),
        ("BatchGetItem", {"RequestItems": {"t": {"Keys": [item("A"), item("B")]}}}, [("dynamodb:BatchGetItem", TABLE, "A", "B")]),
        ("BatchWriteItem", {"RequestItems": {"t": [{"PutRequest": {"Item": item("A")}}, {"DeleteRequest": {"Key": item("B")}}]}}, [("dynamodb:BatchWriteItem", TABLE, "A", "B")]),
        (
            "TransactWriteItems",
            {"TransactItems": [{"Put": {"TableName": "t", "Item": item("A")}}, {"ConditionCheck": {"TableName": "t", "Key": item("B")}}]},
            [("dynamodb:PutItem", TABLE, "A"), ("dynamodb:ConditionCheckItem", TABLE, "B")],
        ),
    ],
)  # fmt: skip
def test_requests_to_the_table(operation: str, body: dict[str, Any], expected: list[tuple[str, ...]]) -> None:
    assert asked("dynamodb", operation, body) == expected


@pytest.mark.parametrize(
    ("method", "path", "query", "headers", "expected"),
    [
        ("GET", "/b/k/x", "", {}, [("s3:GetObject", "b/k/x")]),
        ("HEAD", "/b/k", "", {}, [("s3:GetObject", "b/k")]),
        ("GET", "/b", "list-type=2&prefix=k", {}, [("s3:ListBucket", "b")]),
        ("PUT", "/b/k", "partNumber=1&uploadId=u", {}, [("s3:PutObject", "b/k")]),
        ("POST", "/b/k", "uploads", {}, [("s3:PutObject", "b/k")]),
        ("DELETE", "/b/k", "uploadId=u", {}, [("s3:AbortMultipartUpload", "b/k")]),
        ("DELETE", "/b/k", "", {}, [("s3:DeleteObject", "b/k")]),
        ("PUT", "/b/k", "", {"x_amz_copy_source": "c/old%20name"}, [("s3:GetObject", "c/old name"), ("s3:PutObject", "b/k")]),
        ("GET", "/b/k", "tagging", {}, [("s3:GetObjectTagging", "b/k")]),
        ("GET", "/b", "location", {}, [("s3:GetBucketLocation", "b")]),
        ("PUT", "/b", "", {}, [("s3:CreateBucket", "b")]),
    ],
)
def test_requests_to_buckets(method: str, path: str, query: str, headers: dict[str, str], expected: list[tuple[str, str]]) -> None:
    found = asked("s3", "", b"", method, path, query, **headers)
    assert found == [(action, f"arn:aws:s3:::{resource}") for action, resource in expected]


def test_a_browsers_form_is_who_signed_it() -> None:
    parts = {"key": "uploads/1/a.csv", "x-amz-credential": "AKIAEXAMPLE/20270101/us-east-1/s3/aws4_request"}
    body = "".join(f'--b\r\nContent-Disposition: form-data; name="{n}"\r\n\r\n{v}\r\n' for n, v in parts.items()).encode()
    assert asked("s3", "", body, "POST", "/bucket") == [("s3:PutObject", "arn:aws:s3:::bucket/uploads/1/a.csv")]
    assert form_caller(body) == "AKIAEXAMPLE"
    assert form_caller(b'{"TableName": "t"}') == ""


def test_many_objects_are_removed_one_by_one() -> None:
    body = b"<Delete><Object><Key>a</Key></Object><Object><Key>b/c</Key></Object></Delete>"
    found = asked("s3", "", body, "POST", "/b", "delete")
    assert found == [("s3:DeleteObject", "arn:aws:s3:::b/a"), ("s3:DeleteObject", "arn:aws:s3:::b/b/c")]


def test_looking_takes_no_time_to_speak_of() -> None:
    policy = Policy.read(policies_of(load_catalog(), "local")["task"])
    guard = Guard(print)
    guard.load({"f": ("task", policy)})
    large = {"TableName": "nightshift-local", "Item": item("RUN#1") | {"chunk": {"B": "x" * 100_000}}}
    small = {"TableName": "nightshift-local", "Key": item("RUN#1"), "UpdateExpression": "SET a = :a"}
    puts = {"TransactItems": [{"Put": {"TableName": "nightshift-local", "Item": item(f"RUN#{n}")}} for n in range(5)]}
    for operation, body in (("PutItem", large), ("UpdateItem", small), ("TransactWriteItems", puts)):
        request = Request("POST", "/", "", {}, json.dumps(body).encode())
        assert guard.refusal("f", "dynamodb", operation, request) is None
        best = min(_timed(guard, operation, request) for _ in range(20))
        print(f"{operation}: {best * 1e6:.0f} µs")
        assert best < MOST_SECONDS


def _timed(guard: Guard, operation: str, request: Request) -> float:
    began = time.perf_counter()
    guard.refusal("f", "dynamodb", operation, request)
    return time.perf_counter() - began
