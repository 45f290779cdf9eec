"""The processor `rotate`."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from pydantic import ByteSize, Field

from chalicelib.catalog.decorators import processor
from chalicelib.domain.errors import StepError
from chalicelib.domain.handle import RunHandle
from chalicelib.processors.base import Duration, Processor
from chalicelib.processors.describing import source_text
from chalicelib.processors.failures import said_plainly
from chalicelib.processors.meter import size_text
from chalicelib.processors.paths import Entry, Found, Location, destination_of, file_below, files_below, find
from chalicelib.processors.removal import remove
from chalicelib.processors.selection import Exclude, MinSize, OlderThan, chosen
from chalicelib.processors.transfers import move

if TYPE_CHECKING:
    from chalicelib.processors.locations import AnyPath

_MOST_LISTED = 1000
_DATED = re.compile(r"(.*)-(\d{4}-\d\d-\d\d)(\.\d+)?(\.[^./]*)?", re.DOTALL)
_PACKED = re.compile(r"\.(?:gz|bz2|xz|zip)$")


@processor("rotate")
class Rotate(Processor):
    """Moves log files into an archive folder under names with the date (`app-2026-01-31.log`) for `compress` to take.

    A file is moved when every condition that is given holds; without any, each one is. Archives, also compressed ones, are
    removed when one of the limits `keep`, `keep_for` and `keep_size` says so; the newest of a file is always kept.
    """

    source: Location = Field(
        description="A folder, a file or a glob: ./logs, /var/log/app/*.log, s3://bucket/logs/", examples=["/var/log/app/*.log"]
    )
    archive: Location | None = Field(None, description="Folder of the archives; default: `archive` beside the files")
    older_than: OlderThan = None
    min_size: MinSize = None
    spare: int = Field(0, ge=0, description="How many of the newest files to leave where they are")
    exclude: Exclude = ()
    keep: int | None = Field(None, ge=1, description="How many archives of one file to keep; older ones are removed")
    keep_for: Duration | None = Field(None, ge=86400, description="How long to keep archives, by the date in the name: 30d")
    keep_size: ByteSize | None = Field(None, description="How many bytes the archives of one file may have: 500MB")

    def __call__(self, run: RunHandle) -> dict[str, Any]:
        """Output: path (the archive folder), files (names in it), count, bytes, left (not moved), removed (old archives)."""
        found = find(run, self.source, project=False)
        folder = self._archive(run, found.root if found.folder else found.root.parent)
        candidates = self._candidates(found, folder)
        due = self._due(candidates).entries
        with said_plainly(f"reading {folder}"):
            archives = [] if not folder.exists() else _archives(files_below(folder))
        today = datetime.now(UTC).strftime("%Y-%m-%d")
        pairs: list[tuple[Entry, AnyPath]] = []
        moved: list[str] = []
        for entry in due:
            moved.append(_dated_name(entry.name, today, archives))
            pairs.append((entry, file_below(run, folder, moved[-1])))
            archives += _archives([replace(entry, path=pairs[-1][1], name=moved[-1])])
        size = move(run, pairs)
        for entry, name in list(zip(due, moved, strict=True))[:_MOST_LISTED]:
            run.log(f"{entry.name} -> {name} ({size_text(entry.size)})")
        surplus = self._surplus(archives, {entry.name for entry in candidates.entries})
        remove(run, surplus)
        for entry in surplus[:_MOST_LISTED]:
            run.log(f"removed {entry.name}")
        return {
            "path": str(folder),
            "files": moved[:_MOST_LISTED],
            "count": len(moved),
            "bytes": size,
            "left": len(candidates.entries) - len(due),
            "removed": [entry.name for entry in surplus][:_MOST_LISTED],
        }

    def describe(self, run: RunHandle) -> str:
        """What it would do."""

        def only(found: Found) -> Found:
            return self._due(self._candidates(found, self._archive(run, found.root if found.folder else found.root.parent)))

        where = f"'{self.archive}'" if self.archive else "the folder `archive` beside"
        return f"moves {source_text(run, self.source, only, project=False)} under dated names to {where}"

    def _archive(self, run: RunHandle, beside: AnyPath) -> AnyPath:
        folder = destination_of(run, self.archive) if self.archive else beside / "archive"
        if str(folder).rstrip("/") == str(beside).rstrip("/"):
            raise StepError("the archive is another folder than the one that is rotated")
        return folder

    def _candidates(self, found: Found, folder: AnyPath) -> Found:
        within = str(folder).rstrip("/") + "/"
        outside = [entry for entry in found.entries if not str(entry.path).startswith(within)]
        return chosen(Found(found.root, found.folder, outside), self.exclude)

    def _due(self, candidates: Found) -> Found:
        newest_first = sorted(candidates.entries, key=lambda entry: (entry.modified, entry.name), reverse=True)
        spared = {entry.name for entry in newest_first[: self.spare]}
        due = chosen(candidates, older_than=self.older_than, min_size=self.min_size)
        return Found(due.root, due.folder, [entry for entry in due.entries if entry.name not in spared])

    def _surplus(self, archives: list[_Archive], originals: set[str]) -> list[Entry]:
        """The archives of these files that no limit lets stay, oldest first."""
        surplus = []
        for original in originals:
            newest_first = sorted((a for a in archives if a.original == original), key=lambda a: a.age, reverse=True)
            total = 0
            for index, archive in enumerate(newest_first):
                total += archive.entry.size
                age = time.time() - datetime.fromisoformat(archive.age[0]).replace(tzinfo=UTC).timestamp()
                too_many = self.keep is not None and index >= self.keep
                too_old = self.keep_for is not None and age > self.keep_for
                too_large = self.keep_size is not None and total > self.keep_size
                if index and (too_many or too_old or too_large):
                    surplus.append(archive.entry)
        return sorted(set(surplus), key=lambda entry: entry.name)


@dataclass(frozen=True)
class _Archive:
    """A file with a date in its name: the name it may have had, and (day, number on that day)."""

    entry: Entry
    original: str
    age: tuple[str, int]


def _archives(entries: list[Entry]) -> list[_Archive]:
    """What could be archives. `app-2026-01-31.2` may be the second of `app` and the first of `app.2`: it counts as both."""
    found = []
    for entry in entries:
        match = _DATED.fullmatch(_PACKED.sub("", entry.name))
        if match is None or not _is_day(match[2]):
            continue
        beginning, day, number, suffix = match.groups(default="")
        found.append(_Archive(entry, beginning + suffix, (day, int(number[1:] or 1))))
        if number and not suffix:
            found.append(_Archive(entry, beginning + number, (day, 1)))
    return found


def _is_day(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _dated_name(name: str, today: str, archives: list[_Archive]) -> str:
    """Its name in the archive. A second one on the same day gets a number: app-2026-01-31.2.log."""
    original = PurePosixPath(name)
    numbers = [archive.age[1] for archive in archives if archive.original == name and archive.age[0] == today]
    number = max(numbers, default=0) + 1
    return original.with_name(f"{original.stem}-{today}{f'.{number}' if number > 1 else ''}{original.suffix}").as_posix()
