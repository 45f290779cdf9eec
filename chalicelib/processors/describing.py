"""What a step would do, in words; for a dry run."""

from __future__ import annotations

from collections.abc import Callable

from chalicelib.domain.errors import StepError
from chalicelib.domain.handle import RunHandle
from chalicelib.processors.meter import size_text
from chalicelib.processors.paths import Found, find


def source_text(
    run: RunHandle, source: str | None, only: Callable[[Found], Found] = lambda found: found, project: bool = True
) -> str:
    """`12 files (3.4 MB) of './logs'`, where that can be seen without a request; else the place alone."""
    if source is None:
        return "what the step before has made"
    if source.startswith("s3://") or "${" in source:
        return f"'{source}'"
    try:
        found = find(run, source, project, missing_ok=True)
        if not found.entries and not found.root.exists():
            return f"'{source}' (not there yet)"
        found = only(found)
    except StepError as error:
        return f"'{source}' (which would fail: {error.message})"
    if not found.folder and found.entries:
        return f"'{source}' ({size_text(found.size)})"
    return f"{count_text(len(found.entries))} ({size_text(found.size)}) of '{source}'"


def count_text(count: int, what: str = "file") -> str:
    """`1 file`, `12 files`."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"
