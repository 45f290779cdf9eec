"""Writing compressed files and archives, block by block."""

from __future__ import annotations

import bz2
import gzip
import lzma
import tarfile
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, Literal, cast

from chalicelib.processors.meter import Meter, Metered
from chalicelib.processors.paths import Entry
from chalicelib.processors.transfers import opened

Algorithm = Literal["gzip", "zip", "tar.gz", "bz2", "xz"]

SUFFIX: dict[Algorithm, str] = {"gzip": ".gz", "zip": ".zip", "tar.gz": ".tar.gz", "bz2": ".bz2", "xz": ".xz"}
FOLDER_SUFFIX: dict[Algorithm, str] = {**SUFFIX, "gzip": ".tar.gz", "bz2": ".tar.bz2", "xz": ".tar.xz"}
_OPEN = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
_BLOCK = 1 << 20


def pack(entries: Sequence[Entry], folder: bool, algorithm: Algorithm, level: int, target: Path, meter: Meter) -> None:
    """Write the files of a folder as one archive, or the one file compressed, to `target`."""
    if algorithm == "zip":
        _zip(entries, level, target, meter)
    elif folder or algorithm == "tar.gz":
        with (
            _compressed(algorithm, True, level, target) as raw,
            tarfile.open(fileobj=raw, mode="w|", dereference=True) as archive,
        ):
            for entry in entries:
                with Metered(opened(entry), meter) as reader:
                    archive.addfile(_tar_info(archive, entry), cast(IO[bytes], reader))
    else:
        with _compressed(algorithm, False, level, target) as writer, Metered(opened(entries[0]), meter) as reader:
            while block := reader.read(_BLOCK):
                writer.write(block)


def _compressed(algorithm: Algorithm, folder: bool, level: int, target: Path) -> Any:
    kind = "." + (FOLDER_SUFFIX if folder else SUFFIX)[algorithm].rsplit(".", 1)[1]
    strength = {"preset": level} if kind == ".xz" else {"compresslevel": level}
    return cast(Any, _OPEN[kind])(target, "wb", **strength)


def _tar_info(archive: tarfile.TarFile, entry: Entry) -> tarfile.TarInfo:
    if isinstance(entry.path, Path):
        return archive.gettarinfo(str(entry.path), arcname=entry.name)
    info = tarfile.TarInfo(entry.name)
    info.size, info.mtime = entry.size, entry.modified
    return info


def _zip(entries: Sequence[Entry], level: int, target: Path, meter: Meter) -> None:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=level) as archive:
        for entry in entries:
            info = _zip_info(entry)
            info.compress_type = zipfile.ZIP_DEFLATED
            with Metered(opened(entry), meter) as reader, archive.open(info, "w", force_zip64=True) as writer:
                while block := reader.read(_BLOCK):
                    writer.write(block)


def _zip_info(entry: Entry) -> zipfile.ZipInfo:
    if isinstance(entry.path, Path):
        # A file older than 1980, which zip cannot say (files of a Lambda package can be), counts as of 1980.
        return zipfile.ZipInfo.from_file(str(entry.path), entry.name, strict_timestamps=False)
    info = zipfile.ZipInfo(entry.name, time.gmtime(entry.modified)[:6])
    info.external_attr = 0o100644 << 16
    return info
