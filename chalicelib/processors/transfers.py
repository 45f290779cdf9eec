"""Moving bytes between local folders and S3, several S3 files at once."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chalicelib.domain.handle import RunHandle
from chalicelib.processors import clients
from chalicelib.processors.failures import said_plainly
from chalicelib.processors.meter import Meter
from chalicelib.processors.paths import Entry

if TYPE_CHECKING:
    from s3transfer.manager import TransferManager

    from chalicelib.processors.paths import AnyPath

_BLOCK = 1 << 20


def transfer(run: RunHandle, pairs: Sequence[tuple[Entry, AnyPath]]) -> int:
    """Copy each entry to its target, saying the progress by bytes; how many bytes it was.

    Modes and times go along locally. A target is there completely or not at all. StepError and TransientError name
    the file.
    """
    meter = Meter(run, sum(entry.size for entry, _ in pairs))
    local = [(entry, target) for entry, target in pairs if isinstance(entry.path, Path) and isinstance(target, Path)]
    remote = [(entry, target) for entry, target in pairs if not (isinstance(entry.path, Path) and isinstance(target, Path))]
    for entry, target in local:
        with said_plainly(f"copying {entry.path} to {target}"):
            _copy(Path(str(entry.path)), Path(str(target)), meter)
    if remote:
        _through_s3(remote, meter)
    meter.finish()
    return meter.total


def _copy(source: Path, target: Path, meter: Meter) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.part")
    try:
        with source.open("rb") as reader, partial.open("wb") as writer:
            while block := reader.read(_BLOCK):
                writer.write(block)
                meter.add(len(block))
                meter.show()
        shutil.copystat(source, partial)
        os.replace(partial, target)
    finally:
        with suppress(OSError):
            partial.unlink()


def _through_s3(pairs: Sequence[tuple[Entry, AnyPath]], meter: Meter) -> None:
    from s3transfer.manager import TransferManager

    # Leaving the block by an exception, StoppedError too, cancels what is under way.
    with TransferManager(clients.client("s3")) as manager:
        under_way = [(f"copying {entry.path} to {target}", _submit(manager, entry.path, target, meter)) for entry, target in pairs]
        for doing, future in under_way:
            while not future.done():
                time.sleep(0.01)
                meter.show()
            with said_plainly(doing):
                future.result()


def _submit(manager: TransferManager, source: AnyPath, target: AnyPath, meter: Meter) -> Any:
    subscribers: list[Any] = [_Counter(meter)]
    if isinstance(source, Path):
        assert not isinstance(target, Path)
        return manager.upload(str(source), target.bucket, target.key, subscribers=subscribers)
    if isinstance(target, Path):
        target.parent.mkdir(parents=True, exist_ok=True)
        return manager.download(source.bucket, source.key, str(target), subscribers=subscribers)
    origin = {"Bucket": source.bucket, "Key": source.key}
    return manager.copy(origin, target.bucket, target.key, subscribers=subscribers)


class _Counter:
    """A subscriber of s3transfer, which tells by attribute what it listens to; called from transfer threads."""

    def __init__(self, meter: Meter) -> None:
        self.meter = meter

    def on_progress(self, future: Any, bytes_transferred: int, **_: Any) -> None:
        self.meter.add(bytes_transferred)
