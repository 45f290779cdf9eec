"""The processor `copy`."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from chalicelib.catalog.decorators import processor
from chalicelib.domain.handle import RunHandle
from chalicelib.processors.base import Processor
from chalicelib.processors.describing import count_text, source_text
from chalicelib.processors.pairing import Existing, paired, without_existing
from chalicelib.processors.paths import Found, Location, find
from chalicelib.processors.selection import Exclude, Missing, NewerThan, OlderThan, chosen
from chalicelib.processors.transfers import transfer


@processor("copy")
class Copy(Processor):
    """Copies a file, a folder or the matches of a glob, between local paths and S3 in any direction.

    A folder's files go below the destination (empty folders are not kept). A file goes into a destination that ends in
    `/` or is a folder, otherwise it gets that name. A file is at its destination completely or not at all.
    """

    source: Location = Field(
        description="A file, folder or glob: ./data, ./logs/*.log, /var/log, s3://bucket/prefix/",
        examples=["./logs/**/*.log", "s3://bucket/prefix/"],
    )
    destination: Location = Field(
        description="Where to; a relative path lies in the run's workspace. Takes {date}",
        examples=["./backup", "s3://bucket/{date}/"],
    )
    exclude: Exclude = ()
    older_than: OlderThan = None
    newer_than: NewerThan = None
    existing: Existing = "replace"
    missing: Missing = "fail"

    def __call__(self, run: RunHandle) -> dict[str, Any]:
        """Output: path (the copy), files (how many were copied), bytes, skipped (how many were there already)."""
        found = self._chosen(find(run, self.source, missing_ok=self.missing == "ignore"))
        target, pairs = paired(run, found, self.destination)
        wanted = without_existing(target, pairs, self.existing)
        size = transfer(run, wanted)
        run.log(f"copied {count_text(len(wanted))} to {target}")
        return {"path": str(target), "files": len(wanted), "bytes": size, "skipped": len(pairs) - len(wanted)}

    def describe(self, run: RunHandle) -> str:
        """What it would do."""
        return f"copies {source_text(run, self.source, self._chosen)} to '{self.destination}'"

    def _chosen(self, found: Found) -> Found:
        return chosen(found, self.exclude, self.older_than, self.newer_than)
