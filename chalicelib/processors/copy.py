"""The processor `copy`."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from chalicelib.catalog.decorators import processor
from chalicelib.domain.errors import StepError
from chalicelib.domain.handle import RunHandle
from chalicelib.processors.base import Processor
from chalicelib.processors.paths import Location, destination_of, find, into_folder
from chalicelib.processors.transfers import transfer


@processor("copy")
class Copy(Processor):
    """Copies a file, a folder or the matches of a glob, between local paths and S3 in any direction.

    A folder's files go below the destination (empty folders are not kept). A file goes into a destination that ends in
    `/` or is a folder, otherwise it gets that name.
    """

    source: Location = Field(description="A file, folder or glob: ./data, ./logs/*.log, /var/log, s3://bucket/prefix/")
    destination: Location = Field(description="Where to; a relative path lies in the run's workspace. Takes {date}")

    def __call__(self, run: RunHandle) -> dict[str, Any]:
        """Output: path (the copy), files (how many), bytes."""
        found = find(run, self.source)
        target = destination_of(run, self.destination)
        if found.folder:
            pairs = [(entry, target / entry.name) for entry in found.entries]
        else:
            target = target / found.root.name if into_folder(self.destination, target) else target
            pairs = [(found.entries[0], target)]
        for entry, place in pairs:
            if str(entry.path) == str(place):
                raise StepError(f"'{self.destination}' is the source itself: name another destination")
        size = transfer(run, pairs)
        run.log(f"copied {len(pairs)} {'file' if len(pairs) == 1 else 'files'} to {target}")
        return {"path": str(target), "files": len(pairs), "bytes": size}
