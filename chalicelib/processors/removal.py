"""Removing files, here and in S3."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from chalicelib.domain.errors import StepError, TransientError
from chalicelib.domain.handle import RunHandle
from chalicelib.processors import clients
from chalicelib.processors.failures import PASSING_CODES, said_plainly
from chalicelib.processors.paths import Entry, Found

_BATCH = 1000  # what one DeleteObjects takes


def remove(run: RunHandle, entries: Sequence[Entry]) -> None:
    """Remove files; one that is gone already is as wanted. A symbolic link goes itself, not what it leads to."""
    remote: dict[str, list[str]] = {}
    done = 0
    for entry in entries:
        if isinstance(entry.path, Path):
            run.check_stopped()
            with said_plainly(f"removing {entry.path}"):
                entry.path.unlink(missing_ok=True)
            done += 1
            if done % 100 == 0:
                run.progress(done / len(entries), entry.name)
        else:
            remote.setdefault(entry.path.bucket, []).append(entry.path.key)
    for bucket, keys in remote.items():
        for start in range(0, len(keys), _BATCH):
            run.check_stopped()
            _remove_objects(bucket, keys[start : start + _BATCH])
            done += min(_BATCH, len(keys) - start)
            run.progress(done / len(entries))


def remove_folders_of(run: RunHandle, found: Found, whole: bool) -> None:
    """Once the files of a local folder are removed: with `whole` the folder and all below that hold no file any more.

    Otherwise only folders below it that the removal has left empty. The workspace always stays.
    """
    root = found.root
    if not isinstance(root, Path):
        return
    if whole:
        for path, _, _ in os.walk(root, topdown=False):
            if Path(path).resolve() != run.workspace.resolve():
                with suppress(OSError):  # not empty, or of somebody who lets nobody else
                    os.rmdir(path)
        return
    entries = found.entries
    for folder in sorted({folder for entry in entries for folder in Path(str(entry.path)).parents}, reverse=True):
        if folder != root and folder.is_relative_to(root):
            with suppress(OSError):
                folder.rmdir()


def _remove_objects(bucket: str, keys: list[str]) -> None:
    with said_plainly(f"removing {len(keys)} objects of s3://{bucket}"):
        answer = clients.client("s3").delete_objects(
            Bucket=bucket, Delete={"Objects": [{"Key": key} for key in keys], "Quiet": True}
        )
    errors = answer.get("Errors", [])
    if errors:
        first = errors[0]
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        kind = TransientError if first.get("Code") in PASSING_CODES else StepError
        raise kind(f"s3://{bucket}/{first.get('Key')} cannot be removed: {first.get('Message') or first.get('Code')}{more}")
