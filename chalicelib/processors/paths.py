"""Where steps read and write: local paths and s3:// ones alike.

A relative source is looked up in the run's workspace, then in chalicelib/tasks/, where a project keeps its inputs; a
relative destination is always in the workspace. An absolute path is taken as it is. In destinations {date}, {time},
{run_id} and {task_id} stand for those of the run.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator

from chalicelib.domain.errors import StepError
from chalicelib.domain.handle import RunHandle
from chalicelib.processors import clients
from chalicelib.processors.failures import said_plainly

if TYPE_CHECKING:
    from cloudpathlib import S3Path

    AnyPath = Path | S3Path

PROJECT = Path(__file__).resolve().parent.parent / "tasks"

_BUCKET = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(/.*)?", re.DOTALL)
_PLACEHOLDER = re.compile(r"\{(date|time|run_id|task_id)\}")
_WILD = re.compile(r"[*?\[]")


def checked_location(text: str) -> str:
    """The text of a path that could be meant; ValueError says what is wrong with others."""
    if not text.strip() or "\0" in text:
        raise ValueError("a path is wanted, like ./data, /var/log or s3://bucket/prefix/")
    if text.startswith("s3://"):
        if not _BUCKET.fullmatch(text):
            raise ValueError(f"'{text}' names no bucket: write it like s3://bucket/prefix/")
    elif "://" in text:
        raise ValueError(f"'{text}' is neither a local path nor an s3:// one")
    elif not os.path.isabs(text) and os.path.normpath(text).split(os.sep)[0] == "..":
        raise ValueError(f"'{text}' leads out of the run's workspace: drop the '..', or give an absolute path")
    return text


Location = Annotated[str, AfterValidator(checked_location)]


@dataclass(frozen=True)
class Entry:
    """One file: where it is, its name below what was asked for (with /), bytes, and when it changed (epoch seconds)."""

    path: AnyPath
    name: str
    size: int
    modified: float


@dataclass(frozen=True)
class Found:
    """What a source is: one file (`folder` False, one entry), or the files below `root`."""

    root: AnyPath
    folder: bool
    entries: list[Entry]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(entry.size for entry in self.entries)


def find(run: RunHandle, text: str, project: bool = True) -> Found:
    """The file, the folder's files or the glob's matches, sorted by name. StepError when there is nothing.

    `project` False looks in the workspace only: for what will be moved or changed.
    """
    parts = _parts(text)
    wild = next((i for i, part in enumerate(parts) if _WILD.search(part)), len(parts))
    base, pattern = "".join(parts[:wild]) or ".", "".join(parts[wild:])
    places = _places(run, base, project)
    with said_plainly(f"reading '{text}'"):
        for root in places:
            if pattern:
                matches = {str(path) for path in root.glob(pattern)}
                entries = [entry for entry in files_below(root) if str(entry.path) in matches]
                if entries:
                    return Found(root, True, entries)
            elif root.is_dir():
                return Found(root, True, files_below(root))
            elif root.exists():
                return Found(root, False, [_entry(root, root.name)])
    looked = " and ".join(str(root) for root in places)
    raise StepError(f"{'no file matches' if pattern else 'there is nothing at'} '{text}' (looked at {looked})")


def find_folder(run: RunHandle, text: str) -> Path:
    """A local folder that is there, looked up like any source. StepError when it is not."""
    for place in _places(run, text, project=True):
        if isinstance(place, Path) and place.is_dir():
            return place
    raise StepError(f"'{text}' is no local folder")


def destination_of(run: RunHandle, text: str) -> AnyPath:
    """Where to write. A relative one lies in the workspace, StepError if it does not."""
    named = _PLACEHOLDER.sub(lambda match: _placeholders(run)[match[1]], _checked(text))
    if named.startswith("s3://"):
        return _remote(named)
    return Path(named) if os.path.isabs(named) else _inside(run.workspace, named, text)


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
    if isinstance(root, Path):
        found = [Path(folder) / name for folder, _, names in os.walk(root) for name in names]
        entries = [_entry(path, path.relative_to(root).as_posix()) for path in found if path.is_file()]
    else:
        prefix = f"{root.key.rstrip('/')}/" if root.key.strip("/") else ""
        pages = clients.client("s3").get_paginator("list_objects_v2").paginate(Bucket=root.bucket, Prefix=prefix)
        entries = [
            Entry(
                _remote(f"s3://{root.bucket}/{item['Key']}"),
                item["Key"].removeprefix(prefix),
                item["Size"],
                item["LastModified"].timestamp(),
            )
            for page in pages
            for item in page.get("Contents", [])
            if not item["Key"].endswith("/")
        ]
    return sorted(entries, key=lambda entry: entry.name)


def files_root(run: RunHandle) -> str:
    """Where a task keeps what outlives its run: the project's bucket, or the workspace where there is none."""
    bucket = os.environ.get("NIGHTSHIFT_BUCKET")
    return f"s3://{bucket}" if bucket else str(run.workspace)


def _places(run: RunHandle, text: str, project: bool) -> list[AnyPath]:
    if _checked(text).startswith("s3://"):
        return [_remote(text)]
    if os.path.isabs(text):
        return [Path(text)]
    return [_inside(root, text, text) for root in ([run.workspace, PROJECT] if project else [run.workspace])]


def _inside(root: Path, named: str, text: str) -> Path:
    path = (root / named).resolve()
    if not path.is_relative_to(root.resolve()):
        raise StepError(f"'{text}' leads out of {root}: name a place inside, or give an absolute path")
    return path


def _checked(text: str) -> str:
    try:
        return checked_location(text)
    except ValueError as error:
        raise StepError(str(error)) from None


def _remote(text: str) -> S3Path:
    from cloudpathlib import S3Path

    return S3Path(text, client=clients.files())


def _entry(path: AnyPath, name: str) -> Entry:
    stat = path.stat()
    return Entry(path, name, stat.st_size, stat.st_mtime)


def _parts(text: str) -> list[str]:
    """The text cut after each slash; `s3://bucket/` stays whole."""
    head = re.match(r"s3://[^/]*/?", text)
    start = head[0] if head else ""
    return ([start] if start else []) + re.findall(r"[^/]*/|[^/]+", text[len(start) :])


def _placeholders(run: RunHandle) -> dict[str, str]:
    now = datetime.now(UTC)
    return {"date": f"{now:%Y-%m-%d}", "time": f"{now:%H%M%S}", "run_id": run.id, "task_id": run.task_id}
