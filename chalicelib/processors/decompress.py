"""The processor `decompress`."""

from __future__ import annotations

import bz2
import gzip
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Literal, cast

from pydantic import ByteSize, Field

from chalicelib.catalog.decorators import processor
from chalicelib.domain.errors import StepError
from chalicelib.domain.handle import RunHandle
from chalicelib.processors.archives import members_of_tar, members_of_zip
from chalicelib.processors.base import Processor
from chalicelib.processors.bounds import Bounds
from chalicelib.processors.describing import count_text, source_text
from chalicelib.processors.failures import said_plainly
from chalicelib.processors.meter import Meter, Metered, size_text
from chalicelib.processors.paths import Entry, Found, Location, destination_of, file_below, find, into_folder, previous_path
from chalicelib.processors.removal import remove
from chalicelib.processors.selection import Exclude, chosen
from chalicelib.processors.transfers import opened, transfer
from chalicelib.processors.unpacking import copy_out, discard, settle, unpack
from chalicelib.processors.writing import partial_path, replaced

Format = Literal["gzip", "bz2", "xz", "zip", "tar", "tar.gz", "tar.bz2", "tar.xz"]

_SUFFIXES: dict[str, Format] = {
    ".tar.gz": "tar.gz",
    ".tgz": "tar.gz",
    ".tar.bz2": "tar.bz2",
    ".tbz2": "tar.bz2",
    ".tbz": "tar.bz2",
    ".tar.xz": "tar.xz",
    ".txz": "tar.xz",
    ".tar": "tar",
    ".zip": "zip",
    ".gz": "gzip",
    ".bz2": "bz2",
    ".xz": "xz",
}
_OPEN = {"gzip": gzip.open, "gz": gzip.open, "bz2": bz2.open, "xz": lzma.open}
_BLOCK = 1 << 20


