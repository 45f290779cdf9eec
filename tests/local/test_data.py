"""DynamoDB, S3 and EventBridge of the stack, and what survives."""

from __future__ import annotations

import concurrent.futures
import random
import time
from typing import Any

import httpx
import pytest

from infra.local.testing import LocalStack

from .conftest import TABLE, eventually, note

pytestmark = pytest.mark.stack


def key(pk: str, sk: str = "x") -> dict[str, Any]:
    return {"pk": {"S": pk}, "sk": {"S": sk}}


def test_sixteen_threads_increment_exactly(stack: LocalStack) -> None:
    client = stack.client("dynamodb")
    client.put_item(TableName=TABLE, Item=key("counter") | {"n": {"N": "0"}})

    def increment(_: int) -> int:
        mine = stack.client("dynamodb")
        refused = 0
        for _ in range(25):
            while True:
                seen = mine.get_item(TableName=TABLE, Key=key("counter"))["Item"]["n"]
                try:
                    mine.update_item(
                        TableName=TABLE, Key=key("counter"), UpdateExpression="SET n = n + :one",
                        ConditionExpression="n = :seen", ExpressionAttributeValues={":one": {"N": "1"}, ":seen": seen},
                    )  # fmt: skip
                    break
                except mine.exceptions.ConditionalCheckFailedException:
                    refused += 1
        return refused

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        refused = sum(pool.map(increment, range(16)))
    assert client.get_item(TableName=TABLE, Key=key("counter"))["Item"]["n"] == {"N": "400"}
    assert refused > 0, "the threads never met"


def test_a_refused_condition_brings_the_item_back(stack: LocalStack) -> None:
    client = stack.client("dynamodb")
    item = key("refused") | {"data": {"B": b"\x00\xff"}, "holders": {"M": {"a": {"N": "1"}}}}
    client.put_item(TableName=TABLE, Item=item)
    with pytest.raises(client.exceptions.ConditionalCheckFailedException) as error:
        client.put_item(
            TableName=TABLE, Item=key("refused"), ConditionExpression="attribute_not_exists(pk)",
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )  # fmt: skip
    assert error.value.response["Item"] == item


def test_a_cancelled_transaction_changes_nothing_and_says_why(stack: LocalStack) -> None:
    client = stack.client("dynamodb")
    client.put_item(TableName=TABLE, Item=key("t1") | {"v": {"S": "old"}})
    update = {
        "TableName": TABLE, "Key": key("t1"), "UpdateExpression": "SET v = :v",
        "ExpressionAttributeValues": {":v": {"S": "new"}},
    }  # fmt: skip
    put = {"TableName": TABLE, "Item": key("t2") | {"g": {"S": "t"}, "n": {"N": "1"}}}
    check = {"TableName": TABLE, "Key": key("t3"), "ConditionExpression": "attribute_exists(pk)"}
    with pytest.raises(client.exceptions.TransactionCanceledException) as error:
        client.transact_write_items(TransactItems=[{"Update": update}, {"Put": put}, {"ConditionCheck": check}])
    reasons = [reason["Code"] for reason in error.value.response["CancellationReasons"]]
    assert reasons == ["None", "None", "ConditionalCheckFailed"]
    assert client.get_item(TableName=TABLE, Key=key("t1"))["Item"]["v"] == {"S": "old"}
    assert "Item" not in client.get_item(TableName=TABLE, Key=key("t2"))
    assert by_n(client, "t") == []
    client.transact_write_items(TransactItems=[{"Update": update}, {"Put": put}])
    assert client.get_item(TableName=TABLE, Key=key("t1"))["Item"]["v"] == {"S": "new"}
    assert by_n(client, "t") == [1]


def by_n(client: Any, group: str, **options: Any) -> list[int]:
    values = {":g": {"S": group}} | options.pop("values", {})
    condition = "g = :g" + options.pop("and_", "")
    pages = client.get_paginator("query").paginate(
        TableName=TABLE, IndexName="by-n", KeyConditionExpression=condition, ExpressionAttributeValues=values, **options
    )
    return [int(item["n"]["N"]) for page in pages for item in page["Items"]]


