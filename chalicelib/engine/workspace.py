"""The folder of one attempt, which goes with it from Lambda to Lambda."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from chalicelib.domain.run import RunRecord

OURS = re.compile(r"nightshift-[0-9A-Z]{26}-\w+(-\w+)?")


@contextmanager
def workspace_of(run: RunRecord) -> Iterator[Path]:
    """An empty folder that only this user can read; removed with all within. Its path is the same in every leg of an attempt, as
    outputs may hold it."""
    folder = Path(tempfile.gettempdir())
    _remove_what_is_left(folder)
    path, lock = _make(folder / f"nightshift-{run.id}-{run.attempt}")
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(lock)


def _make(path: Path) -> tuple[Path, int]:
    """A new folder, locked while the descriptor is open."""
    try:
        path.mkdir(mode=0o700)
        made = path
    except FileExistsError:  # another process still works at the same attempt, not knowing yet that it has lost it
        made = Path(tempfile.mkdtemp(prefix=f"{path.name}-"))
    with suppress(FileNotFoundError):
        lock = os.open(made, os.O_RDONLY)
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.fstat(lock).st_nlink:
            return made, lock
        os.close(lock)
    return _make(path)  # it was taken for a left one in the moment before it was locked


def _remove_what_is_left(folder: Path) -> None:
    """Workspaces of processes that died: /tmp outlives them in Lambda as on a laptop. Whoever lives has theirs locked."""
    for name in filter(OURS.fullmatch, os.listdir(folder)):
        with suppress(OSError):
            lock = os.open(folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder / name, ignore_errors=True)
            finally:
                os.close(lock)
