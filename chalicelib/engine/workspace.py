"""The folder of one attempt, which goes with it from Lambda to Lambda."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from chalicelib.domain.run import RunRecord


def make_workspace(run: RunRecord) -> Path:
    """An empty folder that only this user can read. In every leg of an attempt it has the same path, which outputs may hold."""
    path = Path(tempfile.gettempdir()) / f"nightshift-{run.id}-{run.attempt}"
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        return Path(tempfile.mkdtemp(prefix=f"{path.name}-"))
    return path


def remove_workspace(path: Path) -> None:
    """Remove it and all within."""
    shutil.rmtree(path, ignore_errors=True)
