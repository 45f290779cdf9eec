"""What the text of a path means to a run, and where it may lead."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator

from chalicelib.domain.errors import StepError
from chalicelib.domain.handle import RunHandle
from chalicelib.processors import clients

if TYPE_CHECKING:
    from cloudpathlib import S3Path

    AnyPath = Path | S3Path

PROJECT = Path(__file__).resolve().parent.parent / "tasks"

_BUCKET = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(/.*)?", re.DOTALL)
_PLACEHOLDER = re.compile(r"\{(date|time|run_id|task_id)\}")


def checked_location(text: str) -> str:
    """The text of a path that could be meant; ValueError says what is wrong with others."""
    if not text.strip() or "\0" in text:
        raise ValueError("a path is wanted, like ./data, /var/log or s3://bucket/prefix/")
    parts = text.split("/")
    if text.startswith("s3://"):
        if not _BUCKET.fullmatch(text):
            raise ValueError(f"'{text}' names no bucket: write it like s3://bucket/prefix/")
        if not {".", ".."}.isdisjoint(parts):
            raise ValueError(f"'{text}' has '.' or '..' in it, which means nothing to S3: write the key without")
    elif "://" in text:
        raise ValueError(f"'{text}' is neither a local path nor an s3:// one")
    elif os.path.isabs(text):
        if ".." in parts:
            raise ValueError(f"'{text}' has '..' in it: write an absolute path without")
    elif os.path.normpath(text).split(os.sep)[0] == "..":
        raise ValueError(f"'{text}' leads out of the run's workspace: drop the '..', or give an absolute path")
    return text


def _checked_when_known(text: str) -> str:
    return text if "${" in text and "\0" not in text else checked_location(text)


# A path in a step's configuration. One with a reference (`${…}`) is looked at when that is resolved.
Location = Annotated[str, AfterValidator(_checked_when_known)]


def places_of(run: RunHandle, text: str, project: bool = True, follow: bool = True) -> list[AnyPath]:
    """Where a source may be, most likely first. `follow` False does not look where the last part, a link, leads."""
    if _allowed(run, text).startswith("s3://"):
        return [remote(text)]
    if os.path.isabs(text):
        kept_inside(run, Path(text) if follow else Path(text).parent, text)
        return [Path(text)]
    roots = [run.workspace, PROJECT] if project else [run.workspace]
    return [_inside(root, text, text, follow) for root in roots]


def destination_of(run: RunHandle, text: str) -> AnyPath:
    """Where to write. StepError for a place that the run may not write to."""
    named = _PLACEHOLDER.sub(lambda match: _placeholders(run)[match[1]], _allowed(run, text))
    if named.startswith("s3://"):
        return remote(named)
    if os.path.isabs(named):
        kept_inside(run, Path(named), text)
        return Path(named)
    return _inside(run.workspace, named, text)


def file_below(run: RunHandle, folder: AnyPath, name: str) -> AnyPath:
    """The file `name` (with /) below a folder. StepError for a name that leads elsewhere, by itself or by a link."""
    if not name or name.startswith("/") or "\0" in name or not {".", ".."}.isdisjoint(name.split("/")):
        raise StepError(f"the name '{name}' leads out of {folder}: rename it where it comes from")
    target = folder / name
    if isinstance(target, Path):
        kept_inside(run, target.parent, str(target))
    return target


def kept_inside(run: RunHandle, path: Path, text: str) -> None:
    """StepError for a path that seems to lie in the workspace or in chalicelib/tasks/, but is led out by a link."""
    boundary = boundary_of(run, path)
    if boundary is not None and not resolved(path).is_relative_to(boundary):
        raise StepError(f"'{text}' leads out of {boundary} by a symbolic link: it is not followed")


def boundary_of(run: RunHandle, path: AnyPath) -> Path | None:
    """What a path must not lead out of, going by its text alone: the workspace, chalicelib/tasks/, or nothing."""
    if isinstance(path, Path):
        whole = Path(os.path.abspath(path))
        for root in (run.workspace, PROJECT):
            if whole.is_relative_to(root) or whole.is_relative_to(root.resolve()):
                return root.resolve()
    return None


def resolved(path: Path) -> Path:
    """Where a path leads in the end, every link followed."""
    try:
        return path.resolve()
    except RuntimeError:
        raise StepError(f"{path}: symbolic links lead in a circle") from None


def remote(text: str) -> S3Path:
    """The path in S3."""
    from cloudpathlib import S3Path

    return S3Path(text, client=clients.files())


def _inside(root: Path, named: str, text: str, follow: bool = True) -> Path:
    """The place, every link but its last part resolved. StepError if it is not below the root."""
    whole = root / named
    path = resolved(whole) if whole.name == ".." else resolved(whole.parent) / whole.name
    for place in [path, resolved(path)] if follow else [path]:
        if not place.is_relative_to(root.resolve()):
            raise StepError(f"'{text}' leads out of {root}: name a place inside, or give an absolute path")
    return path


def _allowed(run: RunHandle, text: str) -> str:
    """The text, once it is known that the run may go there."""
    try:
        checked_location(text)
    except ValueError as error:
        raise StepError(str(error)) from None
    # Whoever may start a task must not thereby read and write all over the machine.
    if os.path.isabs(text) and _from_argument(run, text) and boundary_of(run, Path(text)) is None:
        hint = "an argument may name a place in the run's workspace (by a relative path) or in s3:// only"
        raise StepError(f"'{text}' came with an argument of the run: {hint}")
    return text


def _from_argument(run: RunHandle, text: str) -> bool:
    """Whether an absolute path begins with what an argument says. `//` comes of an argument that is `/` alone."""
    return text.startswith("//") or any(value != "/" and text.startswith(value) for value in _absolute(run.args))


def _absolute(value: Any) -> Iterator[str]:
    """Every text in arguments that begins as an absolute path does."""
    if isinstance(value, str):
        if value.startswith("/"):
            yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _absolute(inner)


def _placeholders(run: RunHandle) -> dict[str, str]:
    now = datetime.now(UTC)
    return {"date": f"{now:%Y-%m-%d}", "time": f"{now:%H%M%S}", "run_id": run.id, "task_id": run.task_id}
