"""How much may come out of an archive: what stands against decompression bombs."""

from __future__ import annotations

import shutil
from pathlib import Path

from chalicelib.domain.errors import StepError
from chalicelib.processors.meter import size_text

_FREE_RATIO = 10_000_000  # bytes up to which no ratio is looked at: a small file of zeros shrinks a thousandfold
_SPARE = 8_000_000  # bytes of the disk that stay free
_LOOK_EVERY = 8_000_000  # bytes between two looks at the disk


class Bounds:
    """Counts the files and bytes of one archive. StepError as soon as a bound is passed, before it is written."""

    def __init__(self, name: str, packed: int, folder: Path, *, max_bytes: int, max_files: int, max_ratio: float) -> None:
        """`name` is the archive, `packed` its bytes, `folder` a place on the disk that is written to."""
        self.name, self.packed, self.folder = name, packed, folder
        self.max_bytes, self.max_files, self.max_ratio = max_bytes, max_files, max_ratio
        self.files = 0
        self.bytes = 0
        self._looked_at = -1

    def add_file(self) -> None:
        """One file, folder or link more."""
        self.files += 1
        if self.files > self.max_files:
            raise StepError(f"{self.name} holds more than {self.max_files:,} files: raise max_files if that is meant")

    def add(self, count: int) -> None:
        """`count` bytes more that are about to be written."""
        self.bytes += count
        self.check(self.bytes)
        if self._looked_at < 0 or self.bytes - self._looked_at >= _LOOK_EVERY:
            self._looked_at = self.bytes
            self._check_disk(count)

    def expect(self, total: int) -> None:
        """What the archive says of itself, before anything is written."""
        self.check(total)
        self._check_disk(total)

    def check(self, total: int) -> None:
        """Whether so many bytes may come out in all."""
        if total > self.max_bytes:
            raise StepError(f"{self.name} holds more than {size_text(self.max_bytes)}: raise max_bytes if that is meant")
        if total > _FREE_RATIO and total > self.max_ratio * max(1, self.packed):
            hint = "it looks like a decompression bomb; raise max_ratio if that is meant"
            raise StepError(f"{self.name} ({size_text(self.packed)}) grows more than {self.max_ratio:g} times: {hint}")

    def _check_disk(self, wanted: int) -> None:
        free = shutil.disk_usage(self.folder).free
        if wanted > free - _SPARE - _LOOK_EVERY:
            raise StepError(f"{self.name} does not fit on the disk: {size_text(free)} are free at {self.folder}")
