"""Tasks and instants for tests of the timetable."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from chalicelib.domain.model import Task


def make_task(**fields: Any) -> Task:
    """A task of the given fields, as they are written in YAML."""
    return Task.model_validate({"id": "sample", "pipeline": "p", **fields})


def ms(text: str) -> int:
    """`2026-03-29 01:00` in UTC as epoch milliseconds."""
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def utc(at: int) -> str:
    """The way back; seconds only where there are any."""
    moment = datetime.fromtimestamp(at / 1000, UTC)
    return f"{moment:%Y-%m-%d %H:%M:%S}".removesuffix(":00")


def first(fires: Iterator[Any], count: int) -> list[str]:
    """The first fires as text."""
    return [utc(fire.at) for fire, _ in zip(fires, range(count), strict=False)]
