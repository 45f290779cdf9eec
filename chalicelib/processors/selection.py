"""Which of the files that were found a step is about."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Literal

from pydantic import AfterValidator, ByteSize, Field

from chalicelib.processors.base import Duration
from chalicelib.processors.globs import matches_any
from chalicelib.processors.paths import Entry, Found


def _relative(patterns: tuple[str, ...]) -> tuple[str, ...]:
    for pattern in patterns:
        if not pattern.strip("/. ") or pattern.startswith("/"):
            raise ValueError(f"'{pattern}' is no glob of names below the source: write it like *.tmp or cache/**")
    return patterns


Exclude = Annotated[
    tuple[str, ...],
    AfterValidator(_relative),
    Field(description="Globs of files to leave out, below the source", examples=[["*.tmp", "cache/**"]]),
]
OlderThan = Annotated[Duration | None, Field(description="Only files unchanged for so long: 12h, 7d", examples=["12h", "7d"])]
NewerThan = Annotated[Duration | None, Field(description="Only files changed since so long ago: 1h, 1d", examples=["1d"])]
MinSize = Annotated[
    ByteSize | None, Field(description="Only files of at least so many bytes: 500kB, 10MB", examples=["500kB", "10MB"])
]
Missing = Annotated[
    Literal["fail", "ignore"],
    Field(description="When the source is not there, or nothing matches: fail, or go on with no files"),
]


def chosen(
    found: Found,
    exclude: Sequence[str] = (),
    older_than: float | None = None,
    newer_than: float | None = None,
    min_size: int | None = None,
) -> Found:
    """The same without the files that a condition leaves out."""
    now = time.time()

    def is_meant(entry: Entry) -> bool:
        age = now - entry.modified
        return (
            (older_than is None or age >= older_than)
            and (newer_than is None or age < newer_than)
            and (min_size is None or entry.size >= min_size)
            and not matches_any(entry.name, exclude)
        )

    return replace(found, entries=[entry for entry in found.entries if is_meant(entry)])
