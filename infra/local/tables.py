"""moto's DynamoDB table, made fast enough to live with.

moto sorts the whole table for every Query and deep-copies it for every transaction. `SortedTable` keeps each
partition of the table and of its indexes in order, so that a Query touches only what it returns; `ItemBackend` rolls a
cancelled transaction back item by item. Conditions, updates and validation stay moto's.
"""

from __future__ import annotations

import base64
import copy
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.dynamo_type import DynamoType, Item
from moto.dynamodb.models.table import RESULT_SIZE_LIMIT, Table

Key = tuple[DynamoType, DynamoType | None]


def sortable(value: DynamoType | None) -> Any:
    """What DynamoDB orders a key attribute by: numbers by value, texts and binaries by their bytes."""
    if value is None:
        return ""
    if value.type == "N":
        return Decimal(value.value)
    if value.type == "B":
        return base64.b64decode(value.value)
    return value.value


class Order:
    """The partitions of one table or index: partition value -> sorted [(range, table hash, table range)]."""

    def __init__(self, hash_attr: str, range_attr: str | None) -> None:
        self.hash_attr = hash_attr
        self.range_attr = range_attr
        self.partitions: dict[Any, list[tuple[Any, ...]]] = {}
        self.keys: dict[tuple[Any, ...], Key] = {}
        self.places: dict[tuple[Any, Any], tuple[Any, tuple[Any, ...]]] = {}

    def entry(self, item: Item) -> tuple[Any, tuple[Any, ...]] | None:
        """(partition, entry) of the item, or None where it lacks a key attribute (a sparse index)."""
        head = item.attrs.get(self.hash_attr)
        tail = item.attrs.get(self.range_attr) if self.range_attr else None
        if head is None or (self.range_attr and tail is None):
            return None
        return sortable(head), (sortable(tail), sortable(item.hash_key), sortable(item.range_key))

    def refresh(self, key: Key, item: Item | None) -> None:
        name = (sortable(key[0]), sortable(key[1]))
        old = self.places.get(name)
        new = self.entry(item) if item is not None else None
        if old == new:
            return
        if old is not None:
            partition = self.partitions[old[0]]
            del partition[bisect_left(partition, old[1])]
            if not partition:
                del self.partitions[old[0]]
            del self.places[name]
        if new is not None:
            insort(self.partitions.setdefault(new[0], []), new[1])
            self.places[name] = new

    def span(self, entries: list[tuple[Any, ...]], comparison: str | None, values: list[DynamoType]) -> tuple[int, int]:
        """Where in a partition the range condition holds: [from, to)."""
        if not comparison:
            return 0, len(entries)
        low = sortable(values[0])
        left = bisect_left(entries, low, key=_first)
        right = bisect_right(entries, low, key=_first)
        match comparison.upper():
            case "=" | "EQ":
                return left, right
            case "<" | "LT":
                return 0, left
            case "<=" | "LE":
                return 0, right
            case ">" | "GT":
                return right, len(entries)
            case ">=" | "GE":
                return left, len(entries)
            case "BETWEEN":
                return left, bisect_right(entries, sortable(values[1]), key=_first)
            case "BEGINS_WITH":
                end = left
                while end < len(entries) and entries[end][0].startswith(low):
                    end += 1
                return left, end
        raise ValueError(f"unknown range comparison {comparison}")


def _first(entry: tuple[Any, ...]) -> Any:
    return entry[0]


