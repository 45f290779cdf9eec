"""Folders of files to work on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

BODY = b"some text that shrinks well\n" * 2000


def tree(folder: Path) -> Path:
    """A folder with a file, one in a subfolder, and an empty one."""
    (folder / "sub").mkdir(parents=True)
    (folder / "a.txt").write_bytes(BODY)
    (folder / "sub" / "b ü.txt").write_bytes(b"b")
    (folder / "empty").touch()
    return folder


def names(folder: Path) -> list[str]:
    """The files below a folder."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file() or path.is_symlink())


def keys(s3: Any) -> list[str]:
    """The objects in the bucket."""
    return [item["Key"] for item in s3.list_objects_v2(Bucket="backups").get("Contents", [])]


def put(s3: Any, *names: str, body: bytes = b"x") -> None:
    """Objects in the bucket."""
    for name in names:
        s3.put_object(Bucket="backups", Key=name, Body=body)
