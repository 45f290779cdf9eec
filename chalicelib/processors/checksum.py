"""The processor `checksum`."""

from __future__ import annotations

import hashlib
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from chalicelib.catalog.decorators import processor
from chalicelib.domain.errors import StepError
from chalicelib.domain.handle import RunHandle
from chalicelib.processors.base import Processor
from chalicelib.processors.describing import count_text, source_text
from chalicelib.processors.failures import said_plainly
from chalicelib.processors.manifests import MOST_BYTES, manifest_text, read_manifest
from chalicelib.processors.meter import Meter, Metered
from chalicelib.processors.paths import Entry, Found, Location, destination_of, file_below, find, into_folder, previous_path
from chalicelib.processors.selection import Exclude, chosen
from chalicelib.processors.transfers import opened, transfer
from chalicelib.processors.writing import partial_path

_BLOCK = 1 << 20
_MOST_LISTED = 1000
_MOST_NAMED = 5


@processor("checksum")
class Checksum(Processor):
    """Computes checksums of files, here or in S3, writes them to a manifest, or compares them with what they should be.

    Without `source` it takes what the step before has made. Manifests are those of `sha256sum`, `md5sum` and their kin: names
    are relative to the source.
    """

    source: Location | None = Field(None, description="A file, folder or glob; default: the previous step's output")
    algorithm: Literal["sha256", "sha512", "sha1", "md5", "blake2b", "sha3_256"] = Field("sha256", description="How to compute")
    manifest: Location | None = Field(
        None, description="File to write the checksums to; in a folder: SHA256SUMS", examples=["./SHA256SUMS", "s3://bucket/daily/"]
    )
    verify: Location | None = Field(None, description="A manifest that the files must agree with")
    expected: str | None = Field(None, pattern=r"^[0-9a-fA-F]{32,128}$", description="The checksum that the one file must have")
    exclude: Exclude = ()

    @model_validator(mode="after")
    def _one_thing(self) -> Self:
        if self.verify and (self.manifest or self.expected):
            raise ValueError("verify compares with a manifest: leave out manifest and expected, or use another step for them")
        return self

    def __call__(self, run: RunHandle) -> dict[str, Any]:
        """Output: path, algorithm, files (a list of path, name, bytes, checksum; the first 1,000), count, bytes, checksum (of one).

        StepError names the files that differ or are missing.
        """
        source = self.source or previous_path(run)
        found = chosen(find(run, source), self.exclude)
        own = {str(place) for place in (self._manifest(run), *self._manifests_read(run)) if place is not None}
        entries = [entry for entry in found.entries if str(entry.path) not in own]
        wanted = self._wanted(run)
        meter = Meter(run, sum(entry.size for entry in entries))
        checksums = {entry.name: self._checksum(entry, meter) for entry in entries}
        meter.finish()
        if wanted is not None:
            self._compare(run, checksums, wanted)
        elif self.expected and [self.expected.lower()] != list(checksums.values()):
            have = ", ".join(checksums.values()) if len(checksums) == 1 else count_text(len(checksums))
            raise StepError(
                f"'{source}' is not what was expected: {self.algorithm} {self.expected.lower()} is wanted, there is {have}"
            )
        path = self._write(run, checksums) or str(found.root)
        for entry in entries[:20]:
            run.log(f"{checksums[entry.name]}  {entry.name}")
        files = [
            {"path": str(entry.path), "name": entry.name, "bytes": entry.size, "checksum": checksums[entry.name]}
            for entry in entries[:_MOST_LISTED]
        ]
        return {
            "path": path,
            "algorithm": self.algorithm,
            "files": files,
            "count": len(entries),
            "bytes": meter.total,
            "checksum": files[0]["checksum"] if len(entries) == 1 else None,
        }

    def describe(self, run: RunHandle) -> str:
        """What it would do."""
        what = source_text(run, self.source, lambda found: chosen(found, self.exclude))
        if self.verify:
            return f"compares {what} with the {self.algorithm} checksums in '{self.verify}'"
        return f"computes {self.algorithm} of {what}" + (f" and writes them to '{self.manifest}'" if self.manifest else "")

    def _checksum(self, entry: Entry, meter: Meter) -> str:
        digest = hashlib.new(self.algorithm, usedforsecurity=False)
        with said_plainly(f"reading {entry.path}"), Metered(opened(entry), meter) as reader:
            while block := reader.read(_BLOCK):
                digest.update(block)
        return digest.hexdigest()

    def _manifest(self, run: RunHandle) -> Any:
        """Where to write the manifest, None if nowhere."""
        if self.manifest is None:
            return None
        target = destination_of(run, self.manifest)
        name = f"{self.algorithm.upper()}SUMS"
        return file_below(run, target, name) if into_folder(self.manifest, target) else target

    def _manifests_read(self, run: RunHandle) -> list[Any]:
        return [entry.path for entry in find(run, self.verify).entries] if self.verify else []

    def _wanted(self, run: RunHandle) -> dict[str, str] | None:
        if self.verify is None:
            return None
        found: Found = find(run, self.verify)
        if found.folder or found.size > MOST_BYTES:
            raise StepError(f"'{self.verify}' is no manifest: it is a file of a checksum and a name in each line")
        with said_plainly(f"reading '{self.verify}'"), opened(found.entries[0]) as reader:
            return read_manifest(reader.read().decode("utf-8-sig", "replace"), self.verify)

    def _compare(self, run: RunHandle, checksums: dict[str, str], wanted: dict[str, str]) -> None:
        differing = [name for name, checksum in wanted.items() if name in checksums and checksums[name] != checksum]
        missing = [name for name in wanted if name not in checksums]
        problems = [f"{name} differs" for name in differing] + [f"{name} is missing" for name in missing]
        if problems:
            more = f" and {len(problems) - _MOST_NAMED} more" if len(problems) > _MOST_NAMED else ""
            raise StepError(f"{', '.join(problems[:_MOST_NAMED])}{more} (by {self.algorithm}, as in '{self.verify}')")
        extra = [name for name in checksums if name not in wanted]
        if extra:
            run.log(f"{count_text(len(extra))} not in the manifest: {', '.join(extra[:_MOST_NAMED])}", level="warning")
        run.log(f"{count_text(len(wanted))} as in '{self.verify}'")

    def _write(self, run: RunHandle, checksums: dict[str, str]) -> str | None:
        target = self._manifest(run)
        if target is None:
            return None
        text = manifest_text(checksums).encode()
        local = partial_path(run, run.workspace / "manifest")
        try:
            with said_plainly(f"writing {target}"):
                local.write_bytes(text)
            transfer(run, [(Entry(local, local.name, len(text), 0.0), target)])
        finally:
            local.unlink(missing_ok=True)
        return str(target)