class SortedTable(Table):
    """A moto Table whose queries read kept orders. `touched(key)` must follow every write."""

    orders: dict[str | None, Order]
    in_transaction: bool

    @staticmethod
    def adopt(table: Table) -> None:
        """Turn a table that moto made into this class, in place."""
        table.__class__ = SortedTable  # type: ignore[type-abstract]
        assert isinstance(table, SortedTable)
        table.in_transaction = False
        table.reorder()

    def reorder(self) -> None:
        """Build the orders anew: after creation, a load, or a write that does not name its keys (PartiQL)."""
        self.orders = {None: Order(self.hash_key_attr, self.range_key_attr)}
        for index in self.all_indexes():
            hashes = [k["AttributeName"] for k in index.schema if k["KeyType"] == "HASH"]
            ranges = [k["AttributeName"] for k in index.schema if k["KeyType"] == "RANGE"]
            if len(hashes) == 1 and len(ranges) <= 1:
                self.orders[index.name] = Order(hashes[0], ranges[0] if ranges else None)
        for item in self.every_item():
            self.touched((item.hash_key, item.range_key))

    def every_item(self) -> Iterator[Item]:
        for held in self.items.values():
            if self.range_key_attr:
                yield from held.values()
            else:
                yield held  # type: ignore[misc]

    def touched(self, key: Key) -> None:
        item = self.find(key)
        for order in self.orders.values():
            order.refresh(key, item)

    def find(self, key: Key) -> Item | None:
        """The item, without making an empty partition where there is none, as moto's lookup does."""
        held = self.items.get(key[0])
        if held is None or not self.range_key_attr:
            return held  # type: ignore[return-value]
        return held.get(key[1])

    def __deepcopy__(self, memo: dict[int, Any]) -> Table:
        if self.in_transaction:  # ItemBackend restores the items itself
            return self
        clone: Table = Table.__new__(Table)  # type: ignore[assignment]
        memo[id(self)] = clone
        for name, value in self.__dict__.items():
            if name not in ("orders", "in_transaction"):
                setattr(clone, name, copy.deepcopy(value, memo))
        return clone

    def query(  # type: ignore[override]
        self,
        hash_key: DynamoType | None,
        range_comparison: str | None,
        range_objs: list[DynamoType],
        limit: int | None,
        exclusive_start_key: dict[str, Any] | None,
        scan_index_forward: bool,
        projection_expressions: list[list[str]] | None,
        index_name: str | None = None,
        consistent_read: bool = False,
        filter_expression: Any = None,
        **conditions: Any,
    ) -> tuple[list[Item], int, dict[str, Any] | None]:
        """moto's contract of Table.query: (items, scanned count, LastEvaluatedKey or None)."""
        order = self.orders.get(index_name)
        extra = conditions.keys() - {"hash_key_conditions", "range_key_conditions"}
        if order is None or extra or (index_name and consistent_read) or hash_key is None:
            own: Any = super().query
            start = (hash_key, range_comparison, range_objs, limit, exclusive_start_key, scan_index_forward)
            return own(*start, projection_expressions, index_name, consistent_read, filter_expression, **conditions)
        entries = order.partitions.get(sortable(hash_key), [])
        first, stop = order.span(entries, range_comparison, range_objs)
        if exclusive_start_key:
            after = self._entry_of(order, exclusive_start_key)
            if scan_index_forward:
                first = max(first, bisect_right(entries, after))
            else:
                stop = min(stop, bisect_left(entries, after))
        walk = range(first, stop) if scan_index_forward else range(stop - 1, first - 1, -1)
        items: list[Item] = []
        size = 0
        last: dict[str, Any] | None = None
        for at in walk:
            item = self._item_at(entries[at])
            size += item.size()
            if len(items) == limit or (items and size > RESULT_SIZE_LIMIT):
                last = self._get_last_evaluated_key(items[-1], index_name)
                break
            items.append(item)
        scanned = len(items)
        if index_name:
            index = self.get_index(index_name)
            items = [index.project(item) for item in items]
        if filter_expression is not None:
            items = [item for item in items if filter_expression.expr(item)]
        if projection_expressions:
            items = [item.project(projection_expressions) for item in items]
        return items, scanned, last

    def _entry_of(self, order: Order, key: dict[str, Any]) -> tuple[Any, ...]:
        def value(attr: str | None) -> Any:
            return sortable(DynamoType(key[attr])) if attr else ""

        return value(order.range_attr), value(self.hash_key_attr), value(self.range_key_attr)

    def _item_at(self, entry: tuple[Any, ...]) -> Item:
        key: Key = (
            DynamoType({self.hash_key_type: _wire(entry[1])}),
            DynamoType({self.range_key_type: _wire(entry[2])}) if self.range_key_type else None,
        )
        item = self.find(key)
        assert item is not None, f"{self.name}: an order knows {entry}, the table does not"
        return item


def _wire(value: Any) -> str:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return str(value)


class ItemBackend(DynamoDBBackend):
    """moto's DynamoDB with transactions that cost what they touch."""

    def transact_write_items(self, transact_items: list[dict[str, Any]]) -> None:
        before = [(table, key, copy.deepcopy(table.find(key))) for table, key in self._targets(transact_items)]
        tables = {table.name: table for table, _, _ in before}
        for table in tables.values():
            table.in_transaction = True
        try:
            super().transact_write_items(transact_items)
        except BaseException:
            for table, key, item in before:
                table.delete_item(*key)
                if item is not None:
                    table.put_item({name: value.to_json() for name, value in item.attrs.items()})
            raise
        finally:
            for table in tables.values():
                table.in_transaction = False

    def _targets(self, transact_items: list[dict[str, Any]]) -> Iterator[tuple[SortedTable, Key]]:
        for action in transact_items:
            operation = next(iter(action.values()))
            table = self.get_table(operation["TableName"])
            yield table, key_of(table, operation.get("Key") or operation["Item"])  # type: ignore[misc]


def key_of(table: Table, attributes: dict[str, Any]) -> Key:
    """The primary key in a request's Key or Item."""
    return (
        DynamoType(attributes[table.hash_key_attr]),
        DynamoType(attributes[table.range_key_attr]) if table.range_key_attr else None,
    )
