"""What a run costs: AWS requests and DynamoDB units, counted on DynamoDB Local, and the price of a million.

From its start to its end, without the request to the API that asked for it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from chalicelib.domain.price import MILLION, Usage, gb_seconds, messages_of, price
from chalicelib.engine import starter
from chalicelib.engine.legs import LegClock
from chalicelib.store import runs
from chalicelib.store.table import Table
from tests.unit.engine.conftest import Engine

READS = ("get_item", "batch_get_item", "query")
SECONDS = 1.0  # that a run is billed for in the printed price, with 512 MB


class Meter:
    """A client that counts what its requests use."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.requests: list[str] = []
        self.write_units = self.read_units = 0.0

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        def send(**request: Any) -> Any:
            answer = getattr(self.client, operation)(**request, ReturnConsumedCapacity="INDEXES")
            used = answer.get("ConsumedCapacity") or {}
            units = sum(u["CapacityUnits"] for u in (used if isinstance(used, list) else [used]))
            if operation == "transact_write_items":
                # DynamoDB Local charges an index for each item of a transaction; DynamoDB for the entry that goes and the one
                # that comes.
                units = sum(u["Table"]["CapacityUnits"] + 2 * len(u.get("GlobalSecondaryIndexes", {})) for u in used)
            self.requests.append(operation)
            if operation in READS:
                self.read_units += max(units, 1.0)  # DynamoDB Local gives empty answers away
            else:
                self.write_units += units
            return answer

        return send


class Counted:
    """An engine whose every request is counted, those to Lambda and to followers too."""

    def __init__(self, table: Any, **settings: Any) -> None:
        self.meter = Meter(table.client)
        self.engine = Engine(Table(self.meter, table.name), **settings)
        self.engine.services.registry.tasks()
        self.warm_up()

    def warm_up(self) -> None:
        """A semaphore is made once in its life, and a warm API knows what was changed of the tasks."""
        self.engine.run("warm", lambda run: None)

    def count(self, act: Callable[[], Any]) -> tuple[int, Usage]:
        """Requests, and what they used."""
        meter, aws = self.meter, self.engine.aws
        before = (len(meter.requests), meter.write_units, meter.read_units, len(aws.pushed))
        invoked = 0

        def counting(function: str, payload: dict[str, Any]) -> None:
            nonlocal invoked
            invoked += 1
            aws.inbox.append(payload)

        self.engine.services.invoke = counting
        self.engine.services.registry._read_at = self.engine.services.now()
        act()
        pushed = aws.pushed[before[3] :]
        messages = sum(messages_of(len(text)) for _, text in pushed)
        requests = len(meter.requests) - before[0] + invoked + len(pushed)
        used = Usage(
            write_units=meter.write_units - before[1],
            read_units=meter.read_units - before[2],
            invocations=invoked,
            gb_seconds=invoked * gb_seconds(512, SECONDS),
            messages=messages,
        )
        return requests, used


@pytest.fixture
def counted(local_table: Any) -> Counted:
    return Counted(local_table)


def say_thousand(run: Any) -> None:
    for n in range(1_000):
        print(f"{n:4} 2026-01-31 02:00:00 copied a file of some name to another place, which took a while")


def tell(what: str, counted: tuple[int, Usage]) -> None:
    requests, used = counted
    dynamodb = price(Usage(used.write_units, used.read_units))
    print(
        f"{what:32} {requests:4} requests {used.write_units:6.1f} write {used.read_units:5.1f} read units"
        f" {used.messages:3} messages | a million: DynamoDB ${dynamodb * MILLION:7.2f}, all ${price(used) * MILLION:7.2f}"
    )


def test_a_plain_run_costs_at_most_nine_requests(counted: Counted) -> None:
    engine = counted.engine
    engine.task("plain", lambda run: {"rows": 1})

    def one() -> None:
        engine.start("plain")
        engine.hand()

    found = counted.count(one)
    tell("free slot", found)
    assert engine.aws.inbox == []
    assert found[0] <= 9
    assert found[1].write_units <= 20


def test_a_run_that_waits_for_a_slot_costs_a_few_more(local_table: Any) -> None:
    counted = Counted(local_table, max_concurrent_tasks=1)
    engine = counted.engine
    engine.task("plain", lambda run: None)
    engine.start("plain")

    def another() -> None:
        engine.start("plain")
        engine.hand()
        engine.hand()

    requests, used = counted.count(another)
    # Two runs less what the first had cost before: its start.
    tell("queued, and the one before it", (requests, used))
    assert requests <= 22
    assert used.write_units <= 45


@pytest.mark.parametrize("followed", [False, True])
def test_a_thousand_lines_cost_little_more(counted: Counted, followed: bool) -> None:
    engine = counted.engine
    engine.task("talkative", say_thousand)

    def one() -> None:
        run = engine.start("talkative")
        if followed:
            runs.follow(engine.table, run.id, "follower")
        engine.hand()

    found = counted.count(one)
    tell(f"1,000 lines{', followed' if followed else ''}", found)
    assert found[0] <= (40 if followed else 18)
    assert found[1].write_units <= 100  # how often it flushes depends on the machine


@pytest.mark.usefixtures("quick_retries")
def test_a_retry_costs_two_or_three_requests(counted: Counted) -> None:
    engine = counted.engine

    def second_time_lucky(run: Any) -> None:
        if run.attempt == 1:
            raise OSError("not yet")

    engine.task("retrying", second_time_lucky, retry_count=1)

    def one() -> None:
        engine.start("retrying")
        engine.hand()

    found = counted.count(one)
    tell("one retry", found)
    assert found[0] <= 14
    assert found[1].write_units <= 32


def test_each_further_leg_costs_a_few_requests(counted: Counted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LegClock, "is_due", lambda self, next_step: True)
    engine = counted.engine

    def in_two(run: Any) -> Iterator[int]:
        if run.checkpoint is None:
            yield 1

    engine.task("long", in_two)

    def one() -> None:
        engine.start("long")
        engine.hand()
        engine.hand()

    found = counted.count(one)
    tell("two legs", found)
    assert found[0] <= 14  # publish, hand over, invoke, claim, publish
    assert found[1].write_units <= 32


def test_a_silent_run_costs_one_small_write_every_second_and_a_half(counted: Counted) -> None:
    engine = counted.engine
    engine.task("silent", lambda run: time.sleep(4))

    def one() -> None:
        engine.start("silent")
        engine.hand()

    found = counted.count(one)
    tell("4 silent seconds", found)
    assert found[0] <= 13


def test_a_stop_of_a_waiting_run_and_a_sweep_of_nothing(counted: Counted) -> None:
    from chalicelib.engine.sweeper import sweep

    engine = counted.engine
    engine.task("plain", lambda run: None)
    run = engine.start("plain")
    tell("stop before it began", counted.count(lambda: starter.stop(engine.services, run.id)))
    engine.deliver()
    found = counted.count(lambda: sweep(engine.services))
    tell("a sweep of an idle system", found)
    assert found[0] <= 6
    assert found[1].write_units == 0