def test_an_index_follows_every_kind_of_write(stack: LocalStack) -> None:
    client = stack.client("dynamodb")
    numbers = random.sample(range(-50, 50), 40)
    batch = [{"PutRequest": {"Item": key(f"i{n}") | {"g": {"S": "i"}, "n": {"N": str(n)}}}} for n in numbers[:25]]
    client.batch_write_item(RequestItems={TABLE: batch})
    for n in numbers[25:]:
        values = {":g": {"S": "i"}, ":n": {"N": str(n)}}
        update = "SET g = :g, n = :n"
        client.update_item(TableName=TABLE, Key=key(f"i{n}"), UpdateExpression=update, ExpressionAttributeValues=values)
    left = sorted(numbers[2:])
    client.delete_item(TableName=TABLE, Key=key(f"i{numbers[0]}"))
    client.update_item(TableName=TABLE, Key=key(f"i{numbers[1]}"), UpdateExpression="REMOVE g")
    assert by_n(client, "i") == left
    assert by_n(client, "i", ScanIndexForward=False) == left[::-1]
    assert by_n(client, "i", PaginationConfig={"PageSize": 7}) == left
    assert by_n(client, "i", ScanIndexForward=False, PaginationConfig={"PageSize": 7}) == left[::-1]
    some = {":a": {"N": "-10"}, ":b": {"N": "20"}}
    assert by_n(client, "i", and_=" AND n BETWEEN :a AND :b", values=some) == [n for n in left if -10 <= n <= 20]
    for sign, keep in {"<": int.__lt__, "<=": int.__le__, ">": int.__gt__, ">=": int.__ge__, "=": int.__eq__}.items():
        expected = [n for n in left if keep(n, left[7])]
        assert by_n(client, "i", and_=f" AND n {sign} :a", values={":a": {"N": str(left[7])}}) == expected


def test_a_query_takes_prefixes_in_order(stack: LocalStack) -> None:
    client = stack.client("dynamodb")
    for sk in ("b2", "a1", "b1", "c", "b10"):
        client.put_item(TableName=TABLE, Item=key("prefix", sk))
    found = client.query(
        TableName=TABLE, KeyConditionExpression="pk = :p AND begins_with(sk, :s)",
        ExpressionAttributeValues={":p": {"S": "prefix"}, ":s": {"S": "b"}},
    )  # fmt: skip
    assert [item["sk"]["S"] for item in found["Items"]] == ["b1", "b10", "b2"]


def test_only_what_is_asked_for_comes(stack: LocalStack) -> None:
    client = stack.client("dynamodb")
    rest = {"a": {"S": "x"}, "status": {"N": "1.5"}, "m": {"M": {"deep": {"L": [{"S": "l0"}, {"S": "l1"}]}}}, "b": {"B": b"\x00"}}
    client.put_item(TableName=TABLE, Item=key("projected") | rest)

    def asked(expression: str, **names: str) -> dict[str, Any]:
        more = {"ExpressionAttributeNames": {f"#{n}": name for n, name in names.items()}} if names else {}
        keys = {"Keys": [key("projected")], "ProjectionExpression": expression} | more
        (batch,) = client.batch_get_item(RequestItems={TABLE: keys})["Responses"][TABLE]  # type: ignore[dict-item]
        more |= {"KeyConditionExpression": "pk = :pk", "ExpressionAttributeValues": {":pk": {"S": "projected"}}}
        (found,) = client.query(TableName=TABLE, ProjectionExpression=expression, **more)["Items"]
        assert batch == found
        return dict(found)

    assert asked("pk, a, nowhere") == {"pk": {"S": "projected"}, "a": {"S": "x"}}
    assert asked("#s, m, b", s="status") == {"status": {"N": "1.5"}, "m": rest["m"], "b": rest["b"]}
    assert asked("m.deep") == {"m": rest["m"]}
    assert client.get_item(TableName=TABLE, Key=key("projected"))["Item"].keys() == {"pk", "sk", *rest}


def test_everything_survives_kill_9(own_stack: Any) -> None:
    stack = own_stack()
    client, s3, events = (stack.client(name) for name in ("dynamodb", "s3", "events"))
    items = [key(f"kept{n}") | {"g": {"S": "kept"}, "n": {"N": str(n)}, "b": {"B": b"\x00"}} for n in range(50)]
    for item in items:
        client.put_item(TableName=TABLE, Item=item)
    client.delete_item(TableName=TABLE, Key=key("kept0"))
    client.put_item(TableName=TABLE, Item=key("expired") | {"expires": {"N": "1"}})
    s3.put_object(Bucket="nightshift-local-files", Key="in/ä b.txt", Body=b"text", ContentType="text/x", Metadata={"a": "b"})
    s3.put_object(Bucket="nightshift-local-files", Key="gone", Body=b"x")
    s3.delete_objects(Bucket="nightshift-local-files", Delete={"Objects": [{"Key": "gone"}]})
    work = "arn:aws:lambda:us-east-1:123456789012:function:nightshift-local-work"
    events.put_rule(Name="nightly", ScheduleExpression="cron(0 2 * * ? *)")
    events.put_targets(Rule="nightly", Targets=[{"Id": "1", "Arn": work, "Input": '{"n": 1}'}])
    stack.client("lambda").put_function_event_invoke_config(FunctionName="work", MaximumRetryAttempts=0)
    time.sleep(0.5)  # more than a batch
    stack.kill()
    stack.restart()
    client, s3, events = (stack.client(name) for name in ("dynamodb", "s3", "events"))
    assert by_n(client, "kept") == list(range(1, 50))
    assert client.get_item(TableName=TABLE, Key=key("kept7"))["Item"] == items[7]
    assert "Item" not in client.get_item(TableName=TABLE, Key=key("expired"))
    kept = s3.get_object(Bucket="nightshift-local-files", Key="in/ä b.txt")
    assert (kept["Body"].read(), kept["ContentType"], kept["Metadata"]) == (b"text", "text/x", {"a": "b"})
    assert [o["Key"] for o in s3.list_objects_v2(Bucket="nightshift-local-files")["Contents"]] == ["in/ä b.txt"]
    assert events.list_rules()["Rules"][0]["ScheduleExpression"] == "cron(0 2 * * ? *)"
    assert events.list_targets_by_rule(Rule="nightly")["Targets"] == [{"Id": "1", "Arn": work, "Input": '{"n": 1}'}]
    stack.client("lambda").get_function_event_invoke_config(FunctionName="work")


