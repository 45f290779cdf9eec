"""DynamoDB's attribute values as JSON, and back."""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import Any

from chalicelib.processors.rows import Digits


def plain(attribute: dict[str, Any]) -> Any:
    """The value as people write it: numbers with their digits, sets as sorted lists, binary as base64."""
    ((kind, value),) = attribute.items()
    if kind == "N":
        return Digits(value)
    if kind == "NULL":
        return None
    if kind == "B":
        return b64encode(value).decode()
    if kind == "L":
        return [plain(one) for one in value]
    if kind == "M":
        return {name: plain(one) for name, one in value.items()}
    if kind == "NS":
        return [Digits(one) for one in sorted(value, key=float)]
    if kind == "BS":
        return sorted(b64encode(one).decode() for one in value)
    return sorted(value) if kind == "SS" else value


def attribute_value(value: Any) -> dict[str, Any]:
    """The attribute value of a JSON value."""
    if value is None:
        return {"NULL": True}
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, int | float):
        return {"N": repr(value)}
    if isinstance(value, list):
        return {"L": [attribute_value(one) for one in value]}
    if isinstance(value, dict):
        return {"M": {name: attribute_value(one) for name, one in value.items()}}
    return {"S": str(value)}


def to_json(item: dict[str, Any]) -> dict[str, Any]:
    """An item of attribute values in DynamoDB's JSON: binary is base64, sets are in order, the rest is as it is."""
    return {name: _converted(attribute, lambda content: b64encode(content).decode()) for name, attribute in item.items()}


def from_json(item: dict[str, Any]) -> dict[str, Any]:
    """The attribute values of an item in DynamoDB's JSON."""
    return {name: _converted(attribute, b64decode) for name, attribute in item.items()}


def _converted(attribute: dict[str, Any], binary: Any) -> dict[str, Any]:
    ((kind, value),) = attribute.items()
    if kind == "B":
        return {kind: binary(value)}
    if kind == "BS":
        return {kind: sorted(binary(one) for one in value)}
    if kind in ("SS", "NS"):
        return {kind: sorted(value)}
    if kind == "L":
        return {kind: [_converted(one, binary) for one in value]}
    if kind == "M":
        return {kind: {name: _converted(one, binary) for name, one in value.items()}}
    return attribute
