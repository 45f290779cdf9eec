"""Which file goes where."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from chalicelib.domain.errors import StepError
from chalicelib.domain.handle import RunHandle
from chalicelib.processors.failures import said_plainly
from chalicelib.processors.paths import Entry, Found, destination_of, file_below, files_below, into_folder

if TYPE_CHECKING:
    from chalicelib.processors.locations import AnyPath

Existing = Annotated[
    Literal["replace", "skip", "fail"],
    Field(description="What of files that are at the destination already: replace them, leave them, or fail beforehand"),
]
_MOST_NAMED = 3
_FEW = 10  # up to so many are asked for one by one


def paired(run: RunHandle, found: Found, destination: str) -> tuple[AnyPath, list[tuple[Entry, AnyPath]]]:
    """Where it all goes, and each file's place: a folder's below the destination, one file at it or into it."""
    target = destination_of(run, destination)
    if found.folder:
        pairs = below(run, found.entries, target)
    else:
        target = file_below(run, target, found.root.name) if into_folder(destination, target) else target
        pairs = [(entry, target) for entry in found.entries]
    for entry, place in pairs:
        if str(entry.path) == str(place):
            raise StepError(f"'{destination}' is the source itself: name another destination")
    return target, pairs


def below(run: RunHandle, entries: Sequence[Entry], folder: AnyPath) -> list[tuple[Entry, AnyPath]]:
    """Each file with its place below a folder."""
    return [(entry, file_below(run, folder, entry.name)) for entry in entries]


def without_existing(folder: AnyPath, pairs: list[tuple[Entry, AnyPath]], existing: str) -> list[tuple[Entry, AnyPath]]:
    """The pairs to act on. StepError when `existing` is `fail` and one of the targets is there."""
    if existing == "replace":
        return pairs
    with said_plainly(f"looking at {folder}"):
        there = _there(folder, pairs)
    if there and existing == "fail":
        named = ", ".join(there[:_MOST_NAMED]) + (f" and {len(there) - _MOST_NAMED} more" if len(there) > _MOST_NAMED else "")
        raise StepError(f"{named} exists already: nothing was written; name another destination, or say existing: replace")
    known = set(there)
    return [(entry, target) for entry, target in pairs if str(target) not in known]


def _there(folder: AnyPath, pairs: list[tuple[Entry, AnyPath]]) -> list[str]:
    if isinstance(folder, Path) or len(pairs) <= _FEW:
        return [str(target) for _, target in pairs if target.exists()]
    known = {str(entry.path) for entry in files_below(folder)}
    return [str(target) for _, target in pairs if str(target) in known]
