"""The processor `list`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import Field

from chalicelib.catalog.decorators import processor
from chalicelib.domain.handle import RunHandle
from chalicelib.processors.base import Processor
from chalicelib.processors.describing import count_text
from chalicelib.processors.meter import size_text
from chalicelib.processors.paths import Entry, Found, Location, find
from chalicelib.processors.selection import Exclude, MinSize, Missing, NewerThan, OlderThan, chosen

_MOST_SAID = 20


@processor("list")
class List(Processor):
    """Lists files, here or in S3, for the steps after it: `for_each` goes over its output's `files`."""

    source: Location = Field(
        description="A file, folder or glob: ./inbox, ./logs/**/*.log, s3://bucket/prefix/",
        examples=["./logs/**/*.log", "s3://bucket/inbox/*.csv"],
    )
    exclude: Exclude = ()
    older_than: OlderThan = None
    newer_than: NewerThan = None
    min_size: MinSize = None
    sort: Literal["name", "modified", "bytes"] = Field("name", description="What to sort by")
    descending: bool = Field(False, description="The last, newest or largest first")
    limit: int = Field(1000, ge=1, le=10_000, description="The most files to list")
    missing: Missing = "ignore"

    def __call__(self, run: RunHandle) -> dict[str, Any]:
        """Output: path, files (a list of path, name, bytes, modified), count and bytes (of those), total (how many matched)."""
        found = self._chosen(find(run, self.source, missing_ok=self.missing == "ignore"))
        listed = sorted(found.entries, key=self._key, reverse=self.descending)[: self.limit]
        for entry in listed[:_MOST_SAID]:
            run.log(f"{entry.name} ({size_text(entry.size)})")
        if len(listed) > _MOST_SAID:
            run.log(f"and {len(listed) - _MOST_SAID} more")
        size = sum(entry.size for entry in listed)
        rest = f", the first of {len(found.entries)}" if len(found.entries) > len(listed) else ""
        run.log(f"{count_text(len(listed))} ({size_text(size)}){rest}")
        files = [
            {"path": str(entry.path), "name": entry.name, "bytes": entry.size, "modified": _instant(entry.modified)}
            for entry in listed
        ]
        return {"path": str(found.root), "files": files, "count": len(files), "bytes": size, "total": len(found.entries)}

    def describe(self, run: RunHandle) -> str:
        """What it would do."""
        return f"lists the files of '{self.source}' by {self.sort}, {self.limit} at most"

    def _chosen(self, found: Found) -> Found:
        return chosen(found, self.exclude, self.older_than, self.newer_than, self.min_size)

    def _key(self, entry: Entry) -> tuple[Any, str]:
        return {"name": entry.name, "modified": entry.modified, "bytes": entry.size}[self.sort], entry.name


def _instant(seconds: float) -> str:
    """ISO 8601 in UTC, to the second."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
