"""Whatever is printed while a run is at work becomes lines of the run, with their stream."""

from __future__ import annotations

import io
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from chalicelib.engine.log_mask import masked_logs
from chalicelib.engine.progress import Progress


class LineWriter(io.TextIOBase):
    """A text stream that turns finished lines into events. Each thread has its own unfinished line."""

    def __init__(self, progress: Progress, stream: str) -> None:
        super().__init__()
        self._progress, self._stream = progress, stream
        self._rests: dict[int, str] = {}

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        thread = threading.get_ident()
        *lines, rest = (self._rests.pop(thread, "") + text).split("\n")
        if rest:
            self._rests[thread] = rest
        for line in lines:
            self._progress.line(line.removesuffix("\r"), self._stream)
        return len(text)

    def end(self, thread: int | None = None) -> None:
        """A last line without its end is a line too; of one thread, or of all."""
        for each in list(self._rests) if thread is None else [thread]:
            if rest := self._rests.pop(each, ""):
                self._progress.line(rest, self._stream)


def end_lines() -> None:
    """This thread says no more: what it has not ended is a line now."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, LineWriter):
            stream.end(threading.get_ident())


@contextmanager
def captured_output(progress: Progress) -> Iterator[None]:
    """Within: stdout and stderr of this process are the run's."""
    before = sys.stdout, sys.stderr
    out, err = LineWriter(progress, "stdout"), LineWriter(progress, "stderr")
    sys.stdout, sys.stderr = out, err
    try:
        with masked_logs(progress.masker):
            yield
    finally:
        sys.stdout, sys.stderr = before
        out.end()
        err.end()
