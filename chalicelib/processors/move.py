"""The processor `move`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pydantic import Field

from chalicelib.catalog.decorators import processor
from chalicelib.domain.handle import RunHandle
from chalicelib.processors import transfers
from chalicelib.processors.base import Processor
from chalicelib.processors.describing import count_text, source_text
from chalicelib.processors.globs import WILD
from chalicelib.processors.pairing import Existing, paired, without_existing
from chalicelib.processors.paths import Found, Location, destination_of, find, into_folder
from chalicelib.processors.removal import remove_folders_of
from chalicelib.processors.selection import Exclude, Missing, NewerThan, OlderThan, chosen


@processor("move")
class Move(Processor):
    """Moves a file, a folder or the matches of a glob, between local paths and S3 in any direction.

    Where to is as with `copy`. A file is removed from its source only once it is completely at its destination; an attempt
    that is tried again goes on with what the first one left.
    """

    source: Location = Field(
        description="A file, folder or glob: ./inbox/*.csv, /var/spool/in, s3://bucket/inbox/",
        examples=["s3://bucket/inbox/*.csv", "/var/spool/in"],
    )
    destination: Location = Field(
        description="Where to; a relative path lies in the run's workspace. Takes {date}", examples=["s3://bucket/done/{date}/"]
    )
    exclude: Exclude = ()
    older_than: OlderThan = None
    newer_than: NewerThan = None
    existing: Existing = "replace"
    missing: Missing = "fail"

    def __call__(self, run: RunHandle) -> dict[str, Any]:
        """Output: path (where it is now), files (how many were moved), bytes, skipped (left, as they were there already)."""
        if self._moved_before(run):
            path = str(destination_of(run, self.destination))
            run.log(f"an attempt before this one has moved all to {path}")
            return {"path": path, "files": 0, "bytes": 0, "skipped": 0}
        found = self._chosen(find(run, self.source, project=False, missing_ok=self.missing == "ignore"))
        target, pairs = paired(run, found, self.destination)
        wanted = without_existing(target, pairs, self.existing)
        size = transfers.move(run, wanted)
        if found.folder:
            remove_folders_of(run, replace(found, entries=[entry for entry, _ in wanted]), whole=not found.glob)
        run.log(f"moved {count_text(len(wanted))} to {target}")
        return {"path": str(target), "files": len(wanted), "bytes": size, "skipped": len(pairs) - len(wanted)}

    def describe(self, run: RunHandle) -> str:
        """What it would do."""
        return f"moves {source_text(run, self.source, self._chosen, project=False)} to '{self.destination}'"

    def _chosen(self, found: Found) -> Found:
        return chosen(found, self.exclude, self.older_than, self.newer_than)

    def _moved_before(self, run: RunHandle) -> bool:
        """Whether the source is gone because an attempt of this run that ended later has moved it."""
        if run.attempt == 1 or find(run, self.source, project=False, missing_ok=True).entries:
            return False
        target = destination_of(run, self.destination)
        if into_folder(self.destination, target):
            name = self.source.rstrip("/").rsplit("/", 1)[-1]
            return (target / name).exists() or (target.exists() and WILD.search(name) is not None)
        return target.exists()
