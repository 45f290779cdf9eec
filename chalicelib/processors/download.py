"""The processor `download`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field, field_validator

from chalicelib.catalog.decorators import processor
from chalicelib.domain.errors import StepError
from chalicelib.domain.handle import RunHandle
from chalicelib.processors.base import Processor
from chalicelib.processors.delivery import deliver
from chalicelib.processors.describing import source_text
from chalicelib.processors.pairing import Existing
from chalicelib.processors.paths import Found, Location, destination_of, find, previous_path
from chalicelib.processors.selection import Exclude, Missing, NewerThan, OlderThan, chosen


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
        return deliver(run, found, folder, existing=self.existing, done="downloaded")

    def describe(self, run: RunHandle) -> str:
        """What it would do."""
        return f"downloads {source_text(run, self.source, self._chosen)} into '{self.destination}'"

    def _chosen(self, found: Found) -> Found:
        return chosen(found, self.exclude, self.older_than, self.newer_than)
