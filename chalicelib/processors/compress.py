"""The processor `compress`."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import tarfile
import zipfile
from contextlib import suppress
from io import BufferedIOBase
from pathlib import Path
from typing import IO, Any, Literal, cast

from pydantic import Field

from chalicelib.catalog.decorators import processor
from chalicelib.domain.errors import StepError
from chalicelib.domain.handle import RunHandle
from chalicelib.processors.base import Processor
from chalicelib.processors.failures import said_plainly
from chalicelib.processors.meter import Meter, size_text
from chalicelib.processors.paths import Entry, Found, Location, destination_of, find, into_folder, previous_path
from chalicelib.processors.transfers import transfer

Algorithm = Literal["gzip", "zip", "tar.gz", "bz2", "xz"]

_SUFFIX: dict[Algorithm, str] = {"gzip": ".gz", "zip": ".zip", "tar.gz": ".tar.gz", "bz2": ".bz2", "xz": ".xz"}
_FOLDER_SUFFIX: dict[Algorithm, str] = {**_SUFFIX, "gzip": ".tar.gz", "bz2": ".tar.bz2", "xz": ".tar.xz"}
_OPEN = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
_BLOCK = 1 << 20


@processor("compress")
class Compress(Processor):
    """Compresses a file, or packs a folder into one archive (`.tar.gz`, `.tar.bz2`, `.tar.xz` or `.zip`).

    Without `source` it takes what the step before has made. The source stays as it is.
    """

    algorithm: Algorithm = Field("gzip", description="How to compress; a folder becomes a tar of it, or a zip")
    source: Location | None = Field(None, description="A file, folder or glob; default: the previous step's output")
    destination: Location | None = Field(None, description="The archive; default: the source's name with the suffix")
    level: int = Field(6, ge=1, le=9, description="1 is fast, 9 is small")

    def __call__(self, run: RunHandle) -> dict[str, Any]:
        """Output: path (the archive), files (how many are in it), bytes (of the archive), original_bytes, ratio."""
        found = _fetched(run, find(run, self.source or previous_path(run)))
        if not found.entries:
            run.log(f"{found.root} holds no files: the archive is empty", level="warning")
        target = self._target(run, found)
        partial = target.with_name(f".{target.name}.part")
        meter = Meter(run, found.size)
        try:
            with said_plainly(f"compressing {found.root} to {target}"):
                target.parent.mkdir(parents=True, exist_ok=True)
                self._write(found, partial, target.name, meter)
                os.replace(partial, target)
        finally:
            with suppress(OSError):
                partial.unlink()
        meter.finish()
        size = target.stat().st_size
        run.log(f"{target.name}: {size_text(found.size)} became {size_text(size)}")
        return {
            "path": str(target),
            "files": len(found.entries),
            "bytes": size,
            "original_bytes": found.size,
            "ratio": round(size / found.size, 3) if found.size else None,
        }

    def _target(self, run: RunHandle, found: Found) -> Path:
        name = found.root.name + (_FOLDER_SUFFIX if found.folder else _SUFFIX)[self.algorithm]
        target = destination_of(run, self.destination or name)
        if not isinstance(target, Path):
            raise StepError(f"'{self.destination}' is in S3: compress to a local path, then upload it")
        return target / name if self.destination and into_folder(self.destination, target) else target

    def _write(self, found: Found, partial: Path, name: str, meter: Meter) -> None:
        if self.algorithm == "zip":
            self._zip(found.entries, partial, meter)
        elif found.folder or self.algorithm == "tar.gz":
            with self._opened(partial, found.folder) as raw, tarfile.open(fileobj=raw, mode="w|") as archive:
                for entry in found.entries:
                    info = archive.gettarinfo(str(entry.path), arcname=entry.name)
                    with _Metered(entry, meter) as reader:
                        archive.addfile(info, cast(IO[bytes], reader))
        else:
            with self._opened(partial, False) as writer, _Metered(found.entries[0], meter) as reader:
                while block := reader.read(_BLOCK):
                    writer.write(block)

    def _opened(self, partial: Path, folder: bool) -> Any:
        kind = "." + (_FOLDER_SUFFIX if folder else _SUFFIX)[self.algorithm].rsplit(".", 1)[1]
        strength = {"preset": self.level} if kind == ".xz" else {"compresslevel": self.level}
        return cast(Any, _OPEN[kind])(partial, "wb", **strength)

    def _zip(self, entries: list[Entry], partial: Path, meter: Meter) -> None:
        with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED, compresslevel=self.level) as archive:
            for entry in entries:
                # A file older than 1980, which zip cannot say (files of a Lambda package can be), counts as of 1980.
                info = zipfile.ZipInfo.from_file(str(entry.path), entry.name, strict_timestamps=False)
                info.compress_type = zipfile.ZIP_DEFLATED
                with _Metered(entry, meter) as reader, archive.open(info, "w", force_zip64=True) as writer:
                    while block := reader.read(_BLOCK):
                        writer.write(block)


class _Metered(BufferedIOBase):
    """A file being read whose bytes are counted."""

    def __init__(self, entry: Entry, meter: Meter) -> None:
        self._file = open(str(entry.path), "rb")  # noqa: SIM115 - closed by close()
        self._meter = meter

    def read(self, size: int | None = -1, /) -> bytes:
        """Bytes of the file, as file objects do."""
        block = self._file.read(-1 if size is None else size)
        self._meter.add(len(block))
        self._meter.show()
        return block

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()


def _fetched(run: RunHandle, found: Found) -> Found:
    """The same files on the local disk."""
    if isinstance(found.root, Path):
        return found
    folder = run.workspace / (found.root.name or found.root.bucket)
    root = folder if found.folder else run.workspace / found.root.name
    targets = [folder / entry.name if found.folder else root for entry in found.entries]
    transfer(run, list(zip(found.entries, targets, strict=True)))
    local = [Entry(path, entry.name, entry.size, entry.modified) for entry, path in zip(found.entries, targets, strict=True)]
    return Found(root, found.folder, local)
