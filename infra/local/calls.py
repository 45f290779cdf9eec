"""Which IAM actions on which resources an AWS request asks for: what a policy is asked about."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, unquote

from .options import ACCOUNT, REGION
from .policies import Call
from .wire import Request

_TABLE = re.compile(rb'"TableName": ?"([^"]+)"')
_INDEX = re.compile(rb'"IndexName": ?"([^"]+)"')
_PARTITION = re.compile(rb'":?pk": ?\{"S": ?"([^"\\]*)"')
_FUNCTION = re.compile(r"/functions/([^/?]+)")
# What names the resource in the body, by the service that a request is signed for. The first that is there counts.
_NAMED: dict[str, tuple[tuple[str, str], ...]] = {
    "sns": (("TopicArn", "{}"), ("TargetArn", "{}")),
    "logs": (("logGroupName", f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/{{}}"),),
    "sqs": (("QueueUrl", f"arn:aws:sqs:{REGION}:{ACCOUNT}:{{}}"),),
    "secretsmanager": (("SecretId", f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{{}}-abc123"),),
    "ssm": (("Name", f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/{{}}"), ("Path", f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/{{}}")),
    "events": (("Rule", f"arn:aws:events:{REGION}:{ACCOUNT}:rule/{{}}"), ("Name", f"arn:aws:events:{REGION}:{ACCOUNT}:rule/{{}}")),
}
_PREFIXES = {"monitoring": "cloudwatch", "email": "ses"}  # where IAM's name is not the one that requests are signed for
_ITEM = ("Put", "Update", "Delete", "ConditionCheck", "Get")  # what a part of a transaction is called; its action ends in Item
_S3_SUBRESOURCES = ("tagging", "acl", "cors", "lifecycle", "versioning", "policy", "notification", "encryption")


def calls_of(service: str, operation: str, request: Request) -> list[Call]:
    """Every action that a request needs, each with its resource; `*` where it is not known here."""
    if service == "dynamodb":
        return list(_dynamodb(operation, request.body))
    if service == "s3":
        return list(_s3(request))
    if service == "lambda":
        action = "InvokeFunction" if operation == "Invoke" else operation
        found = _FUNCTION.search(request.path)
        return [Call(f"lambda:{action}", _function_arn(unquote(found[1])) if found else "*")]
    if service == "execute-api":
        place = f"{request.method}/@connections/{request.path.rpartition('/')[2]}"
        return [Call("execute-api:ManageConnections", f"arn:aws:execute-api:{REGION}:{ACCOUNT}:local/api/{place}")]
    return [Call(f"{_PREFIXES.get(service, service)}:{operation}", _named(service, operation, request))]


def _dynamodb(operation: str, body: bytes) -> Iterator[Call]:
    if operation.startswith(("Transact", "Batch")):
        for action, table, keys in _of_many(operation, json.loads(body)):
            yield Call(f"dynamodb:{action}", _table_arn(table), keys)
        return
    # The names stand before and after what may be a large item: no need to take the whole of it apart. Text within the item has its
    # quotes escaped, and cannot look like them.
    name, index = _TABLE.search(body), _INDEX.search(body)
    place = _table_arn(name[1].decode()) if name else "*"
    keys = tuple(key.decode() for key in _PARTITION.findall(body))
    yield Call(f"dynamodb:{operation}", f"{place}/index/{index[1].decode()}" if index else place, keys)


def _of_many(operation: str, params: dict[str, Any]) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """(action, table, partitions) of a transaction or a batch."""
    for item in params.get("TransactItems", ()):
        for kind, what in item.items():
            key = (what.get("Key") or what.get("Item", {})).get("pk", {}).get("S", "")
            yield f"{kind}Item" if kind in _ITEM else kind, what.get("TableName", ""), (key,)
    for table, requests in params.get("RequestItems", {}).items():
        keys = requests["Keys"] if isinstance(requests, dict) else [_key(r) for r in requests]
        yield operation, table, tuple(key.get("pk", {}).get("S", "") for key in keys)


def _key(request: dict[str, Any]) -> dict[str, Any]:
    what = next(iter(request.values()))
    return dict(what.get("Key") or what.get("Item", {}))


def _s3(request: Request) -> Iterator[Call]:
    bucket, _, key = request.plain_path.strip("/").partition("/")
    query = parse_qs(request.query, keep_blank_values=True)
    place = f"arn:aws:s3:::{bucket}"
    copied = unquote(request.headers.get("x-amz-copy-source", "")).lstrip("/").partition("?")[0]
    if copied:
        yield Call("s3:GetObject", f"arn:aws:s3:::{copied}")
    if request.method == "POST" and "delete" in query:
        for name in re.findall(rb"<Key>([^<]*)</Key>", request.body):
            yield Call("s3:DeleteObject", f"{place}/{name.decode()}")
    elif request.method == "POST" and not key:
        yield Call("s3:PutObject", f"{place}/{_form_key(request.body)}")
    elif not key:
        yield Call(f"s3:{_bucket_action(request.method, query)}", place if bucket else "*")
    else:
        yield Call(f"s3:{_object_action(request.method, query)}", f"{place}/{key}")


def _bucket_action(method: str, query: dict[str, list[str]]) -> str:
    if "location" in query:
        return "GetBucketLocation"
    if "uploads" in query:
        return "ListBucketMultipartUploads"
    if (about := next((name for name in _S3_SUBRESOURCES if name in query), None)) is not None:
        return f"{method.capitalize()}Bucket{about.capitalize()}"
    return {"PUT": "CreateBucket", "DELETE": "DeleteBucket"}.get(method, "ListBucket")


def _object_action(method: str, query: dict[str, list[str]]) -> str:
    if "uploadId" in query and method == "DELETE":
        return "AbortMultipartUpload"
    if "uploadId" in query and method == "GET":
        return "ListMultipartUploadParts"
    if (about := next((name for name in _S3_SUBRESOURCES if name in query), None)) is not None:
        return f"{method.capitalize()}Object{about.capitalize()}"
    return {"GET": "GetObject", "HEAD": "GetObject", "DELETE": "DeleteObject"}.get(method, "PutObject")


def _form_key(body: bytes) -> str:
    """The key in a browser's form."""
    found = re.search(rb'name="key"\r\n\r\n(.*?)\r\n', body[:65536])
    return found[1].decode() if found else "*"


def _named(service: str, operation: str, request: Request) -> str:
    """The resource that the body names, be it a form or JSON."""
    if (service, operation) == ("events", "ListRules"):
        return "*"
    try:
        params = _params(request.body)
    except ValueError:
        return "*"
    for name, form in _NAMED.get(service, ()):
        value = params.get(name)
        if isinstance(value, str):
            last = value.rpartition("/")[2] if service == "sqs" else value.lstrip("/")
            return value if value.startswith("arn:") else form.format(last)
    return "*"


def _params(body: bytes) -> dict[str, Any]:
    """A body's parameters, whether it is JSON or a form. Raises ValueError."""
    if body[:1] == b"{":
        return dict(json.loads(body))
    return {name: values[0] for name, values in parse_qs(body.decode()).items()}


def _table_arn(table: str) -> str:
    return table if table.startswith("arn:") else f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{table}"


def _function_arn(name: str) -> str:
    return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name.rpartition('function:')[2].partition(':')[0]}"
