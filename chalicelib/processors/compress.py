"""The processor `compress`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from chalicelib.catalog.decorators import processor
from chalicelib.domain.handle import RunHandle
from chalicelib.processors.base import Processor
from chalicelib.processors.describing import count_text, source_text
from chalicelib.processors.failures import said_plainly
from chalicelib.processors.meter import Meter, size_text
from chalicelib.processors.packing import FOLDER_SUFFIX, SUFFIX, Algorithm, pack
from chalicelib.processors.paths import Entry, Found, Location, destination_of, file_below, find, into_folder, previous_path
from chalicelib.processors.removal import remove, remove_folders_of
from chalicelib.processors.selection import Exclude, MinSize, OlderThan, chosen
from chalicelib.processors.transfers import transfer, unchanged
from chalicelib.processors.writing import partial_path, replaced

if TYPE_CHECKING:
    from chalicelib.processors.locations import AnyPath

_PACKED = (".gz", ".bz2", ".xz", ".zip", ".zst", ".7z")
_MOST_SAID = 20


@processor("compress")
class Compress(Processor):
    """Compresses a file, or packs a folder into one archive (`.tar.gz`, `.tar.bz2`, `.tar.xz` or `.zip`).

    Without `source` it takes what the step before has made. With `each` every file of a folder is compressed by itself,
    beside the original unless there is a destination. Files go through in blocks, so that memory stays small.
    """

    algorithm: Algorithm = Field("gzip", description="How to compress; a folder becomes a tar of it, or a zip")
    source: Location | None = Field(None, description="A file, folder or glob; default: the previous step's output")
    destination: Location | None = Field(
        None, description="The archive; default: the source's name with the suffix", examples=["./logs-{date}.zip"]
    )
    level: int = Field(6, ge=1, le=9, description="1 is fast, 9 is small")
    each: bool = Field(False, description="Compress each file by itself; files that are compressed already stay as they are")
    remove_source: bool = Field(False, description="Remove the files once they are in the archive")
    exclude: Exclude = ()
    older_than: OlderThan = None
    min_size: MinSize = None

    def __call__(self, run: RunHandle) -> dict[str, Any]:
        """Output: path (the archive, or the folder), files (how many are in it), bytes (packed), original_bytes, ratio."""
        source = self.source or previous_path(run)
        beside = self.each and not self.destination
        found = self._chosen(find(run, source, project=not (beside or self.remove_source)))
        if not found.entries:
            run.log(f"{found.root} holds no files to compress", level="warning")
        target = self._target(run, found)
        # An archive of the attempt before may lie in the very folder.
        found = replace(found, entries=[entry for entry in found.entries if str(entry.path) != str(target)])
        meter = Meter(run, found.size)
        if self.each and found.folder:
            size = self._each(run, found.entries, target, meter)
        else:
            size = self._packed(run, found.entries, found.folder, target, meter) if found.folder or found.entries else 0
        meter.finish()
        if self.remove_source:
            unchanged(found.entries)
            remove(run, found.entries)
            if found.folder:
                remove_folders_of(run, found, whole=False)
        run.log(f"{count_text(len(found.entries))}: {size_text(found.size)} became {size_text(size)}")
        return {
            "path": str(target),
            "files": len(found.entries),
            "bytes": size,
            "original_bytes": found.size,
            "ratio": round(size / found.size, 3) if found.size else None,
        }

    def describe(self, run: RunHandle) -> str:
        """What it would do."""
        what = source_text(run, self.source, self._chosen)
        to = f" to '{self.destination}'" if self.destination else ""
        return f"compresses {'each of ' if self.each else ''}{what} with {self.algorithm}{to}" + (
            " and removes the source" if self.remove_source else ""
        )

    def _chosen(self, found: Found) -> Found:
        some = chosen(found, self.exclude, self.older_than, min_size=self.min_size)
        if self.each and found.folder:
            return replace(some, entries=[entry for entry in some.entries if not entry.name.endswith(_PACKED)])
        return some

    def _target(self, run: RunHandle, found: Found) -> AnyPath:
        """The archive to write, or the folder of them."""
        if self.each and found.folder:
            return destination_of(run, self.destination) if self.destination else found.root
        suffix = (FOLDER_SUFFIX if found.folder else SUFFIX)[self.algorithm]
        name = (found.root.name or getattr(found.root, "bucket", "files")) + suffix
        target = destination_of(run, self.destination or name)
        return file_below(run, target, name) if self.destination and into_folder(self.destination, target) else target

    def _each(self, run: RunHandle, entries: list[Entry], folder: AnyPath, meter: Meter) -> int:
        size = 0
        for number, entry in enumerate(entries):
            target = file_below(run, folder, entry.name + SUFFIX[self.algorithm])
            packed = self._packed(run, [entry], False, target, meter)
            size += packed
            if number < _MOST_SAID:
                run.log(f"{entry.name}: {size_text(entry.size)} became {size_text(packed)}")
        return size

    def _packed(self, run: RunHandle, entries: list[Entry], folder: bool, target: AnyPath, meter: Meter) -> int:
        """Write one archive; its bytes. One for S3 is written in the workspace first."""
        if isinstance(target, Path):
            with said_plainly(f"compressing to {target}"), replaced(run, target) as partial:
                pack(entries, folder, self.algorithm, self.level, partial, meter)
            return target.stat().st_size
        local = partial_path(run, run.workspace / target.name)
        try:
            with said_plainly(f"compressing to {local}"):
                pack(entries, folder, self.algorithm, self.level, local, meter)
                size = local.stat().st_size
            transfer(run, [(Entry(local, target.name, size, 0.0), target)])
        finally:
            local.unlink(missing_ok=True)
        return size
