"""Whatever is printed while a run is at work becomes lines of the run, with their stream."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from chalicelib.engine.progress import Progress


class LineWriter(io.TextIOBase):
    """A text stream that turns finished lines into events."""

    def __init__(self, progress: Progress, stream: str) -> None:
        super().__init__()
        self._progress, self._stream, self._rest = progress, stream, ""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._progress.line(line.removesuffix("\r"), self._stream)
        return len(text)

    def end(self) -> None:
        """A last line without its end is a line too."""
        if self._rest:
            rest, self._rest = self._rest, ""
            self._progress.line(rest, self._stream)


@contextmanager
def captured_output(progress: Progress) -> Iterator[None]:
    """Within: stdout and stderr of this process are the run's."""
    before = sys.stdout, sys.stderr
    out, err = LineWriter(progress, "stdout"), LineWriter(progress, "stderr")
    sys.stdout, sys.stderr = out, err
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
        out.end()
        err.end()
