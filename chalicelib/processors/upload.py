"""The processor `upload`."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from chalicelib.catalog.decorators import processor
from chalicelib.domain.handle import RunHandle
from chalicelib.processors.base import Processor
from chalicelib.processors.meter import size_text
from chalicelib.processors.paths import Location, destination_of, find, previous_path
from chalicelib.processors.transfers import transfer


@processor("upload")
class Upload(Processor):
    """Puts a file, or everything in a folder, into a folder elsewhere: `s3://bucket/prefix/` or a local one.

    Without `source` it takes what the step before has made.
    """

    destination: Location = Field(description="The folder to put it into, like s3://backups/daily/{date}/")
    source: Location | None = Field(None, description="A file, folder or glob; default: the previous step's output")

    def __call__(self, run: RunHandle) -> dict[str, Any]:
        """Output: path (of the one file, or the folder), files (their new paths), bytes."""
        found = find(run, self.source or previous_path(run))
        folder = destination_of(run, self.destination)
        pairs = [(entry, folder / entry.name) for entry in found.entries]
        size = transfer(run, pairs)
        for entry, target in pairs:
            run.log(f"{target} ({size_text(entry.size)})")
        path = str(folder) if found.folder else str(pairs[0][1])
        return {"path": path, "files": [str(target) for _, target in pairs], "bytes": size}
