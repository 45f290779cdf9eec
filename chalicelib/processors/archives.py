"""Reading archives: what their members are, without trusting a word of it."""

from __future__ import annotations

import os
import stat
import struct
import tarfile
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from io import BufferedIOBase
from typing import IO, Literal

from chalicelib.domain.errors import StepError
from chalicelib.processors.bounds import Bounds

Kind = Literal["file", "folder", "link", "hard link"]
_LONGEST_HEADER = 1 << 20  # bytes that a tar may say about one member; what is longer fills the memory
_LONGEST_LINK = 4096  # bytes of a path
_LONGEST_TAIL = (1 << 16) + 200  # bytes at a zip's end that say where its list of members is
_MOST_PER_FILE = 200  # bytes that a zip's list may have for each member, on average
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Member:
    """One member of an archive: `name` is relative, with / and without `..`. `link` is where a link leads, as written."""

    name: str
    kind: Kind
    mode: int
    modified: float
    link: str = ""
    open: Callable[[], IO[bytes]] | None = None


def members_of_tar(stream: IO[bytes], bounds: Bounds) -> Iterator[Member]:
    """The members of an uncompressed stream, each to be read before the next. StepError for one that must not be written."""
    with tarfile.open(fileobj=_Guarded(stream, bounds), mode="r:") as archive:
        while (info := archive.next()) is not None:
            archive.members.clear()  # type: ignore[attr-defined]  # the list grows with the archive otherwise
            bounds.add_file()
            kind = _kind_of_tar(info)
            name = checked_name(info.name, bounds.name)
            if name:

                def opened(info: tarfile.TarInfo = info) -> IO[bytes]:
                    reader = archive.extractfile(info)
                    assert reader is not None
                    return reader

                yield Member(name, kind, info.mode, float(info.mtime), info.linkname, opened)


def members_of_zip(file: IO[bytes], bounds: Bounds) -> Iterator[Member]:
    """The members of a zip file, as those of a tar."""
    _check_directory(file, bounds)
    with zipfile.ZipFile(file) as archive:
        infos = archive.infolist()
        bounds.expect(sum(info.file_size for info in infos))
        for info in infos:
            bounds.add_file()
            written = info.orig_filename.replace("\\", "/")  # some programs on Windows write them so
            name = checked_name(written, bounds.name)
            if not name:
                continue
            mode = info.external_attr >> 16
            kind = "folder" if written.endswith("/") else _kind_of_zip(info, mode)
            if info.flag_bits & 1:
                raise StepError(f"'{name}' in {bounds.name} is encrypted, which decompress cannot read")
            link = ""
            if kind == "link":
                with archive.open(info) as reader:
                    link = reader.read(_LONGEST_LINK).decode("utf-8", "replace")
            yield Member(name, kind, mode, _instant(info), link, lambda info=info: archive.open(info))  # type: ignore[misc]


def _check_directory(file: IO[bytes], bounds: Bounds) -> None:
    """StepError for a list of members that alone would fill the memory, into which zipfile reads it as a whole."""
    end = file.seek(0, os.SEEK_END)
    file.seek(max(0, end - _LONGEST_TAIL))
    tail = file.read()
    sizes = [
        struct.unpack_from(form, tail, at + offset)[0]
        for signature, form, offset, length in ((b"PK\5\6", "<L", 12, 22), (b"PK\6\6", "<Q", 40, 56))
        if (at := tail.rfind(signature)) >= 0 and at + length <= len(tail)
    ]
    if min(end, max(sizes, default=0)) > bounds.max_files * _MOST_PER_FILE:
        raise StepError(f"{bounds.name} lists more than {bounds.max_files:,} files: raise max_files if that is meant")


def checked_name(name: str, archive: str) -> str:
    """A member's name without `./` and the last /; empty for the root itself. StepError for one that leads elsewhere."""
    parts = name.split("/")
    if name.startswith("/") or (len(name) > 1 and name[1] == ":" and name[0].isalpha()):
        raise StepError(f"'{name}' in {archive} is an absolute path: nothing was unpacked")
    if ".." in parts or "\0" in name:
        raise StepError(f"'{name}' in {archive} leads out of the destination: nothing was unpacked")
    try:
        name.encode()
    except UnicodeEncodeError:
        raise StepError(f"{name.encode('utf-8', 'backslashreplace').decode()!r} in {archive} is not UTF-8") from None
    return "/".join(part for part in parts if part not in ("", "."))


def _kind_of_tar(info: tarfile.TarInfo) -> Kind:
    kinds: list[tuple[bool, Kind]] = [
        (info.isreg(), "file"),
        (info.isdir(), "folder"),
        (info.issym(), "link"),
        (info.islnk(), "hard link"),
    ]
    for fits, kind in kinds:
        if fits:
            return kind
    what = "a device" if info.ischr() or info.isblk() else "a named pipe" if info.isfifo() else "no file, folder or link"
    raise StepError(f"'{info.name}' is {what}: nothing was unpacked")


def _kind_of_zip(info: zipfile.ZipInfo, mode: int) -> Kind:
    kinds: dict[int, Kind] = {0: "file", stat.S_IFREG: "file", stat.S_IFLNK: "link", stat.S_IFDIR: "folder"}
    kind = kinds.get(stat.S_IFMT(mode))
    if kind is not None:
        return kind
    raise StepError(f"'{info.filename}' is no file, folder or link: nothing was unpacked")


def _instant(info: zipfile.ZipInfo) -> float:
    with suppress(ValueError, OverflowError):  # 2026-00-00 can be written, too
        return time.mktime((*info.date_time, 0, 0, -1))
    return time.time()


class _Guarded(BufferedIOBase):
    """What tarfile reads from: forwards only, and no header longer than a header is."""

    def __init__(self, stream: IO[bytes], bounds: Bounds) -> None:
        self._stream = stream
        self._bounds = bounds
        self._at = 0

    def readable(self) -> bool:
        """True."""
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        """Exactly `size` bytes, fewer at the end."""
        if size is None or size < 0 or size > _LONGEST_HEADER:
            raise StepError(f"{self._bounds.name} has a header of more than {_LONGEST_HEADER:,} bytes: nothing was unpacked")
        parts = []
        while size > 0 and (part := self._stream.read(size)):
            parts.append(part)
            size -= len(part)
        data = b"".join(parts)
        self._at += len(data)
        self._bounds.check(self._at)
        return data

    def tell(self) -> int:
        """How many bytes were read."""
        return self._at

    def seek(self, target: int, whence: int = 0, /) -> int:
        """Read on until there."""
        if whence or target < self._at:
            raise tarfile.ReadError("an archive is read forwards only")
        while self._at < target and self.read(min(_BLOCK, target - self._at)):
            pass
        return self._at

    def seekable(self) -> bool:
        """Forwards."""
        return True
