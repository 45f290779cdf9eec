"""Files that are there completely or not at all."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from chalicelib.domain.handle import RunHandle

_MOST_NAME = 200  # bytes of a name that its partial file's name repeats; a file system takes 255


def partial_path(run: RunHandle, target: Path) -> Path:
    """Where a file is written before it is `target`: beside it, so that the last step is a rename.

    The name has the run in it: two runs that write one file do not mix, nor do two branches of a run, and a run that is tried
    again overwrites its own rest.
    """
    beginning = os.fsdecode(os.fsencode(target.name)[:_MOST_NAME])
    branch = "" if threading.current_thread() is threading.main_thread() else f"-{threading.get_ident()}"
    return target.with_name(f".{beginning}.{run.id}{branch}.part")


@contextmanager
def replaced(run: RunHandle, target: Path) -> Iterator[Path]:
    """An empty file to write to, which becomes `target` at the end, its folders with it. After an error neither is there."""
    partial = partial_path(run, target)
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with suppress(FileNotFoundError):
            partial.unlink()
        os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))  # never through a link that lies there
        yield partial
        os.replace(partial, target)
    finally:
        with suppress(OSError):
            partial.unlink()
