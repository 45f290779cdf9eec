"""Where steps read and write: local paths and s3:// ones alike.

A relative source is looked up in the run's workspace, then in chalicelib/tasks/, where a project keeps its inputs; a
relative destination is always in the workspace. An absolute path is taken as it is, unless an argument of the run brought
it: those may name places in the workspace and in S3 only. Nothing in the workspace or in chalicelib/tasks/ leads out of it,
neither by `..` nor by a symbolic link. In destinations {date}, {time}, {run_id} and {task_id} stand for those of the run.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from chalicelib.domain.errors import StepError
from chalicelib.domain.handle import RunHandle
from chalicelib.processors import clients
from chalicelib.processors.failures import said_plainly
from chalicelib.processors.globs import WILD, literal_start, matches
from chalicelib.processors.locations import (
    Location,
    boundary_of,
    checked_location,
    destination_of,
    file_below,
    places_of,
    remote,
    resolved,
)

if TYPE_CHECKING:
    from cloudpathlib import S3Path

    from chalicelib.processors.locations import AnyPath as AnyPath

__all__ = [
    "Entry",
    "Found",
    "Location",
    "checked_location",
    "destination_of",
    "file_below",
    "files_below",
    "files_root",
    "find",
    "find_folder",
    "into_folder",
    "previous_path",
]


@dataclass(frozen=True)
class Entry:
    """One file: where it is, its name below what was asked for (with /), bytes, and when it changed (epoch seconds)."""

    path: AnyPath
    name: str
    size: int
    modified: float


@dataclass(frozen=True)
class Found:
    """What a source is: one file (`folder` False, one entry), or the files below `root`; with `glob` only some of them."""

    root: AnyPath
    folder: bool
    entries: list[Entry]
    glob: bool = False

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(entry.size for entry in self.entries)


def find(run: RunHandle, text: str, project: bool = True, *, missing_ok: bool = False, links: bool = False) -> Found:
    """The file, the folder's files or the glob's matches, sorted by name. StepError when there is nothing.

    A path that is there as it stands is no glob. `project` False looks in the workspace only: for what will be moved or
    changed. With `missing_ok` nothing is an empty folder. With `links` a symbolic link is a file of its own, never followed.
    """
    parts = _parts(text)
    wild = next((i for i, part in enumerate(parts) if WILD.search(part)), len(parts))
    pattern = "".join(parts[wild:])
    places = places_of(run, text, project, follow=not links)
    with said_plainly(f"reading '{text}'"):
        for root in places:
            found = _at(run, root, links)
            if found is not None:
                return found
        if pattern:
            places = places_of(run, "".join(parts[:wild]) or ".", project)
            for root in places:
                entries = _below(root, boundary_of(run, root), links, literal_start(pattern))
                matching = [entry for entry in entries if matches(entry.name, pattern)]
                if matching:
                    return Found(root, True, matching, glob=True)
    if missing_ok:
        return Found(places[0], True, [], glob=bool(pattern))
    looked = " and ".join(str(root) for root in places)
    raise StepError(f"{'no file matches' if pattern else 'there is nothing at'} '{text}' (looked at {looked})")


def find_folder(run: RunHandle, text: str) -> Path:
    """A local folder that is there, looked up like any source. StepError when it is not."""
    for place in places_of(run, text):
        if isinstance(place, Path) and place.is_dir():
            return place
    raise StepError(f"'{text}' is no local folder")


def into_folder(text: str, destination: AnyPath) -> bool:
    """Whether a file goes into this destination: its text ends in /, or it is a bucket or a folder that is there."""
    return text.endswith("/") or (destination.is_dir() if isinstance(destination, Path) else not destination.key)


def previous_path(run: RunHandle) -> str:
    """The `path` of the last step that gave one. StepError when none did."""
    for output in (run.previous, *reversed(run.outputs.values())):
        if isinstance(output, dict) and output.get("path"):
            return str(output["path"])
    raise StepError("no step before this one gave a path: say `source`")


def files_below(root: AnyPath) -> list[Entry]:
    """Every file below a folder, sorted by name; links to folders are not followed."""
    return _below(root, None, False, "")


def files_root(run: RunHandle) -> str:
    """Where a task keeps what outlives its run: the project's bucket, or the workspace where there is none."""
    bucket = os.environ.get("NIGHTSHIFT_BUCKET")
    return f"s3://{bucket}" if bucket else str(run.workspace)


def _at(run: RunHandle, root: AnyPath, links: bool) -> Found | None:
    """What is at a place, None for nothing."""
    if isinstance(root, Path) and links and root.is_symlink():
        return Found(root, False, [_entry(root, root.name, follow=False)])
    if root.is_dir():
        return Found(root, True, _below(root, boundary_of(run, root), links, ""))
    if not root.exists():
        return None
    if isinstance(root, Path) and not root.is_file() and not links:
        raise StepError(f"{root} is neither a file nor a folder")
    return Found(root, False, [_entry(root, root.name)])


def _below(root: AnyPath, boundary: Path | None, links: bool, start: str) -> list[Entry]:
    """Every file below a folder, sorted by name; in S3 only those whose name begins with `start`."""
    found = _local(root, boundary, links) if isinstance(root, Path) else _objects(root, start)
    return sorted(found, key=lambda entry: entry.name)


def _local(root: Path, boundary: Path | None, links: bool) -> Iterator[Entry]:
    for folder, folders, names in os.walk(root, onerror=_unless_gone):
        for name in [*names, *(name for name in folders if links and os.path.islink(os.path.join(folder, name)))]:
            path = Path(folder) / name
            below = path.relative_to(root).as_posix()
            if links:
                yield _entry(path, below, follow=False)
            elif path.is_file():
                _tellable(below)
                if boundary is not None and path.is_symlink() and not resolved(path).is_relative_to(boundary):
                    raise StepError(f"'{below}' in {root} is a symbolic link that leads out of {boundary}: it is not followed")
                yield _entry(path, below)


def _objects(root: S3Path, start: str) -> Iterator[Entry]:
    prefix = f"{root.key.rstrip('/')}/" if root.key.strip("/") else ""
    pages = clients.client("s3").get_paginator("list_objects_v2").paginate(Bucket=root.bucket, Prefix=prefix + start)
    for item in (item for page in pages for item in page.get("Contents", [])):
        if not item["Key"].endswith("/"):
            path = remote(f"s3://{root.bucket}/{item['Key']}")
            yield Entry(path, item["Key"].removeprefix(prefix), item["Size"], item["LastModified"].timestamp())


def _unless_gone(error: OSError) -> None:
    """A folder that cannot be read fails the step: what it holds would silently be missing."""
    if not isinstance(error, FileNotFoundError):
        raise error


def _tellable(name: str) -> None:
    """StepError for a name that is no text, which can be neither shown nor uploaded."""
    try:
        name.encode()
    except UnicodeEncodeError:
        raise StepError(f"the file name {os.fsencode(name)!r} is not UTF-8: rename it") from None


def _entry(path: AnyPath, name: str, follow: bool = True) -> Entry:
    stat = path.stat() if follow or not isinstance(path, Path) else path.lstat()
    return Entry(path, name, stat.st_size, stat.st_mtime)


def _parts(text: str) -> list[str]:
    """The text cut after each slash; `s3://bucket/` stays whole."""
    head = re.match(r"s3://[^/]*/?", text)
    start = head[0] if head else ""
    return ([start] if start else []) + re.findall(r"[^/]*/|[^/]+", text[len(start) :])
