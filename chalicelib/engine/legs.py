"""Going on in another Lambda: when that is due, and what is carried over.

A leg is one Lambda invocation of an attempt. The next one has the same run, slot, workspace and terminal; what the pipeline has
come to goes with the run's item if it is small, else with the workspace through the bucket.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from chalicelib.domain.errors import StepError
from chalicelib.domain.run import RunRecord
from chalicelib.engine.objects import upload_stream
from chalicelib.engine.services import Services
from chalicelib.store.codec import to_json

if TYPE_CHECKING:
    import tarfile

RESERVE, RESERVE_SHARE = 60.0, 0.2  # seconds, and the most of a short limit, in which the next leg is due
END_RESERVE, END_SHARE = 5.0, 0.1  # the same, kept for ending the run
SMALL_STATE = 2_000  # characters of JSON that the run's item holds: every flush pays for them
STATE_FILE = ".nightshift-state.json"


@dataclass(frozen=True)
class LegClock:
    """The monotonic clock's readings that bound a leg: from `due` on it goes over at the next chance, at `ends` it is cut short."""

    began: float
    due: float
    ends: float
    limit: float  # seconds that Lambda gives in all

    @classmethod
    def starting(cls, seconds_left: float) -> LegClock:
        """Of a Lambda that has so many seconds from now on."""
        now = time.monotonic()
        ends = now + seconds_left - min(END_RESERVE, END_SHARE * seconds_left)
        return cls(now, now + seconds_left - min(RESERVE, RESERVE_SHARE * seconds_left), ends, seconds_left)

    @property
    def left(self) -> float:
        """Seconds until it is cut short."""
        return self.ends - time.monotonic()

    def is_due(self, next_step: float | None) -> bool:
        """Whether to go over now; also when the step to come may take so many seconds, and only a fresh Lambda has them."""
        now = time.monotonic()
        if now >= self.due:
            return True
        fresh = (self.ends - self.began) - (self.ends - now)  # what a new leg would have more than this one
        return next_step is not None and next_step > self.ends - now and fresh > RESERVE_SHARE * self.limit


def pack(services: Services, run: RunRecord, state: dict[str, Any], workspace: Path) -> dict[str, Any]:
    """What the next leg needs, for the run's item: `{state}`, or `{object}` with the key of an archive, or both."""
    text = to_json(state)
    small = len(text) <= SMALL_STATE
    carried: dict[str, Any] = {"state": state} if small else {}
    if small and not (workspace.is_dir() and any(workspace.iterdir())):
        return carried
    key = f"legs/{run.id}/{run.attempt}-{run.leg + 1}.tar.gz"
    _upload_archive(services, key, workspace, None if small else text.encode())
    return carried | {"object": key}


def unpack(services: Services, carried: dict[str, Any], workspace: Path) -> dict[str, Any]:
    """The state that was packed; the workspace is filled."""
    state: dict[str, Any] | None = carried.get("state")
    key = carried.get("object")
    if key is not None:
        bucket = services.settings.bucket
        import tarfile

        # Written by ourselves, but of files that the code made: nothing lands outside, whatever they are called.
        careful: dict[str, Any] = {"filter": "tar"} if hasattr(tarfile, "tar_filter") else {}  # from Python 3.11.4 on
        body = services.s3().get_object(Bucket=bucket, Key=key)["Body"]
        found: list[bytes] = []
        with tarfile.open(fileobj=body, mode="r|gz") as archive:
            archive.extractall(workspace, members=_files(archive, found), **careful)
        state = json.loads(found[0]) if found else state
    if state is None:
        raise StepError("what the leg before had come to is not there")
    return state


def forget(services: Services, carried: dict[str, Any]) -> None:
    """Remove the archive: nobody needs it any more. What is left behind goes by the bucket's own rule."""
    if "object" in carried:
        try:
            services.s3().delete_object(Bucket=services.settings.bucket, Key=carried["object"])
        except Exception:
            services.log.warning("an archive of a leg is left behind", extra={"key": carried["object"]})


def _files(archive: tarfile.TarFile, state: list[bytes]) -> Iterator[tarfile.TarInfo]:
    for member in archive:
        if member.name == STATE_FILE:
            content = archive.extractfile(member)
            assert content is not None
            state.append(content.read())
        else:
            yield member


def _upload_archive(services: Services, key: str, workspace: Path, state: bytes | None) -> None:
    """Through a pipe: neither memory nor disk has to hold the archive."""
    reading, writing = os.pipe()
    failures: list[Exception] = []

    def write() -> None:
        try:
            with os.fdopen(writing, "wb") as sink:
                _write_archive(sink, workspace, state)
        except Exception as failure:
            failures.append(failure)

    writer = threading.Thread(target=write, name="archive", daemon=True)
    source = _Source(os.fdopen(reading, "rb"), writer, failures)
    writer.start()
    try:
        upload_stream(services, source, key)
    finally:
        source.close()
        writer.join()


class _Source:
    """The pipe's reading end. What went wrong at the other end is raised here, so that no half of an archive is ever put."""

    def __init__(self, pipe: IO[bytes], writer: threading.Thread, failures: list[Exception]) -> None:
        self._pipe, self._writer, self._failures = pipe, writer, failures

    def read(self, size: int = -1) -> bytes:
        data = self._pipe.read(size)
        if size < 0 or len(data) < size:
            self._writer.join()
            if self._failures:
                raise self._failures[0]
        return data

    def close(self) -> None:
        self._pipe.close()


def _write_archive(sink: IO[bytes], workspace: Path, state: bytes | None) -> None:
    import gzip
    import tarfile
    from io import BytesIO

    # Level 1: Lambda's time is what is short, not the bucket's space.
    with gzip.GzipFile(fileobj=sink, mode="wb", compresslevel=1) as deflated, tarfile.open(fileobj=deflated, mode="w|") as archive:
        if state is not None:
            member = tarfile.TarInfo(STATE_FILE)
            member.size = len(state)
            archive.addfile(member, BytesIO(state))
        if workspace.is_dir():
            for path in sorted(workspace.iterdir()):
                archive.add(path, arcname=path.name)
