"""Files that are kept with a run: uploaded to the bucket while it runs or when it ends, downloaded through the API."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from chalicelib.domain.errors import StepError
from chalicelib.domain.handle import RunHandle
from chalicelib.engine.arguments import INPUTS
from chalicelib.engine.objects import upload_stream
from chalicelib.engine.services import Services

MOST_ARTIFACTS = 200  # of a run: they are listed in its item
SLOW_UPLOAD = 10_000_000  # bytes a second that an upload is sure to reach


def artifact_key(run_id: str, name: str) -> str:
    """Where an artifact lies in the bucket."""
    return f"artifacts/{run_id}/{name}"


class Artifacts:
    """What one run keeps."""

    def __init__(self, services: Services, run_id: str, kept: list[dict[str, Any]]) -> None:
        self._services, self._run_id = services, run_id
        self._kept = {note["name"]: note for note in kept}

    def keep(self, file: Path, note: dict[str, Any]) -> dict[str, Any]:
        """Upload a file; what is noted of it, completed. Raises StepError when there are too many, and what the SDK raises."""
        name = note["name"]
        before = self._kept.get(name)
        if before is None and len(self._kept) >= MOST_ARTIFACTS:
            raise StepError(f"a run keeps at most {MOST_ARTIFACTS} artifacts: put files together into an archive")
        self._kept[name] = note  # taken from now on: branches of a pipeline upload side by side
        try:
            with file.open("rb") as opened:
                source = _Hashed(opened)
                upload_stream(self._services, source, artifact_key(self._run_id, name), ContentType=note["content_type"])
        except BaseException:
            del self._kept[name]
            if before is not None:
                self._kept[name] = before
            raise
        done = note | {"bytes": source.size, "sha256": source.digest.hexdigest()}
        self._kept[name] = done
        return dict(done)

    def list(self) -> list[dict[str, Any]]:
        """All that is kept, in the order it came."""
        return [*self._kept.values()]


class _Hashed:
    """A file that is read once, from its beginning to its end, and hashed on the way."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self.size = 0
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._source.read(size)
        self.size += len(data)
        self.digest.update(data)
        return data


def collect(run: RunHandle, patterns: list[str]) -> None:
    """Keep every file of the workspace that one of the task's patterns names. Raises StepError for one that may not be kept."""
    for path in _named(run.workspace, patterns):
        run.artifact(path)


def collect_after_failure(run: RunHandle, patterns: list[str], until: float) -> None:
    """The same, as far as it goes until the monotonic clock reads `until`: nothing that goes wrong hides the failure."""
    for path in _named(run.workspace, patterns):
        try:
            size = (run.workspace / path).stat().st_size
            if time.monotonic() + size / SLOW_UPLOAD > until:
                run.log(f"artifact '{path}' is not kept: there is no time left to upload its {size:,} bytes", level="warning")
            else:
                run.artifact(path)
        except Exception as error:
            run.log(f"artifact '{path}' is not kept: {error}", level="warning")


def _named(workspace: Path, patterns: list[str]) -> Iterator[Path]:
    """Paths in the workspace, each once. What was uploaded as an argument is meant only when it is named."""
    seen: set[Path] = set()
    for pattern in patterns:
        for path in sorted(workspace.glob(pattern)):
            relative = path.relative_to(workspace)
            argument = relative.parts[0] == INPUTS and not pattern.startswith(INPUTS)
            if relative not in seen and not argument and (path.is_symlink() or path.is_file()):
                seen.add(relative)
                yield relative
