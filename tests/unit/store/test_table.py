"""The table's door: refusals as errors, and conflicts that are tried again."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from chalicelib.store import table as door
from chalicelib.store.table import ConditionFailed, PathMissing, Table


def conflict(operation: str) -> ClientError:
    if operation == "transact_write_items":
        said: Any = {"Error": {"Code": "TransactionCanceledException"}, "CancellationReasons": [{"Code": "TransactionConflict"}]}
    else:
        said = {"Error": {"Code": "TransactionConflictException", "Message": "in a transaction"}}
    return ClientError(said, operation)


class Conflicting:
    """Refuses so many times, because a transaction is under way."""

    def __init__(self, client: Any, times: int) -> None:
        self.client, self.left, self.asked = client, times, 0

    def __getattr__(self, operation: str) -> Any:
        def send(**request: Any) -> Any:
            self.asked += 1
            if self.left:
                self.left -= 1
                raise conflict(operation)
            return getattr(self.client, operation)(**request)

        return send


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "_wait", lambda attempt: None)


@pytest.mark.usefixtures("hurry")
@pytest.mark.parametrize("write", ["put", "update", "transact"])
def test_a_write_that_meets_a_transaction_is_tried_again(store: Table, write: str) -> None:
    client = Conflicting(store.client, 3)
    busy = Table(client, store.name)
    if write == "put":
        busy.put({"pk": "a", "sk": "b", "n": 1})
    elif write == "update":
        busy.update(("a", "b"), "SET n = :n", n=1)
    else:
        busy.transact([("Put", busy.put_request({"pk": "a", "sk": "b", "n": 1}))])
    assert client.asked == 4
    assert store.get(("a", "b")) == {"pk": "a", "sk": "b", "n": 1}


@pytest.mark.usefixtures("hurry")
def test_conflicts_without_end_are_said(store: Table) -> None:
    client = Conflicting(store.client, 1000)
    with pytest.raises(ClientError):
        Table(client, store.name).update(("a", "b"), "SET n = :n", n=1)
    assert client.asked == door.CONFLICTS


def test_a_refusal_brings_back_what_is_there(store: Table) -> None:
    store.put({"pk": "a", "sk": "b", "n": 1})
    with pytest.raises(ConditionFailed) as refused:
        store.update(("a", "b"), "SET n = :n", "n > :n", n=1)
    assert refused.value.item == {"pk": "a", "sk": "b", "n": 1}
    with pytest.raises(ConditionFailed) as refused:
        store.update(("a", "c"), "SET n = :n", "attribute_exists(pk)", n=1)
    assert refused.value.item is None


def test_a_place_in_a_map_that_is_not_there_is_said(store: Table) -> None:
    store.put({"pk": "a", "sk": "b"})
    with pytest.raises(PathMissing):
        store.update(("a", "b"), "SET holders.#x = :n", None, {"x": "x"}, n=1)


def test_a_refused_transaction_says_which_and_writes_nothing(store: Table) -> None:
    store.put({"pk": "a", "sk": "b", "n": 1})
    first = store.put_request({"pk": "x", "sk": "y"})
    second = store.update_request(("a", "b"), "SET n = :two", "n = :two", two=2)
    with pytest.raises(ConditionFailed) as refused:
        store.transact([("Put", first), ("Update", second)])
    assert (refused.value.position, refused.value.item) == (1, {"pk": "a", "sk": "b", "n": 1})
    assert store.get(("x", "y")) is None


def test_many_items_are_read_whatever_their_number(store: Table) -> None:
    keys = [("many", f"{n:03d}") for n in range(230)]
    for pk, sk in keys[::2]:
        store.put({"pk": pk, "sk": sk})
    assert set(store.get_many(keys)) == set(keys[::2])


@pytest.mark.parametrize("page", [None, 1, 3, 10, 11])
@pytest.mark.parametrize("limit", [None, 1, 4, 10, 20])
def test_a_query_reads_on_until_it_has_what_was_asked_for(store: Table, page: int | None, limit: int | None) -> None:
    for n in range(10):
        store.put({"pk": "q", "sk": f"{n:03d}"})
    found = [item["sk"] for item in store.query("pk = :pk", pk="q", page=page, limit=limit)]
    assert found == [f"{n:03d}" for n in range(10)][:limit]
