"""Moving bytes between local folders and S3, several S3 files at once."""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeAlias, cast

from chalicelib.domain.errors import StepError
from chalicelib.domain.handle import RunHandle
from chalicelib.processors import clients
from chalicelib.processors.failures import said_plainly
from chalicelib.processors.meter import Meter
from chalicelib.processors.paths import Entry
from chalicelib.processors.removal import remove
from chalicelib.processors.writing import replaced

if TYPE_CHECKING:
    from s3transfer.manager import TransferManager

    from chalicelib.processors.locations import AnyPath

_BLOCK = 1 << 20
_MOST_WAITING = 64  # blocks of 256 KiB that may wait for the disk; by default a quarter of a gigabyte may

Extra: TypeAlias = "Callable[[Entry, AnyPath], dict[str, Any]]"


def transfer(run: RunHandle, pairs: Sequence[tuple[Entry, AnyPath]], extra: Extra | None = None) -> int:
    """Copy each entry to its target, saying the progress by bytes; how many bytes it was.

    Modes and times go along locally; `extra` gives S3's own arguments for an object. A target is there completely or not at
    all. StepError and TransientError name the file.
    """
    meter = Meter(run, sum(entry.size for entry, _ in pairs))
    local = [(entry, target) for entry, target in pairs if isinstance(entry.path, Path) and isinstance(target, Path)]
    remote = [(entry, target) for entry, target in pairs if not (isinstance(entry.path, Path) and isinstance(target, Path))]
    for entry, target in local:
        with said_plainly(f"copying {entry.path} to {target}"):
            _copy(run, entry, Path(str(target)), meter)
    if remote:
        _through_s3(remote, meter, extra or (lambda entry, target: {}))
    meter.finish()
    return meter.total


def move(run: RunHandle, pairs: Sequence[tuple[Entry, AnyPath]]) -> int:
    """Like transfer, and no source is left. Each file is all the time at one of the two places at least.

    On one disk it is a rename. StepError, and the source stays, where a file has changed while it was copied.
    """
    copied = []
    moved = 0
    for entry, target in pairs:
        run.check_stopped()
        if isinstance(entry.path, Path) and isinstance(target, Path) and _renamed(entry.path, target):
            moved += entry.size
        else:
            copied.append((entry, target))
    if copied:
        moved += transfer(run, copied)
        unchanged([entry for entry, _ in copied])
        remove(run, [entry for entry, _ in copied])
    run.progress(1.0)
    return moved


def opened(entry: Entry) -> IO[bytes]:
    """The content as a stream to read once, from S3 without a copy on the disk."""
    if isinstance(entry.path, Path):
        return entry.path.open("rb")
    answer = clients.client("s3").get_object(Bucket=entry.path.bucket, Key=entry.path.key)
    return cast(IO[bytes], answer["Body"])


def _copy(run: RunHandle, entry: Entry, target: Path, meter: Meter) -> None:
    with opened(entry) as reader, replaced(run, target) as partial:
        with partial.open("wb") as writer:
            while block := reader.read(_BLOCK):
                writer.write(block)
                meter.add(len(block))
                meter.show()
        shutil.copystat(str(entry.path), partial)


def _renamed(source: Path, target: Path) -> bool:
    """Whether it could be done so: both on one disk, and the source no link, which would then lead elsewhere."""
    if source.is_symlink():
        return False
    with said_plainly(f"moving {source} to {target}"):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.replace(source, target)
        except OSError as error:
            if error.errno == errno.EXDEV:
                return False
            raise
    return True


def unchanged(entries: Sequence[Entry]) -> None:
    for entry in entries:
        if isinstance(entry.path, Path):
            with said_plainly(f"looking at {entry.path}"):
                stat = entry.path.stat()
            if (stat.st_size, stat.st_mtime) != (entry.size, entry.modified):
                raise StepError(f"{entry.path} has changed while it was copied: it was not removed; move it when nobody writes it")


def _through_s3(pairs: Sequence[tuple[Entry, AnyPath]], meter: Meter, extra: Extra) -> None:
    from s3transfer.manager import TransferConfig, TransferManager

    # Leaving the block by an exception, StoppedError too, cancels what is under way.
    with TransferManager(clients.client("s3"), TransferConfig(max_io_queue_size=_MOST_WAITING)) as manager:
        under_way = []
        for entry, target in pairs:
            under_way.append(
                (f"copying {entry.path} to {target}", _submit(manager, entry.path, target, meter, extra(entry, target)))
            )
            meter.show()
        for doing, future in under_way:
            while not future.done():
                time.sleep(0.01)
                meter.show()
            with said_plainly(doing):
                future.result()


def _submit(manager: TransferManager, source: AnyPath, target: AnyPath, meter: Meter, extra: dict[str, Any]) -> Any:
    subscribers: list[Any] = [_Counter(meter)]
    if isinstance(source, Path):
        assert not isinstance(target, Path)
        return manager.upload(str(source), target.bucket, target.key, extra_args=extra, subscribers=subscribers)
    if isinstance(target, Path):
        target.parent.mkdir(parents=True, exist_ok=True)
        return manager.download(source.bucket, source.key, str(target), subscribers=subscribers)
    origin = {"Bucket": source.bucket, "Key": source.key}
    return manager.copy(origin, target.bucket, target.key, extra_args=extra, subscribers=subscribers)


class _Counter:
    """A subscriber of s3transfer, which tells by attribute what it listens to; called from transfer threads."""

    def __init__(self, meter: Meter) -> None:
        self.meter = meter

    def on_progress(self, future: Any, bytes_transferred: int, **_: Any) -> None:
        self.meter.add(bytes_transferred)