def test_a_bucket_is_made_when_it_is_first_written_to(own_stack: Any) -> None:
    stack = own_stack()
    s3 = stack.client("s3")
    with pytest.raises(s3.exceptions.NoSuchBucket):
        s3.list_objects_v2(Bucket="backups")
    s3.put_object(Bucket="backups", Key="a/b.txt", Body=b"one")
    s3.put_object(Bucket="backups", Key="c.txt", Body=b"two")
    assert sum("the bucket backups" in line and "AWS would refuse" in line for line in stack.console().splitlines()) == 1
    parts = s3.create_multipart_upload(Bucket="archive", Key="large")
    part = s3.upload_part(Bucket="archive", Key="large", UploadId=parts["UploadId"], PartNumber=1, Body=b"three")
    done = {"Parts": [{"ETag": part["ETag"], "PartNumber": 1}]}
    s3.complete_multipart_upload(Bucket="archive", Key="large", UploadId=parts["UploadId"], MultipartUpload=done)
    stack.kill()
    stack.restart()
    s3 = stack.client("s3")
    assert s3.get_object(Bucket="backups", Key="a/b.txt")["Body"].read() == b"one"
    assert s3.get_object(Bucket="archive", Key="large")["Body"].read() == b"three"


def test_reading_makes_no_bucket(stack: LocalStack) -> None:
    s3 = stack.client("s3")
    with pytest.raises(s3.exceptions.NoSuchBucket):
        s3.get_object(Bucket="nowhere", Key="x")
    with pytest.raises(s3.exceptions.NoSuchBucket):
        s3.delete_objects(Bucket="nowhere", Delete={"Objects": [{"Key": "x"}]})
    assert "nowhere" not in stack.console()


def test_a_transaction_that_is_sent_again_is_done_once(stack: LocalStack) -> None:
    client = stack.client("dynamodb")
    add = {
        "TableName": TABLE, "Key": key("token"), "UpdateExpression": "ADD n :one", "ExpressionAttributeValues": {":one": {"N": "1"}},
    }  # fmt: skip
    for _ in range(2):
        client.transact_write_items(TransactItems=[{"Update": add}], ClientRequestToken="one")
    assert client.get_item(TableName=TABLE, Key=key("token"))["Item"]["n"] == {"N": "1"}


def test_a_browser_can_post_a_file_and_fetch_it(stack: LocalStack) -> None:
    s3 = stack.client("s3")
    form = s3.generate_presigned_post("nightshift-local-files", "up/${filename}", ExpiresIn=60)
    posted = httpx.post(form["url"], data=form["fields"], files={"file": ("x.bin", b"\x00\x01data")})
    assert posted.status_code == 204
    link = s3.generate_presigned_url("get_object", Params={"Bucket": "nightshift-local-files", "Key": "up/x.bin"})
    assert httpx.get(link).content == b"\x00\x01data"


def test_schedules_and_rules_fire_on_their_minute(stack: LocalStack) -> None:
    events = stack.client("events")
    failures = "arn:aws:lambda:us-east-1:123456789012:function:nightshift-local-failures"
    events.put_rule(Name="tea", ScheduleExpression="cron(0/30 16 ? * MON-FRI *)")
    events.put_targets(Rule="tea", Targets=[{"Id": "1", "Arn": failures}])
    stack.client("dynamodb").delete_item(TableName=TABLE, Key=key("failure", "note"))
    assert stack.tick("2026-11-23T16:31:00Z") == 0
    assert stack.tick("2026-11-22T16:30:00Z") == 0  # a Sunday
    assert stack.tick("2026-11-23T16:30:00Z") == 1
    text = eventually(lambda: note(stack, "failure"))["event"]
    assert '"time": "2026-11-23T16:30:00Z"' in text
    assert '"resources": ["arn:aws:events:us-east-1:123456789012:rule/tea"]' in text
    events.disable_rule(Name="tea")
    assert stack.tick("2026-11-23T16:30:00Z") == 0
    assert stack.tick("2026-11-23T12:00:00Z") == 1
    assert "Scheduled Event" in eventually(lambda: note(stack, "noon"))["event"]
