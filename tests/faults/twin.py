"""DynamoDB in memory: a few microseconds a request, so that every request of every scenario can be crashed.

As much of it as the store uses. `test_twin.py` holds it against DynamoDB Local, request by request.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

from botocore.exceptions import ClientError

from tests.support.template import table_request

Item = dict[str, Any]
Scope = tuple[dict[str, str], dict[str, Any]]  # names, values
_TOKENS = re.compile(r"\s*(<=|>=|<>|[=<>(),+-]|[#:]?\w+(?:\.[#]?\w+)*)")
_CLAUSES = ("SET", "ADD", "REMOVE", "DELETE")
_PATH_INVALID = "The document path provided in the update expression is invalid for update"
_DECLARED = table_request("any").get("GlobalSecondaryIndexes", [])
_INDEXES = {i["IndexName"]: [k["AttributeName"] for k in i["KeySchema"]] for i in _DECLARED}
_PROJECTED = {
    i["IndexName"]: {"pk", "sk", *_INDEXES[i["IndexName"]], *i["Projection"].get("NonKeyAttributes", [])} for i in _DECLARED
}
assert all(i["Projection"]["ProjectionType"] in ("KEYS_ONLY", "INCLUDE") for i in _DECLARED)


class Twin:
    """A client of one table. `watch(before, after)` is called with each item that a request has changed."""

    def __init__(self) -> None:
        self.items: dict[str, dict[str, Item]] = {}
        self.watch: Callable[[Item | None, Item | None], None] = lambda before, after: None

    def get_item(self, *, Key: Item, **_: Any) -> Any:
        item = self._at(Key)
        return {"Item": _copy(item)} if item is not None else {}

    def batch_get_item(self, *, RequestItems: dict[str, Any]) -> Any:
        ((name, wanted),) = RequestItems.items()
        keys = [(k["pk"]["S"], k["sk"]["S"]) for k in wanted["Keys"]]
        if len(keys) > 100 or len(set(keys)) < len(keys):
            raise _error("ValidationException", "too many keys, or one twice")
        return {"Responses": {name: [_copy(i) for k in wanted["Keys"] if (i := self._at(k)) is not None]}}

    def put_item(self, *, Item: Item, **request: Any) -> Any:
        self._check(self._at(Item), request)
        self._write(Item, _copy(Item))
        return {}

    def update_item(self, *, Key: Item, **request: Any) -> Any:
        before = self._at(Key)
        self._check(before, request)
        after = self._updated(Key, before, request)
        self._write(Key, after)
        return {"Attributes": _copy(after)}

    def delete_item(self, *, Key: Item, **_: Any) -> Any:
        self._write(Key, None)
        return {}

    def transact_write_items(self, *, TransactItems: list[dict[str, Any]], **_: Any) -> Any:
        todo, reasons = [], []
        for entry in TransactItems:
            ((kind, request),) = entry.items()
            key = request["Item"] if kind == "Put" else request["Key"]
            before = self._at(key)
            try:
                self._check(before, request)
                reasons.append({"Code": "None"})
            except ClientError as refused:
                found = refused.response.get("Item")
                reasons.append({"Code": "ConditionalCheckFailed", **({"Item": found} if found else {})})
                continue
            if kind == "Put":
                todo.append((key, _copy(request["Item"])))
            elif kind == "Update":
                todo.append((key, self._updated(key, before, request)))
        if any(r["Code"] != "None" for r in reasons):
            raise _error("TransactionCanceledException", "Transaction cancelled", CancellationReasons=reasons)
        for key, item in todo:
            self._write(key, item)
        return {}

    def query(self, *, KeyConditionExpression: str, **request: Any) -> Any:
        scope = (request.get("ExpressionAttributeNames", {}), request.get("ExpressionAttributeValues", {}))
        index = request.get("IndexName")
        keys = _INDEXES[index] if index else ["pk", "sk"]
        holds = _condition(KeyConditionExpression)
        found = [i for i in self._candidates(KeyConditionExpression, scope, index) if keys[-1] in i and holds(i, scope)]
        order = [keys[-1], "pk", "sk"]
        found.sort(key=lambda i: [_plain(i[k]) for k in order], reverse=not request.get("ScanIndexForward", True))
        if "ExclusiveStartKey" in request:
            start = [_plain(request["ExclusiveStartKey"][k]) for k in order]
            later = (lambda a, b: a > b) if request.get("ScanIndexForward", True) else (lambda a, b: a < b)
            found = [i for i in found if later([_plain(i[k]) for k in order], start)]
        page = found[: request.get("Limit", 1_000_000)]
        answer: dict[str, Any] = {}
        if "Limit" in request and len(page) == request["Limit"]:  # as DynamoDB does: also when there is nothing behind it
            answer["LastEvaluatedKey"] = {k: page[-1][k] for k in {*keys, "pk", "sk"}}
        if "FilterExpression" in request:
            wanted = _condition(request["FilterExpression"])
            page = [i for i in page if wanted(i, scope)]
        if index:
            page = [{k: v for k, v in i.items() if k in _PROJECTED[index]} for i in page]
        return answer | {"Items": _copy(page)}

    def decoded(self) -> Iterator[Item]:
        """Every item, as it is stored."""
        for partition in self.items.values():
            yield from partition.values()

    def _candidates(self, text: str, scope: Scope, index: str | None) -> list[Item]:
        if index:
            return list(self.decoded())
        pk = re.match(r"pk = (:\w+)", text)
        assert pk
        return list(self.items.get(scope[1][pk[1]]["S"], {}).values())

    def _at(self, key: Item) -> Item | None:
        return self.items.get(key["pk"]["S"], {}).get(key["sk"]["S"])

    def _write(self, key: Item, after: Item | None) -> None:
        pk, sk = key["pk"]["S"], key["sk"]["S"]
        before = self.items.get(pk, {}).get(sk)
        if after is None:
            self.items.get(pk, {}).pop(sk, None)
        else:
            self.items.setdefault(pk, {})[sk] = after
        self.watch(before, after)

    def _check(self, before: Item | None, request: dict[str, Any]) -> None:
        text = request.get("ConditionExpression")
        if text is None:
            return
        scope = (request.get("ExpressionAttributeNames", {}), request.get("ExpressionAttributeValues", {}))
        if not _condition(text)(before or {}, scope):
            extra = {"Item": _copy(before)} if before is not None else {}
            raise _error("ConditionalCheckFailedException", "The conditional request failed", **extra)

    def _updated(self, key: Item, before: Item | None, request: dict[str, Any]) -> Item:
        scope = (request.get("ExpressionAttributeNames", {}), request.get("ExpressionAttributeValues", {}))
        item = _copy(before) if before is not None else {"pk": key["pk"], "sk": key["sk"]}
        old = before if before is not None else item
        changes = [change(old, scope) for change in _update(request["UpdateExpression"])]
        for change in changes:
            change(item)
        return item


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _copy(v) for k, v in value.items()}
    return [_copy(v) for v in value] if isinstance(value, list) else value


def _error(code: str, message: str, **extra: Any) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}, **extra}, "twin")  # type: ignore[arg-type]


def _plain(attribute: Any) -> Any:
    ((kind, value),) = attribute.items()
    if kind == "N":
        return float(value) if any(c in value for c in ".eE") else int(value)
    return value


def _steps(path: str, names: dict[str, str]) -> list[str]:
    return [names[p] if p.startswith("#") else p for p in path.split(".")]


def _find(item: Item, path: str, names: dict[str, str]) -> Any:
    found: Any = {"M": item}
    for step in _steps(path, names):
        if found is None or "M" not in found:
            return None
        found = found["M"].get(step)
    return found


class _Words:
    def __init__(self, text: str) -> None:
        self.words = _TOKENS.findall(text)
        self.at = 0

    def next(self) -> str:
        self.at += 1
        return str(self.words[self.at - 1])

    def peek(self) -> str:
        return str(self.words[self.at]) if self.at < len(self.words) else ""

    def take(self, word: str) -> bool:
        if self.peek() == word:
            self.at += 1
            return True
        return False

    def expect(self, word: str) -> None:
        assert self.take(word), (word, self.words, self.at)


Operand = Callable[[Item, Scope], Any]
Holds = Callable[[Item, Scope], bool]


def _operand(words: _Words) -> Operand:
    word = words.next()
    if word.startswith(":"):
        return lambda item, scope: scope[1][word]
    if words.peek() == "(":
        words.expect("(")
        if word == "if_not_exists":
            path = words.next()
            words.expect(",")
            other = _operand(words)
            words.expect(")")

            def kept(item: Item, scope: Scope) -> Any:
                there = _find(item, path, scope[0])
                return there if there is not None else other(item, scope)

            return kept
        assert word == "list_append", word
        first = _operand(words)
        words.expect(",")
        second = _operand(words)
        words.expect(")")
        return lambda item, scope: {"L": first(item, scope)["L"] + second(item, scope)["L"]}
    return lambda item, scope: _find(item, word, scope[0])


@lru_cache(maxsize=1000)
def _condition(text: str) -> Holds:
    words = _Words(text)
    holds = _or(words)
    assert words.at == len(words.words), text
    return holds


def _or(words: _Words) -> Holds:
    parts = [_and(words)]
    while words.take("OR"):
        parts.append(_and(words))
    return parts[0] if len(parts) == 1 else lambda item, scope: any(p(item, scope) for p in parts)


def _and(words: _Words) -> Holds:
    parts = [_term(words)]
    while words.take("AND"):
        parts.append(_term(words))
    return parts[0] if len(parts) == 1 else lambda item, scope: all(p(item, scope) for p in parts)


_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda a, b: a == b,
    "<>": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


def _term(words: _Words) -> Holds:
    if words.take("("):
        inner = _or(words)
        words.expect(")")
        return inner
    if words.peek() in ("attribute_exists", "attribute_not_exists"):
        wanted = words.next() == "attribute_exists"
        words.expect("(")
        path = words.next()
        words.expect(")")
        return lambda item, scope: (_find(item, path, scope[0]) is not None) == wanted
    left = _operand(words)
    word = words.next()
    if word == "BETWEEN":
        low = _operand(words)
        words.expect("AND")
        high = _operand(words)

        def between(item: Item, scope: Scope) -> bool:
            value = left(item, scope)
            return value is not None and _plain(low(item, scope)) <= _plain(value) <= _plain(high(item, scope))

        return between
    if word == "IN":
        words.expect("(")
        choices = [_operand(words)]
        while words.take(","):
            choices.append(_operand(words))
        words.expect(")")
        return lambda item, scope: left(item, scope) in [c(item, scope) for c in choices]
    right, compare = _operand(words), _COMPARE[word]

    def compared(item: Item, scope: Scope) -> bool:
        a, b = left(item, scope), right(item, scope)
        if a is None or b is None or list(a) != list(b):
            return word == "<>"
        return compare(_plain(a), _plain(b))

    return compared


Change = Callable[[Item, Scope], Callable[[Item], None]]


@lru_cache(maxsize=1000)
def _update(text: str) -> tuple[Change, ...]:
    words = _Words(text)
    changes: list[Change] = []
    while words.peek():
        clause = words.next()
        assert clause in _CLAUSES, text
        while True:
            path = words.next()
            if clause == "REMOVE":
                changes.append(_remove(path))
            else:
                if clause == "SET":
                    words.expect("=")
                changes.append({"SET": _set, "ADD": _add, "DELETE": _delete}[clause](path, _operand(words)))
            if not words.take(","):
                break
    return tuple(changes)


def _parent(item: Item, path: str, names: dict[str, str]) -> tuple[Item | None, str]:
    *before, last = _steps(path, names)
    place: Any = {"M": item}
    for step in before:
        place = place["M"].get(step)
        if place is None or "M" not in place:
            return None, last
    return place["M"], last


def _set(path: str, value: Operand) -> Change:
    def change(old: Item, scope: Scope) -> Callable[[Item], None]:
        new = value(old, scope)
        if new is None:
            raise _error("ValidationException", "The provided expression refers to an attribute that does not exist in the item")
        if _parent(old, path, scope[0])[0] is None:
            raise _error("ValidationException", _PATH_INVALID)

        def apply(item: Item) -> None:
            place, name = _parent(item, path, scope[0])
            assert place is not None
            place[name] = _copy(new)

        return apply

    return change


def _remove(path: str) -> Change:
    def change(old: Item, scope: Scope) -> Callable[[Item], None]:
        if _parent(old, path, scope[0])[0] is None:
            raise _error("ValidationException", _PATH_INVALID)

        def apply(item: Item) -> None:
            place, name = _parent(item, path, scope[0])
            if place is not None:
                place.pop(name, None)

        return apply

    return change


def _add(path: str, value: Operand) -> Change:
    def change(old: Item, scope: Scope) -> Callable[[Item], None]:
        more, there = value(old, scope), _find(old, path, scope[0])
        if "N" in more:
            new = {"N": repr((_plain(there) if there else 0) + _plain(more))}
        else:
            new = {"SS": sorted({*(there or {"SS": []})["SS"], *more["SS"]})}
        return _set(path, lambda item, scope: new)(old, scope)

    return change


def _delete(path: str, value: Operand) -> Change:
    def change(old: Item, scope: Scope) -> Callable[[Item], None]:
        there = _find(old, path, scope[0])
        left = sorted({*(there or {"SS": []})["SS"]} - {*value(old, scope)["SS"]})
        return _set(path, lambda item, scope: {"SS": left})(old, scope) if left else _remove(path)(old, scope)

    return change
