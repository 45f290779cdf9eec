"""The table's door: the few kinds of request there are, with DynamoDB's refusals as errors that can be read.

All reads are consistent unless an index is asked (indexes cannot be).
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Iterator, Sequence
from typing import Any

from botocore.exceptions import ClientError

from chalicelib.store.codec import Item, decode_item, encode, encode_item

Key = tuple[str, str]
BATCH = 100
CONFLICTS = 30
LONGEST_WAIT = 0.3  # seconds between two tries


class ConditionFailed(Exception):
    """A condition did not hold. `item` is what is there instead (None: nothing); for a transaction the first refused one."""

    def __init__(self, item: dict[str, Any] | None = None, position: int = 0) -> None:
        super().__init__("a condition did not hold")
        self.item = item
        self.position = position


class PathMissing(Exception):
    """An update names a place inside a map that is not there yet."""


class Table:
    """One DynamoDB table."""

    def __init__(self, client: Any, name: str) -> None:
        self.client = client
        self.name = name

    def get(self, key: Key, attributes: list[str] | None = None) -> dict[str, Any] | None:
        """The item, or None."""
        extra: dict[str, Any] = {}
        if attributes:
            extra = {
                "ProjectionExpression": ",".join(f"#{i}" for i in range(len(attributes))),
                "ExpressionAttributeNames": {f"#{i}": a for i, a in enumerate(attributes)},
            }
        answer = self.client.get_item(TableName=self.name, Key=_key(key), ConsistentRead=True, **extra)
        return decode_item(answer["Item"]) if "Item" in answer else None

    def get_many(self, keys: list[Key], attributes: Sequence[str] = ()) -> dict[Key, dict[str, Any]]:
        """The items that exist, by key; only some attributes and the key where they are named, which is less to carry."""
        found: dict[Key, dict[str, Any]] = {}
        how: dict[str, Any] = {"ConsistentRead": True}
        if attributes:
            names = {f"#{i}": name for i, name in enumerate(("pk", "sk", *attributes))}
            how |= {"ProjectionExpression": ",".join(names), "ExpressionAttributeNames": names}
        for start in range(0, len(keys), BATCH):
            wanted: dict[str, Any] = {self.name: {"Keys": [_key(k) for k in keys[start : start + BATCH]], **how}}
            while wanted:
                answer = self.client.batch_get_item(RequestItems=wanted)
                for raw in answer["Responses"].get(self.name, []):
                    item = decode_item(raw)
                    found[item["pk"], item["sk"]] = item
                wanted = answer.get("UnprocessedKeys") or {}
        return found

    def put(self, item: dict[str, Any], condition: str | None = None, **values: Any) -> None:
        """Write a whole item. Raises ConditionFailed."""
        self._write(self.client.put_item, self.put_request(item, condition, **values))

    def put_request(self, item: dict[str, Any], condition: str | None = None, **values: Any) -> dict[str, Any]:
        """The request of `put`, for a transaction."""
        request: dict[str, Any] = {"TableName": self.name, "Item": encode_item(item)}
        if condition:
            request |= {"ConditionExpression": condition, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
        if values:
            request["ExpressionAttributeValues"] = {f":{name}": encode(value) for name, value in values.items()}
        return request

    def update(
        self, key: Key, change: str, condition: str | None = None, aliases: dict[str, str] | None = None, **values: Any
    ) -> dict[str, Any]:
        """Update an item and give it back whole as it is now. Raises ConditionFailed, PathMissing.

        `:name` in the expressions stands for values["name"]; `#name` for the attribute aliases["name"], or of that very name.
        """
        request = self.update_request(key, change, condition, aliases, **values)
        return decode_item(self._write(self.client.update_item, request | {"ReturnValues": "ALL_NEW"})["Attributes"])

    def update_request(
        self, key: Key, change: str, condition: str | None = None, aliases: dict[str, str] | None = None, **values: Any
    ) -> dict[str, Any]:
        """The request of `update`, for a transaction."""
        aliases = aliases or {}
        text = f"{change} {condition or ''}"
        names = {w: aliases.get(w[1:], w[1:]) for w in _words(text, "#")}
        placeholders = {w: encode(values[w[1:]]) for w in _words(text, ":")}
        request: dict[str, Any] = {"TableName": self.name, "Key": _key(key), "UpdateExpression": change}
        if names:
            request["ExpressionAttributeNames"] = names
        if placeholders:
            request["ExpressionAttributeValues"] = placeholders
        if condition:
            request |= {"ConditionExpression": condition, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
        return request

    def _write(self, send: Any, request: dict[str, Any]) -> Any:
        """Send a write of one item; one that meets a transaction on it is tried again, as the SDK does not."""
        for attempt in range(CONFLICTS):
            try:
                with _refusals():
                    return send(**request)
            except ClientError as error:
                if error.response["Error"]["Code"] != "TransactionConflictException" or attempt == CONFLICTS - 1:
                    raise
                _wait(attempt)
        raise AssertionError("never reached")

    def delete(self, key: Key) -> None:
        """Remove an item, if it is there."""
        self._write(self.client.delete_item, {"TableName": self.name, "Key": _key(key)})

    def query(
        self,
        condition: str,
        aliases: dict[str, str] | None = None,
        *,
        index: str | None = None,
        newest_first: bool = False,
        page: int | None = None,
        limit: int | None = None,
        start: Item | None = None,
        filter_by: str | None = None,
        **values: Any,
    ) -> Iterator[dict[str, Any]]:
        """Items in key order, read `page` at a time as they are asked for, until `limit` came or there are no more."""
        text = f"{condition} {filter_by or ''}"
        names = {w: (aliases or {}).get(w[1:], w[1:]) for w in _words(text, "#")}
        request: dict[str, Any] = {
            "TableName": self.name,
            "KeyConditionExpression": condition,
            "ExpressionAttributeValues": {w: encode(values[w[1:]]) for w in _words(text, ":")},
            "ScanIndexForward": not newest_first,
            "ConsistentRead": index is None,
            "IndexName": index,
            "FilterExpression": filter_by,
            "ExpressionAttributeNames": names,
            "Limit": page or limit,
            "ExclusiveStartKey": start,
        }
        count = 0
        while True:
            answer = self.client.query(**{k: v for k, v in request.items() if v not in (None, {})})
            for raw in answer["Items"]:
                yield decode_item(raw)
                count += 1
                if count == limit:
                    return
            request["ExclusiveStartKey"] = answer.get("LastEvaluatedKey")
            if not request["ExclusiveStartKey"]:
                return

    def transact(self, requests: list[tuple[str, dict[str, Any]]]) -> None:
        """All or nothing: [("Put" | "Update" | "ConditionCheck", request)]. Raises ConditionFailed.

        A conflict with another transaction on the same item changes nothing and is tried again.
        """
        for attempt in range(CONFLICTS):
            try:
                self.client.transact_write_items(TransactItems=[{kind: request} for kind, request in requests])
                return
            except ClientError as error:
                reasons = error.response.get("CancellationReasons")
                if not reasons:
                    raise
                for position, reason in enumerate(reasons):
                    if reason.get("Code") == "ConditionalCheckFailed":
                        item: Any = reason.get("Item")
                        raise ConditionFailed(decode_item(item) if item else None, position) from None
                if attempt == CONFLICTS - 1 or not any(r.get("Code") == "TransactionConflict" for r in reasons):
                    raise
                _wait(attempt)


class _refusals:
    """Turns DynamoDB's refusals into ConditionFailed and PathMissing."""

    def __enter__(self) -> None: ...

    def __exit__(self, _kind: Any, error: Any, _trace: Any) -> None:
        if not isinstance(error, ClientError):
            return
        code = error.response["Error"]["Code"]
        if code == "ConditionalCheckFailedException":
            item: Any = error.response.get("Item")
            raise ConditionFailed(decode_item(item) if item else None) from None
        if code == "ValidationException" and "document path" in error.response["Error"].get("Message", ""):
            raise PathMissing from None


def _wait(attempt: int) -> None:
    time.sleep(random.uniform(0, min(LONGEST_WAIT, 0.02 * 2**attempt)))


def _key(key: Key) -> Item:
    return {"pk": {"S": key[0]}, "sk": {"S": key[1]}}


def _words(text: str, mark: str) -> set[str]:
    """`#status`, `:now` … in an expression."""
    return set(re.findall(mark + r"\w+", text))
