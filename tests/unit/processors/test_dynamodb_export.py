"""dynamodb_export: every item once, in as many invocations as it takes."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from moto import mock_aws
from pydantic import ValidationError

from chalicelib.domain.errors import StepError, StoppedError, TransientError
from chalicelib.processors import clients
from chalicelib.processors.dynamodb_export import DynamodbExport
from tests.unit.processors.recorder import Recorder

TYPES = {
    "pk": {"S": "types"},
    "sk": {"N": "0"},
    "n": {"N": "12345678901234567890.123456789"},
    "b": {"B": b"\x00\xff"},
    "ss": {"SS": ["b", "a"]},
    "ns": {"NS": ["10", "9"]},
    "bs": {"BS": [b"b", b"a"]},
    "deep": {"L": [{"M": {"t": {"BOOL": True}, "z": {"NULL": True}, "e": {"S": ""}}}]},
}
COUNT = 60


@pytest.fixture(scope="module")
def table() -> Iterator[Any]:
    with mock_aws():
        clients.hand_over(None)
        client = clients.client("dynamodb")
        client.create_table(
            TableName="orders",
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}, {"AttributeName": "sk", "AttributeType": "N"}],
            BillingMode="PAY_PER_REQUEST",
        )
        client.put_item(TableName="orders", Item=TYPES)
        for number in range(COUNT):
            item = {"pk": {"S": f"p{number % 3}"}, "sk": {"N": str(number)}, "x": {"S": "ü" * 10}}
            client.put_item(TableName="orders", Item=item)
        yield client
    clients.hand_over(None)


def export(**config: Any) -> DynamodbExport:
    return DynamodbExport.model_validate({"table": "orders", "destination": "./out.jsonl"} | config)


def finish(steps: Generator[Any, None, Any]) -> dict[str, Any]:
    while True:
        try:
            json.dumps(next(steps))
        except StopIteration as end:
            return dict(end.value)


def items(path: Path) -> list[dict[str, Any]]:
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return [json.loads(line) for line in content.decode().splitlines()]


@pytest.mark.parametrize(
    "config", [{}, {"segments": 4, "page": 5}, {"page": 7, "consistent": True, "destination": "./out.jsonl.gz"}]
)
def test_every_item_is_written_once(run: Recorder, table: Any, config: dict[str, Any]) -> None:
    output = finish(export(**config)(run))
    found = items(Path(output["path"]))
    assert (output["items"], output["scanned"], len(found)) == (COUNT + 1, COUNT + 1, COUNT + 1)
    assert len({(item["pk"], item["sk"]) for item in found}) == COUNT + 1
    assert output["bytes"] == Path(output["path"]).stat().st_size
    assert output["capacity"] > 0
    assert [path.name for path in run.workspace.iterdir()] == [Path(output["path"]).name]


def test_plain_values_keep_their_digits(run: Recorder, table: Any) -> None:
    finish(export(key_condition="pk = :pk", values={":pk": "types"})(run))
    line = (run.workspace / "out.jsonl").read_text()
    assert '"n":12345678901234567890.123456789' in line
    assert json.loads(line) == {
        **{"pk": "types", "sk": 0, "n": 12345678901234567890.123456789, "b": "AP8=", "ss": ["a", "b"], "ns": [9, 10]},
        **{"bs": ["YQ==", "Yg=="], "deep": [{"t": True, "z": None, "e": ""}]},
    }


def test_dynamodb_json_can_be_put_back(run: Recorder, table: Any) -> None:
    finish(export(format="dynamodb", key_condition="pk = :pk", values={":pk": "types"})(run))
    (item,) = items(run.workspace / "out.jsonl")
    assert item == {
        **{"pk": {"S": "types"}, "sk": {"N": "0"}, "n": TYPES["n"], "b": {"B": "AP8="}, "ss": {"SS": ["a", "b"]}},
        **{"ns": {"NS": ["10", "9"]}, "bs": {"BS": ["YQ==", "Yg=="]}, "deep": TYPES["deep"]},
    }


def test_key_condition_filter_and_projection_choose(run: Recorder, table: Any) -> None:
    values = {":pk": "p1", ":least": 10, ":x": "ü" * 10}
    names = {"#x": "x"}
    config = {
        "key_condition": "pk = :pk AND sk >= :least",
        "filter": "#x = :x",
        "values": values,
        "names": names,
        "projection": ["sk"],
    }
    finish(export(**config)(run))
    assert items(run.workspace / "out.jsonl") == [{"sk": number} for number in range(10, COUNT, 3)]


@pytest.mark.parametrize("name", ["out.jsonl", "out.jsonl.gz"])
def test_goes_on_where_another_invocation_ended(run: Recorder, table: Any, name: str) -> None:
    step = export(page=4, segments=2, destination=f"./{name}")
    for _ in range(3):
        steps = step(run)
        next(steps)
        run.checkpoint = json.loads(json.dumps(next(steps)))
        next(steps)  # a page more than the checkpoint tells of, as before a crash
        steps.close()
    output = finish(step(run))
    found = items(run.workspace / name)
    assert (output["items"], len(found), len({(item["pk"], item["sk"]) for item in found})) == (COUNT + 1,) * 3


def test_throttled_table_is_worth_another_attempt_that_goes_on(run: Recorder, table: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from botocore.exceptions import ClientError

    step, real, calls = export(page=10), table.scan, iter(range(100))

    def scan(**asked: Any) -> Any:
        if next(calls) == 3:
            raise ClientError({"Error": {"Code": "ProvisionedThroughputExceededException", "Message": "slow down"}}, "Scan")
        return real(**asked)

    monkeypatch.setattr(table, "scan", scan)
    steps = step(run)
    run.checkpoint = [next(steps) for _ in range(3)][-1]
    with pytest.raises(TransientError, match="reading the table orders"):
        next(steps)
    assert finish(step(run))["items"] == COUNT + 1
    assert len(items(run.workspace / "out.jsonl")) == COUNT + 1


def test_rate_bounds_the_capacity_that_is_used(run: Recorder, table: Any) -> None:
    began = time.monotonic()
    output = finish(export(page=20, rate=5)(run))
    assert time.monotonic() - began >= (output["capacity"] - 2) / 5
    run.stop_when = lambda: True
    with pytest.raises(StoppedError):
        finish(export(page=1, rate=0.001, destination="./b.jsonl")(run))
    assert not [path for path in run.workspace.iterdir() if "b.jsonl" in path.name]


def test_goes_to_s3(run: Recorder, table: Any) -> None:
    s3 = clients.client("s3")
    s3.create_bucket(Bucket="backups", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    assert finish(export(destination="s3://backups/daily/")(run))["path"] == "s3://backups/daily/orders.jsonl"
    assert s3.get_object(Bucket="backups", Key="daily/orders.jsonl")["Body"].read().count(b"\n") == COUNT + 1
    assert list(run.workspace.iterdir()) == []


def test_missing_table_and_wrong_expression_are_told(run: Recorder, table: Any) -> None:
    with pytest.raises(StepError, match="reading the table missing: it does not exist"):
        finish(export(table="missing")(run))
    with pytest.raises(StepError, match=r"reading the table orders: .*Validation"):
        finish(export(key_condition="nonsense", values={":x": 1})(run))


@pytest.mark.parametrize(
    "config",
    [{"table": "a b"}, {"segments": 2, "key_condition": "pk = :x"}, {"values": {"x": 1}}, {"names": {"x": "y"}}, {"segments": 0}],
)
def test_config_that_cannot_work_is_refused(config: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        export(**config)
