"""Removal of what nobody needs any more."""

from __future__ import annotations

import time
from typing import Annotated, Any

from chalicelib import Param, Run, task
from chalicelib.processors.failures import said_plainly
from chalicelib.processors.meter import size_text
from chalicelib.processors.paths import destination_of, files_below, files_root


@task(
    title="Purge old files",
    category="maintenance",
    icon="trash",
    tags=["s3", "cleanup"],
    danger="Deletes files for good; there is no way back",
    expensive=True,
    timeout="15m",
)
def purge_old_files(
    run: Run,
    folder: Annotated[str, Param(pattern=r"^[a-z0-9][a-z0-9_-]*$", help="A folder of the project's bucket")] = "backups",
    older_than_days: Annotated[float, Param(ge=0, le=3650, help="Only files that are older")] = 30,
    keep: Annotated[int, Param(ge=0, le=1000, help="However old: so many of the newest stay")] = 5,
    dry_run: Annotated[bool, Param(help="Only say what would go")] = True,
) -> dict[str, Any]:
    """Deletes files of the project's bucket that are older than so many days, but never the newest ones."""
    root = destination_of(run, f"{files_root(run)}/{folder}")
    with said_plainly(f"listing {root}"):
        newest_first = sorted(files_below(root), key=lambda entry: entry.modified, reverse=True)
    before = time.time() - older_than_days * 86400
    due = [entry for entry in newest_first[keep:] if entry.modified <= before]
    for number, entry in enumerate(due, 1):
        run.check_stopped()
        run.log(f"{'would delete' if dry_run else 'deleting'} {entry.name} ({size_text(entry.size)})", level="warning")
        if not dry_run:
            with said_plainly(f"deleting {entry.path}"):
                entry.path.unlink()
        run.progress(number / len(due), entry.name)
    run.log(f"{len(due)} of {len(newest_first)} files {'would go' if dry_run else 'are gone'}")
    return {
        "deleted": 0 if dry_run else len(due),
        "bytes": sum(entry.size for entry in due),
        "left": len(newest_first) - (0 if dry_run else len(due)),
        "rows": [{"name": entry.name, "bytes": entry.size} for entry in due],
    }
