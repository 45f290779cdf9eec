"""Progress by bytes."""

from __future__ import annotations

import time
from io import BufferedIOBase
from threading import Lock
from typing import IO

from chalicelib.domain.handle import RunHandle

_INTERVAL = 0.1  # seconds between two sayings


class Meter:
    """Counts bytes on their way and says how far they are.

    `add` may be called from any thread, `show` and `finish` from the main one.
    """

    def __init__(self, run: RunHandle, total: int) -> None:
        self.run = run
        self.total = total
        self.done = 0
        self._lock = Lock()
        self._shown_at = 0.0

    def add(self, count: int) -> None:
        """`count` bytes more (fewer, when a part is sent again)."""
        with self._lock:
            self.done += count

    def show(self) -> None:
        """Say the progress, ten times a second at most, and give way to a stop."""
        self.run.check_stopped()
        now = time.monotonic()
        if now - self._shown_at >= _INTERVAL:
            self._shown_at = now
            self.finish() if self.done >= self.total else self._say()

    def finish(self) -> None:
        """Say that all of it is done."""
        self.run.progress(1.0, size_text(self.total))

    def _say(self) -> None:
        self.run.progress(min(1.0, self.done / self.total), f"{size_text(self.done)} of {size_text(self.total)}")


class Metered(BufferedIOBase):
    """A stream being read whose bytes are counted; closing it closes the stream."""

    def __init__(self, stream: IO[bytes], meter: Meter) -> None:
        self._stream = stream
        self._meter = meter

    def readable(self) -> bool:
        """True."""
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        """Bytes of the stream, as file objects do."""
        block = self._stream.read(-1 if size is None else size)
        self._meter.add(len(block))
        self._meter.show()
        return block

    def close(self) -> None:
        """Close the stream."""
        self._stream.close()
        super().close()


def size_text(count: float) -> str:
    """`532 B`, `1.4 kB`, `20 MB`: as people say it, in powers of 1000."""
    if count < 1000:
        return f"{round(count)} B"
    for unit in ("kB", "MB", "GB"):
        count /= 1000
        if count < 999.95 or unit == "GB":
            break
    return f"{count:.1f}".removesuffix(".0") + f" {unit}"
