"""Misfortune on purpose."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest
from botocore.config import Config
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from infra.local.chaos import RATES, Chaos
from infra.local.options import StackError
from infra.local.testing import LocalStack

from .conftest import alive, eventually, note

pytestmark = pytest.mark.stack
ALWAYS = 1.0


def only(own_stack: Any, *rates: str) -> LocalStack:
    """A stack where nothing happens but what is named."""
    wanted = dict.fromkeys(RATES, "0") | dict(rate.split("=") for rate in rates)
    return own_stack(chaos=7, chaos_rate=[f"{name}={rate}" for name, rate in wanted.items()])


def event(stack: LocalStack, payload: dict[str, Any]) -> None:
    stack.client("lambda").invoke(FunctionName="work", Payload=json.dumps(payload), InvocationType="Event")


def as_function(stack: LocalStack, service: str) -> Any:
    """A client whose requests count as the function's own; it does not try again."""
    env = json.load(httpx.get(f"{stack.url}/environment"))
    keys = {"aws_access_key_id": env["AWS_ACCESS_KEY_ID"], "aws_secret_access_key": "local"}
    return stack.client(service, config=Config(retries={"max_attempts": 0}), **keys)


def test_the_same_seed_decides_the_same(tmp_path: Path) -> None:
    def decisions(seed: int) -> list[Any]:
        chaos = Chaos(seed, {"duplicate": 0.5, "delay": 0.5, "lose": 0.2}, lambda _: None, tmp_path / "log")
        return [chaos.deliveries("f", True) for _ in range(200)]

    assert decisions(5) == decisions(5) != decisions(6)


def test_without_a_seed_nothing_happens(tmp_path: Path) -> None:
    chaos = Chaos(None, dict.fromkeys(RATES, ALWAYS), lambda _: None, tmp_path / "log")
    assert chaos.deliveries("f", True) == [0.0]
    assert chaos.refusal("PutItem", b"", "f") is None
    assert chaos.post() == (0.0, None)


def test_an_unknown_rate_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StackError, match=r"no chaos rate kil=0\.1"):
        Chaos(1, {"kil": 0.1}, lambda _: None, tmp_path / "log")


def test_rates_hold(tmp_path: Path) -> None:
    chaos = Chaos(3, {}, lambda _: None, tmp_path / "log")
    times = Counter(len(chaos.deliveries("f", True)) for _ in range(5000))
    assert 0.01 < times[0] / 5000 < 0.03
    assert 0.035 < times[2] / 5000 < 0.065


def test_events_come_twice(own_stack: Any) -> None:
    stack = only(own_stack, "duplicate=1")
    event(stack, {})
    eventually(lambda: stack.log("work").count("START RequestId") == 2)
    assert stack.ask("chaos")["counts"] == {"duplicate": 1}
    assert "chaos: duplicate: nightshift-local-work" in stack.console()


def test_events_are_lost_but_those_of_rules_are_not(own_stack: Any) -> None:
    stack = only(own_stack, "lose=1")
    event(stack, {})
    assert stack.ask("chaos")["counts"] == {"lose": 1}
    stack.tick("2026-11-23T12:00:00Z")
    assert eventually(lambda: note(stack, "noon"))


def test_workers_are_killed(own_stack: Any) -> None:
    stack = only(own_stack, "kill=1")
    for _ in range(4):
        event(stack, {"do": "sleep", "seconds": 2.9})
    eventually(lambda: stack.ask("chaos")["counts"].get("kill"))
    pid = int(re.search(r"chaos: kill: work, pid (\d+) after", stack.console())[1])  # type: ignore[index]
    eventually(lambda: not alive(pid))


@pytest.mark.parametrize(
    ("rate", "codes"),
    [
        ("throttle", {"ProvisionedThroughputExceededException", "ThrottlingException"}),
        ("conflict", {"TransactionConflictException"}),
    ],
)
def test_dynamodb_refuses_and_nothing_is_done(own_stack: Any, rate: str, codes: set[str]) -> None:
    stack = only(own_stack)
    client = as_function(stack, "dynamodb")
    stack.ask(f"chaos?{rate}=1", "POST")
    item = {"pk": {"S": "a"}, "sk": {"S": "note"}}
    with pytest.raises(client.exceptions.ClientError) as refused:
        client.put_item(TableName="nightshift-local", Item=item)
    assert refused.value.response["Error"]["Code"] in codes
    assert "Item" not in stack.client("dynamodb").get_item(TableName="nightshift-local", Key=item)


def test_a_transaction_conflict_names_its_reason(own_stack: Any) -> None:
    stack = only(own_stack)
    client = as_function(stack, "dynamodb")
    stack.ask("chaos?conflict=1", "POST")
    puts = [{"Put": {"TableName": "nightshift-local", "Item": {"pk": {"S": n}, "sk": {"S": "note"}}}} for n in "ab"]
    with pytest.raises(client.exceptions.TransactionCanceledException) as refused:
        client.transact_write_items(TransactItems=puts)
    assert sorted(reason["Code"] for reason in refused.value.response["CancellationReasons"]) == ["None", "TransactionConflict"]
    assert note(stack, "a") == {}


def test_a_lost_answer_hides_a_write_that_was_done(own_stack: Any) -> None:
    stack = only(own_stack)
    client = as_function(stack, "dynamodb")
    stack.ask("chaos?lost_answer=1", "POST")
    with pytest.raises(client.exceptions.InternalServerError):
        client.put_item(TableName="nightshift-local", Item={"pk": {"S": "a"}, "sk": {"S": "note"}})
    assert note(stack, "a") == {"pk": "a", "sk": "note"}


def test_websockets_are_cut(own_stack: Any) -> None:
    stack = only(own_stack, "drop=1")
    with connect(f"{stack.ws_url}/ws/task/r1") as socket, pytest.raises(ConnectionClosed):
        socket.recv(10)


def test_posts_fail(own_stack: Any) -> None:
    stack = only(own_stack, "post_fail=1")
    with connect(f"{stack.ws_url}/ws/task/r1"):
        client = as_function(stack, "apigatewaymanagementapi")
        identity = stack.ask("connections")["connections"][0]
        with pytest.raises(client.exceptions.ClientError) as refused:
            client.post_to_connection(ConnectionId=identity, Data=b"x")
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] in (429, 500)


def test_it_is_turned_off_while_the_stack_runs(own_stack: Any) -> None:
    stack = only(own_stack, "lose=1")
    assert stack.ask("chaos?on=0", "POST")["on"] is False
    event(stack, {"do": "sleep", "seconds": 0})
    assert eventually(lambda: note(stack, "work"))
