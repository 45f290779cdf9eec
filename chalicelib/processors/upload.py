"""The processor `upload`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, model_validator

from chalicelib.catalog.decorators import processor
from chalicelib.domain.handle import RunHandle
from chalicelib.domain.media import media_type
from chalicelib.processors.base import Processor
from chalicelib.processors.delivery import deliver
from chalicelib.processors.describing import source_text
from chalicelib.processors.pairing import Existing
from chalicelib.processors.paths import Entry, Found, Location, destination_of, find, previous_path
from chalicelib.processors.selection import Exclude, Missing, NewerThan, OlderThan, chosen

if TYPE_CHECKING:
    from chalicelib.processors.locations import AnyPath

_OF_S3 = ("content_type", "storage_class", "kms_key", "metadata")


@processor("upload")
class Upload(Processor):
    """Puts a file, or everything in a folder, into a folder elsewhere: `s3://bucket/prefix/` or a local one.

    Without `source` it takes what the step before has made. Large files go in parts, so that memory stays small; S3 checks
    what arrives, and an object is there completely or not at all.
    """

    destination: Location = Field(
        description="The folder to put it into, like s3://backups/daily/{date}/", examples=["s3://backups/daily/{date}/"]
    )
    source: Location | None = Field(None, description="A file, folder or glob; default: the previous step's output")
    exclude: Exclude = ()
    older_than: OlderThan = None
    newer_than: NewerThan = None
    existing: Existing = "replace"
    missing: Missing = "fail"
    content_type: str | None = Field(
        None, pattern=r"^[\w.+-]+/[\w.+-]+(; ?[\w-]+=[\w.+-]+)*$", description="Media type of the objects; default: by name"
    )
    storage_class: (
        Literal["STANDARD", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE"] | None
    ) = Field(None, description="Storage class in S3; default: STANDARD")
    kms_key: str | None = Field(None, min_length=1, description="KMS key (id, alias or ARN) to encrypt with")
    metadata: dict[str, str] = Field({}, description="Metadata of the objects", examples=[{"source": "nightly"}])

    @model_validator(mode="after")
    def _fits_destination(self) -> Self:
        given = [name for name in _OF_S3 if getattr(self, name)]
        if given and not self.destination.startswith(("s3://", "${")):
            raise ValueError(f"{given[0]} is for S3, and '{self.destination}' is a local folder")
        return self

    def __call__(self, run: RunHandle) -> dict[str, Any]:
        """Output: path (of the one file, or the folder), files (the first 1,000 new paths), count, bytes, skipped."""
        found = self._chosen(find(run, self.source or previous_path(run), missing_ok=self.missing == "ignore"))
        folder = destination_of(run, self.destination)
        return deliver(run, found, folder, existing=self.existing, done="uploaded", extra=self._arguments)

    def describe(self, run: RunHandle) -> str:
        """What it would do."""
        return f"uploads {source_text(run, self.source, self._chosen)} to '{self.destination}'"

    def _chosen(self, found: Found) -> Found:
        return chosen(found, self.exclude, self.older_than, self.newer_than)

    def _arguments(self, entry: Entry, target: AnyPath) -> dict[str, Any]:
        """S3's own arguments for one object."""
        given: dict[str, Any] = {"StorageClass": self.storage_class, "Metadata": self.metadata, "ContentType": self.content_type}
        if self.kms_key:
            given |= {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": self.kms_key}
        if isinstance(entry.path, Path):
            given["ContentType"] = self.content_type or media_type(target.name)
        elif self.metadata or self.content_type:
            given["MetadataDirective"] = "REPLACE"
        return {name: value for name, value in given.items() if value}
