"""The twin answers as DynamoDB Local does: the same scenarios, request by request, on both."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.faults.process import Fault
from tests.faults.scenarios import SCENARIOS
from tests.faults.stepped import stepped
from tests.faults.test_crashes import MODES
from tests.faults.twin import Twin
from tests.faults.world import World


class Both:
    """A client that asks both, and will not have two answers."""

    def __init__(self, real: Any, name: str) -> None:
        self.real, self.name, self.twin = real, name, Twin()
        self.asked = 0
        self._last: Any = None

    def __getattr__(self, operation: str) -> Any:
        def send(**request: Any) -> Any:
            self.asked += 1
            answers = [self.ask(client, operation, request) for client in (self.real, self.twin)]
            assert answers[0] == answers[1], (operation, request)
            answer = self._last
            if isinstance(answer, ClientError):
                raise answer
            return answer

        return send

    def ask(self, client: Any, operation: str, request: dict[str, Any]) -> Any:
        try:
            answer = getattr(client, operation)(**request)
        except ClientError as error:
            self._last = error
            said = error.response
            reasons = [{k: v for k, v in r.items() if k in ("Code", "Item")} for r in said.get("CancellationReasons", [])]
            return said["Error"]["Code"], _alike(said.get("Item")), _alike(reasons)
        self._last = answer
        plain = {k: answer[k] for k in ("Item", "Items", "Attributes", "LastEvaluatedKey") if answer.get(k)}
        if "Responses" in answer:
            plain["Responses"] = sorted(answer["Responses"].get(self.name, []), key=lambda item: (item["pk"]["S"], item["sk"]["S"]))
        return _alike(plain)


def _alike(value: Any) -> Any:
    """Sets in order, numbers as numbers: 300.0 comes back as 300."""
    if isinstance(value, dict):
        if list(value) == ["SS"]:
            return {"SS": sorted(value["SS"])}
        if list(value) == ["N"]:
            return {"N": Decimal(value["N"])}
        return {k: _alike(v) for k, v in value.items()}
    return [_alike(v) for v in value] if isinstance(value, list) else value


@pytest.fixture(autouse=True)
def _stepped() -> Iterator[None]:
    with stepped():
        yield


def live(both: Both, name: str, fault: Fault | None = None) -> World:
    world = World(both, both.name)
    act = SCENARIOS[name](world)
    act(world.process("act", fault))
    world.settle()
    world.check()
    return world


SELECTION = (
    "start_when_full",
    "finish_with_a_queue",
    "retry_in_process",
    "stop_while_holding_a_part_of_its_path",
    "sweep_of_lost_starts",
)


@pytest.mark.parametrize("name", [pytest.param(n, marks=[] if n in SELECTION else [pytest.mark.proof]) for n in SCENARIOS])
def test_a_whole_life_is_the_same_on_both(local_table: Any, name: str) -> None:
    both = Both(local_table.client, local_table.name)
    live(both, name)
    assert both.asked > 10


@pytest.mark.proof
@pytest.mark.parametrize("name", SELECTION)
def test_faults_end_the_same_on_dynamodb_local(dynamodb_local: str, name: str) -> None:
    from tests.support.dynamodb_local import connect
    from tests.support.tables import create_table

    client = connect(dynamodb_local)
    first = create_table(client)
    world = World(Both(client, first.name), first.name)
    process = world.process("act")
    SCENARIOS[name](world)(process)
    cases = 0
    for at in range(1, len(process.requests) + 1):
        for mode in MODES:
            table = create_table(client)
            live(Both(client, table.name), name, Fault(at, mode))
            client.delete_table(TableName=table.name)
            cases += 1
    print(f"{name}: {cases} cases on DynamoDB Local")
