"""Files that are kept with a run: which may be, and under what name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chalicelib.domain.errors import StepError
from chalicelib.domain.media import UNKNOWN, media_type

MOST_NAME = 200  # bytes; with the run's id it is a part of an object's key


def artifact_of(
    workspace: Path, path: Path | str, name: str | None, content_type: str | None, taken: Mapping[str, str] | None = None
) -> tuple[Path, dict[str, Any]]:
    """The file and what is noted of it: `{name, path, bytes, content_type}`, `path` in the workspace.

    Relative paths are meant in the workspace. Without a name it is the file's own, with its folders before it when another path
    has that one (`taken`: path by name). Raises StepError for what is no file, lies outside of the
    workspace (also by a symbolic link), or has a wrong name.
    """
    root = workspace.resolve()
    file = (workspace / path).resolve()
    if not file.is_relative_to(root):
        how = "is a link to a place" if (workspace / path).is_symlink() else "lies"
        raise StepError(f"artifact '{path}' {how} outside of the run's workspace: copy it there first")
    if not file.is_file():
        raise StepError(f"artifact '{path}' is {'a folder' if file.is_dir() else 'not there'}: name a file of the run's workspace")
    relative = file.relative_to(root)
    if name is not None:
        _check_name(name)
    else:
        name = _plain(relative.name)
        if (taken or {}).get(name, str(relative)) != str(relative):
            name = _plain("-".join(relative.parts))
    if content_type is None:
        content_type = media_type(name) or UNKNOWN
    return file, {"name": name, "path": str(relative), "bytes": file.stat().st_size, "content_type": content_type}


def is_artifact_name(name: str) -> bool:
    """Whether an artifact may be called so: one path segment of readable text."""
    return name == _plain(name)


def _check_name(name: str) -> None:
    if not is_artifact_name(name):
        raise StepError(f"artifact name {name!r} is to be one plain file name, at most {MOST_NAME} bytes long")


def _plain(name: str) -> str:
    """The name without what means something to paths, headers and terminals; a long one keeps its ending."""
    text = "".join(c if c.isprintable() and c not in '/\\"' else "_" for c in name.encode(errors="replace").decode())
    text = text.lstrip(".").strip() or "file"
    if len(text.encode()) <= MOST_NAME:
        return text
    stem, dot, ending = text.rpartition(".")
    ending = dot + ending if stem and len(ending.encode()) < 20 else ""
    return (stem if ending else text).encode()[: MOST_NAME - len(ending.encode())].decode(errors="ignore") + ending
