"""The processor `rotate`."""

from __future__ import annotations

import re
import shutil
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import ByteSize, Field, field_validator

from chalicelib.catalog.decorators import processor
from chalicelib.domain.errors import StepError
from chalicelib.domain.handle import RunHandle
from chalicelib.processors.base import Duration, Processor
from chalicelib.processors.failures import said_plainly
from chalicelib.processors.meter import size_text
from chalicelib.processors.paths import Entry, Location, destination_of, files_below, find


@processor("rotate")
class Rotate(Processor):
    """Moves log files into an archive folder under names with the date (`app-2026-01-31.log`) for `compress` to take.

    A file is moved when every condition that is given holds; without any, each one is.
    """

    source: Location = Field(description="A folder, a file or a glob: ./logs, /var/log/app/*.log")
    archive: Location | None = Field(None, description="Folder of the archives; default: `archive` beside the files")
    older_than: Duration | None = Field(None, description="Only files unchanged for so long: 12h, 7d")
    min_size: ByteSize | None = Field(None, description="Only files of at least so many bytes: 500kB, 10MB")
    keep: int | None = Field(None, ge=1, description="How many archives of one file to keep; older ones are removed")

    @field_validator("source", "archive")
    @classmethod
    def _is_local(cls, value: str | None) -> str | None:
        if value and value.startswith("s3://"):
            raise ValueError("rotate moves local files; for S3 use a lifecycle rule of the bucket")
        return value

    def __call__(self, run: RunHandle) -> dict[str, Any]:
        """Output: path (the archive folder), files (names in it), bytes, left (not moved), removed (old archives)."""
        found = find(run, self.source, project=False)
        root = Path(str(found.root))
        folder = self._archive(run, root if found.folder else root.parent)
        candidates = [entry for entry in found.entries if not Path(str(entry.path)).is_relative_to(folder)]
        due = [entry for entry in candidates if self._is_due(entry)]
        moved: list[str] = []
        removed: list[str] = []
        with said_plainly(f"moving files from {root} to {folder}"):
            folder.mkdir(parents=True, exist_ok=True)
            for entry in due:
                run.check_stopped()
                moved.append(_archived(entry, folder))
                removed += self._remove_surplus(entry, folder)
                run.log(f"{entry.name} -> {moved[-1]} ({size_text(entry.size)})")
                run.progress(len(moved) / len(due), entry.name)
        for name in removed:
            run.log(f"removed {name}")
        return {
            "path": str(folder),
            "files": moved,
            "bytes": sum(entry.size for entry in due),
            "left": len(candidates) - len(due),
            "removed": removed,
        }

    def _archive(self, run: RunHandle, beside: Path) -> Path:
        folder = destination_of(run, self.archive) if self.archive else beside / "archive"
        if not isinstance(folder, Path) or folder.resolve() == beside.resolve():
            raise StepError("the archive is another folder than the one that is rotated")
        return folder

    def _is_due(self, entry: Entry) -> bool:
        old_enough = self.older_than is None or time.time() - entry.modified >= self.older_than
        return old_enough and (self.min_size is None or entry.size >= self.min_size)

    def _remove_surplus(self, entry: Entry, folder: Path) -> list[str]:
        if self.keep is None:
            return []
        archives = sorted((age, name) for name, age in _archives(entry.name, folder).items())
        surplus = [name for _, name in archives[: -self.keep]]
        for name in surplus:
            (folder / name).unlink()
        return surplus


def _archived(entry: Entry, folder: Path) -> str:
    """Move it; its new name in the folder. A second one on the same day gets a number: app-2026-01-31.2.log."""
    original = Path(entry.name)
    today = datetime.now(UTC).strftime("%Y-%m-%d")
    taken = [number for day, number in _archives(entry.name, folder).values() if day == today]
    number = max(taken, default=0) + 1
    name = f"{original.stem}-{today}{f'.{number}' if number > 1 else ''}{original.suffix}"
    target = folder / original.with_name(name)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(str(entry.path), target)
    return target.relative_to(folder).as_posix()


def _archives(name: str, folder: Path) -> dict[str, tuple[str, int]]:
    """The archives of one file, also compressed ones -> (day, number on that day)."""
    original = Path(name)
    prefix = re.escape(original.with_suffix("").as_posix())
    pattern = re.compile(rf"{prefix}-(\d{{4}}-\d\d-\d\d)(?:\.(\d+))?{re.escape(original.suffix)}(?:\.(?:gz|bz2|xz|zip))?")
    found = ((entry.name, pattern.fullmatch(entry.name)) for entry in files_below(folder))
    return {known: (match[1], int(match[2] or 1)) for known, match in found if match}
