"""Files as streams of bytes, wherever they lie: what is sent over HTTP, or read line by line."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

from chalicelib.domain.errors import StepError
from chalicelib.domain.handle import RunHandle
from chalicelib.processors.failures import said_plainly
from chalicelib.processors.paths import Entry, find
from chalicelib.processors.transfers import move, opened
from chalicelib.processors.writing import partial_path, replaced

if TYPE_CHECKING:
    from chalicelib.processors.locations import AnyPath

_GZIP = b"\x1f\x8b"


def one_file(run: RunHandle, text: str) -> Entry:
    """The one file that is meant. StepError for a folder, a glob of several, or nothing."""
    found = find(run, text)
    if found.folder and len(found.entries) != 1:
        raise StepError(f"'{text}' is {len(found.entries)} files: name one")
    return found.entries[0]


@contextmanager
def reading(entry: Entry) -> Iterator[IO[bytes]]:
    """The file's bytes, read as they are asked for; nothing is stored in between."""
    with said_plainly(f"reading {entry.path}"):
        stream = opened(entry)
    with closing(stream):
        yield stream


def lines_of(entry: Entry) -> Iterator[bytes]:
    """The file's lines with their ends, unpacked where it is gzip. StepError names a file that is damaged."""
    with reading(entry) as stream:
        rest = b""
        for block in _unpacked(stream, str(entry.path)):
            *lines, rest = (rest + block).split(b"\n")
            for line in lines:
                yield line + b"\n"
        if rest:
            yield rest


@contextmanager
def made(run: RunHandle, target: AnyPath) -> Iterator[Path]:
    """A local file to write to, which becomes `target` at the end, in S3 by an upload. After an error neither is there."""
    if isinstance(target, Path):
        with replaced(run, target) as partial:
            yield partial
        return
    partial = partial_path(run, run.workspace / target.name)
    try:
        yield partial
        deliver(run, partial, target)
    finally:
        with suppress(OSError):
            partial.unlink()


def deliver(run: RunHandle, file: Path, target: AnyPath) -> None:
    """Move a finished file to its place, which has it completely or not at all."""
    with said_plainly(f"writing {target}"):
        stat = file.stat()
        if isinstance(target, Path):
            target.parent.mkdir(parents=True, exist_ok=True)
        move(run, [(Entry(file, file.name, stat.st_size, stat.st_mtime), target)])


def _unpacked(stream: IO[bytes], name: str) -> Iterator[bytes]:
    first = stream.read(1 << 16)
    if not first.startswith(_GZIP):
        while first:
            yield first
            first = stream.read(1 << 16)
        return
    inflate = zlib.decompressobj(31)
    try:
        while first:
            # Several members, one behind the other, are one file.
            if inflate.eof:
                inflate = zlib.decompressobj(31)
            block = inflate.decompress(first, 1 << 18)
            if block:
                yield block
            first = inflate.unconsumed_tail or inflate.unused_data or stream.read(1 << 16)
    except zlib.error as error:
        raise StepError(f"{name} is damaged: {error}") from error
    if not inflate.eof:
        raise StepError(f"{name} is damaged: its end is missing")
