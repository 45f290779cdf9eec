"""The processor `download`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field, field_validator

from chalicelib.catalog.decorators import processor
from chalicelib.domain.errors import StepError
from chalicelib.domain.handle import RunHandle
from chalicelib.processors.base import Processor
from chalicelib.processors.describing import count_text, source_text
from chalicelib.processors.meter import size_text
from chalicelib.processors.pairing import Existing, below, without_existing
from chalicelib.processors.paths import Found, Location, destination_of, find, previous_path
from chalicelib.processors.selection import Exclude, Missing, NewerThan, OlderThan, chosen
from chalicelib.processors.transfers import transfer

_MOST_SAID = 20
_MOST_LISTED = 1000


@processor("download")
class Download(Processor):
    """Fetches a file, or everything below a prefix, into a local folder: the counterpart of `upload`.

    A file is there completely or not at all. For files of a web server there is `http`.
    """

    source: Location | None = Field(
        None,
        description="An object, a prefix or a glob: s3://bucket/daily/*.gz, or a local path; default: the previous step's output",
        examples=["s3://backups/daily/2026-01-31.tar.gz", "s3://backups/daily/*.gz"],
    )
    destination: Location = Field("./", description="The local folder to put it into; default: the run's workspace")
    exclude: Exclude = ()
    older_than: OlderThan = None
    newer_than: NewerThan = None
    existing: Existing = "replace"
    missing: Missing = "fail"

    @field_validator("destination")
    @classmethod
    def _is_local(cls, value: str) -> str:
        if value.startswith("s3://"):
            raise ValueError("download writes to a local folder; to copy within S3 use copy")
        return value

    def __call__(self, run: RunHandle) -> dict[str, Any]:
        """Output: path (of the one file, or the folder), files (the first 1,000 new paths), count, bytes, skipped."""
        found = self._chosen(find(run, self.source or previous_path(run), missing_ok=self.missing == "ignore"))
        folder = destination_of(run, self.destination)
        if not isinstance(folder, Path):
            raise StepError(f"'{self.destination}' is no local folder")
        pairs = below(run, found.entries, folder)
        wanted = without_existing(folder, pairs, self.existing)
        size = transfer(run, wanted)
        for entry, target in wanted[:_MOST_SAID]:
            run.log(f"{target} ({size_text(entry.size)})")
        run.log(f"downloaded {count_text(len(wanted))} ({size_text(size)})")
        return {
            "path": str(folder if found.folder or not pairs else pairs[0][1]),
            "files": [str(target) for _, target in wanted[:_MOST_LISTED]],
            "count": len(wanted),
            "bytes": size,
            "skipped": len(pairs) - len(wanted),
        }

    def describe(self, run: RunHandle) -> str:
        """What it would do."""
        return f"downloads {source_text(run, self.source, self._chosen)} into '{self.destination}'"

    def _chosen(self, found: Found) -> Found:
        return chosen(found, self.exclude, self.older_than, self.newer_than)