@processor("decompress")
class Decompress(Processor):
    """Unpacks `.gz`, `.bz2`, `.xz`, `.zip`, `.tar`, `.tar.gz`, `.tar.bz2` and `.tar.xz`.

    Without `source` it takes what the step before has made. An archive's files go into the destination; of a folder or glob
    each goes below it under its own name. Nothing is unpacked of an archive with names or links that lead out of the
    destination, with devices, or with more than the bounds allow: the disk does not fill, and nothing half-made is left.
    """

    source: Location | None = Field(None, description="A file, folder or glob; default: the previous step's output")
    destination: Location | None = Field(
        None, description="Where to; default: the name without the suffix, in the run's workspace", examples=["./restored"]
    )
    format: Format | None = Field(None, description="How it is packed; default: by the name")
    exclude: Exclude = ()
    max_bytes: ByteSize = Field(ByteSize(10_000_000_000), gt=0, description="The most bytes that may come out of a file")
    max_files: int = Field(100_000, ge=1, description="The most files that an archive may hold")
    max_ratio: float = Field(200, ge=1, description="How many times larger than packed it may be, from 10 MB on")
    remove_source: bool = Field(False, description="Remove the packed files in the end")

    def __call__(self, run: RunHandle) -> dict[str, Any]:
        """Output: path (the folder, or the one file), files (how many), bytes (unpacked), packed_bytes."""
        source = self.source or previous_path(run)
        found = chosen(find(run, source, project=not self.remove_source), self.exclude)
        packed = [(entry, kind) for entry in found.entries if (kind := self.format or _format_of(entry.name))]
        if not packed:
            hint = f"say `format`, or name one that ends in {', '.join(_SUFFIXES)}"
            raise StepError(f"'{source}' is nothing that decompress knows: {hint}")
        meter = Meter(run, sum(entry.size for entry, _ in packed))
        files = size = 0
        target = destination_of(
            run, self.destination or (found.root.name if found.folder else _bare(found.root.name)) or "unpacked"
        )
        for entry, kind in packed:
            place = self._place(run, found, entry, kind, target)
            bounds = self._unpacked(run, entry, kind, place, meter)
            files, size = files + bounds.files, size + bounds.bytes
            run.log(f"{entry.name}: {count_text(bounds.files)} ({size_text(bounds.bytes)})")
        meter.finish()
        if self.remove_source:
            remove(run, [entry for entry, _ in packed])
        path = target if found.folder else place
        return {"path": str(path), "files": files, "bytes": size, "packed_bytes": meter.total}

    def describe(self, run: RunHandle) -> str:
        """What it would do."""
        to = f" to '{self.destination}'" if self.destination else ""
        return f"unpacks {source_text(run, self.source, lambda found: chosen(found, self.exclude))}{to}"

    def _place(self, run: RunHandle, found: Found, entry: Entry, kind: Format, target: Any) -> Path:
        if found.folder:
            target = file_below(run, target, _bare(entry.name))
        elif kind in ("gzip", "bz2", "xz") and self.destination and into_folder(self.destination, target):
            target = file_below(run, target, _bare(found.root.name))
        if not isinstance(target, Path):
            raise StepError(f"'{self.destination}' is in S3: decompress to a local path, then upload it")
        return target

    def _unpacked(self, run: RunHandle, entry: Entry, kind: Format, target: Path, meter: Meter) -> Bounds:
        target.parent.mkdir(parents=True, exist_ok=True)
        bounds = Bounds(
            entry.name,
            entry.size,
            target.parent,
            max_bytes=self.max_bytes,
            max_files=self.max_files,
            max_ratio=self.max_ratio,
        )
        with said_plainly(f"unpacking {entry.path} to {target}"), _said_of_archive(entry.name, kind):
            if kind in ("gzip", "bz2", "xz"):
                bounds.add_file()
                with Metered(opened(entry), meter) as packed, replaced(run, target) as partial:
                    partial.unlink()
                    with _decompressed(packed, kind) as reader:
                        copy_out(iter(lambda: reader.read(_BLOCK), b""), partial, bounds)
                return bounds
            staging = partial_path(run, target / target.name if target.is_dir() else target)
            try:
                discard(staging)
                staging.mkdir()
                if kind == "zip":
                    self._unzip(run, entry, staging, bounds, meter)
                else:
                    with Metered(opened(entry), meter) as packed, _decompressed(packed, kind.rpartition(".")[2]) as reader:
                        unpack(members_of_tar(reader, bounds), staging, bounds)
                settle(run, staging, target)
            finally:
                discard(staging)
        return bounds

    def _unzip(self, run: RunHandle, entry: Entry, staging: Path, bounds: Bounds, meter: Meter) -> None:
        """A zip's directory is at its end: one in S3 is fetched first."""
        fetched = None
        try:
            if not isinstance(entry.path, Path):
                fetched = staging.with_name(f"{staging.name}.zip")
                transfer(run, [(entry, fetched)])
            with open(fetched or str(entry.path), "rb") as file:
                unpack(members_of_zip(file, bounds), staging, bounds)
        finally:
            if fetched:
                fetched.unlink(missing_ok=True)
        meter.add(entry.size)
        meter.show()


def _default(run: RunHandle, found: Found) -> str:
    """Where files of this source go, in the workspace."""
    if not found.folder:
        return _bare(found.root.name)
    return "." if found.root == run.workspace.resolve() else found.root.name or "."


def _format_of(name: str) -> Format | None:
    return next((kind for suffix, kind in _SUFFIXES.items() if name.lower().endswith(suffix)), None)


def _bare(name: str) -> str:
    """The name without the suffix that says how it is packed."""
    suffix = next((suffix for suffix in _SUFFIXES if name.lower().endswith(suffix)), "")
    return name[: -len(suffix)] if suffix and len(name) > len(suffix) else f"{name}.unpacked"


def _decompressed(packed: Any, kind: str) -> IO[bytes]:
    return cast(IO[bytes], cast(Any, _OPEN[kind])(packed, "rb") if kind in _OPEN else packed)


@contextmanager
def _said_of_archive(name: str, kind: Format) -> Iterator[None]:
    """What the readers raise for bytes that make no sense, as StepError."""
    broken = (tarfile.TarError, zipfile.BadZipFile, lzma.LZMAError, zlib.error, EOFError, RuntimeError, ValueError)
    try:
        yield
    except UnicodeEncodeError:
        raise
    except broken as error:
        raise StepError(f"{name} cannot be read as {kind}: {error or type(error).__name__}") from error
    except OSError as error:
        if error.errno is not None:
            raise
        raise StepError(f"{name} cannot be read as {kind}: {error}") from error
