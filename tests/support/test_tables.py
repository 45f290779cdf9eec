"""What the product's conditional writes rely on holds on both stand-ins for DynamoDB."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.exceptions import ClientError

from tests.support.tables import Table, create_table

STARTERS = 16
LIMIT = 5
KEY = {"pk": {"S": "SEMAPHORE#global"}, "sk": {"S": "SEMAPHORE"}}


def acquire(table: Table, holder: str) -> set[str]:
    """Takes one slot of LIMIT by one conditional update; answers with the holders in the way, none when it got it."""
    try:
        table.client.update_item(
            TableName=table.name,
            Key=KEY,
            UpdateExpression="SET #active = #active + :one, #holders.#me = :one",
            ConditionExpression="#active < :limit AND attribute_not_exists(#holders.#me)",
            ExpressionAttributeNames={"#active": "active", "#holders": "holders", "#me": holder},
            ExpressionAttributeValues={":one": {"N": "1"}, ":limit": {"N": str(LIMIT)}},
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
    except table.client.exceptions.ConditionalCheckFailedException as refusal:
        return set(refusal.response["Item"]["holders"]["M"])
    return set()


def test_slots_stay_within_the_limit_when_many_threads_acquire_at_once(table: Table) -> None:
    client, name = table
    client.put_item(TableName=name, Item=KEY | {"active": {"N": "0"}, "holders": {"M": {}}})
    start = threading.Barrier(STARTERS)

    def acquire_together(number: int) -> set[str]:
        start.wait(timeout=30)
        return acquire(table, f"run-{number}")

    with ThreadPoolExecutor(STARTERS) as pool:
        refusals = [holders for holders in pool.map(acquire_together, range(STARTERS)) if holders]

    item = client.get_item(TableName=name, Key=KEY, ConsistentRead=True)["Item"]
    assert item["active"] == {"N": str(LIMIT)}
    assert len(item["holders"]["M"]) == LIMIT
    assert refusals == [set(item["holders"]["M"])] * (STARTERS - LIMIT)


def test_a_transaction_with_one_failed_condition_writes_nothing(table: Table) -> None:
    client, name = table
    client.put_item(TableName=name, Item=KEY)
    other = {"pk": {"S": "RUN#1"}, "sk": {"S": "RUN"}}

    with pytest.raises(client.exceptions.TransactionCanceledException) as refused:
        client.transact_write_items(
            TransactItems=[
                {"Put": {"TableName": name, "Item": other}},
                {"Put": {"TableName": name, "Item": KEY, "ConditionExpression": "attribute_not_exists(pk)"}},
            ]
        )

    reasons = [reason["Code"] for reason in refused.value.response["CancellationReasons"]]
    assert reasons == ["None", "ConditionalCheckFailed"]
    assert "Item" not in client.get_item(TableName=name, Key=other, ConsistentRead=True)


def test_the_emulator_refuses_an_empty_key_as_dynamodb_does(local_table: Table) -> None:
    with pytest.raises(ClientError, match="empty string"):
        local_table.client.put_item(TableName=local_table.name, Item={"pk": {"S": ""}, "sk": {"S": "RUN"}})


def test_every_test_gets_a_table_of_its_own(local_table: Table) -> None:
    second = create_table(local_table.client)
    local_table.client.put_item(TableName=local_table.name, Item=KEY)
    assert second.client.scan(TableName=second.name)["Count"] == 0
