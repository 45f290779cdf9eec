"""Values as DynamoDB takes them.

boto3's TypeSerializer refuses floats and gives Decimals back; what people say (arguments, results) may hold any JSON number. So
that goes in as JSON text, and the few types left are these.
"""

from __future__ import annotations

import json
import zlib
from typing import Any

Item = dict[str, Any]


def encode(value: Any) -> dict[str, Any]:
    """One attribute value. None is for the caller to leave out."""
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, int | float):
        return {"N": repr(value)}
    if isinstance(value, str):
        return {"S": value}
    if isinstance(value, bytes):
        return {"B": value}
    if isinstance(value, set | frozenset):
        return {"SS": sorted(value)}
    if isinstance(value, list):
        return {"L": [encode(v) for v in value]}
    if isinstance(value, dict):
        return {"M": encode_item(value)}
    raise TypeError(f"no attribute value for {type(value).__name__}")


def encode_item(values: dict[str, Any]) -> Item:
    """An item; attributes that are None are left out."""
    return {k: encode(v) for k, v in values.items() if v is not None}


def decode(attribute: dict[str, Any]) -> Any:
    """The Python value of one attribute."""
    ((kind, value),) = attribute.items()
    if kind == "N":
        return float(value) if any(c in value for c in ".eE") else int(value)
    if kind == "SS":
        return frozenset(value)
    if kind == "L":
        return [decode(v) for v in value]
    if kind == "M":
        return decode_item(value)
    if kind == "NULL":
        return None
    return value


def decode_item(item: Item) -> dict[str, Any]:
    """The Python values of an item."""
    return {k: decode(v) for k, v in item.items()}


def to_json(value: Any) -> str:
    """Compact JSON; what JSON does not know becomes its text. Raises TypeError, ValueError (keys that are no text, cycles)."""
    return printable(json.dumps(value, separators=(",", ":"), default=str, ensure_ascii=False))


def printable(text: str) -> str:
    """The text with halves of characters, which no UTF-8 can carry, as question marks."""
    if text.isascii():
        return text
    return text.encode(errors="replace").decode()


def pack(events: list[dict[str, Any]]) -> bytes:
    """Events as they are stored: JSON, deflated. Lines repeat themselves, write units are by the kilobyte."""
    return zlib.compress(to_json(events).encode(), 6)


def unpack(packed: bytes) -> list[dict[str, Any]]:
    """The events of `pack`."""
    return json.loads(zlib.decompress(packed)) if packed else []
