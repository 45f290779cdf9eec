"""The lines of a child process, from two pipes."""

from __future__ import annotations

import codecs
import io
import os
import selectors
import subprocess
from contextlib import suppress
from typing import IO, Literal, cast

from chalicelib.domain.handle import RunHandle

_LONGEST = 1 << 16  # characters of one line; a longer one is cut into several, so that memory stays bounded
_IN_PIPES = 2 << 20  # bytes: what ended processes can have left in two pipes (Linux makes none larger than 1 MiB)
_TICK = 0.2  # seconds between two looks at a silent process


class Output:
    """Reads a process's stdout and stderr as they come and says each line. `count` lines so far."""

    def __init__(self, run: RunHandle) -> None:
        self.run = run
        self.count = 0
        self.last_error = ""  # the last line on stderr that is not empty
        self._pipes = selectors.DefaultSelector()

    def stream(self, process: subprocess.Popen[bytes]) -> None:
        """Until the process has ended. Not until its pipes are closed: a grandchild may hold them open."""
        assert process.stdout is not None
        assert process.stderr is not None
        self._pipes.register(process.stdout, selectors.EVENT_READ, _Lines(self, "stdout"))
        self._pipes.register(process.stderr, selectors.EVENT_READ, _Lines(self, "stderr"))
        while self._pipes.get_map() and process.poll() is None:
            self._read(_TICK)
            self.run.check_stopped()
        while process.poll() is None:  # it may close its pipes long before it ends
            with suppress(subprocess.TimeoutExpired):
                process.wait(_TICK)
            self.run.check_stopped()

    def finish(self) -> None:
        """Say what still lies in the pipes, and close them.

        Only now, when everything that writes has ended: one that cleans up after a stop must not die of a closed pipe.
        """
        try:
            left = _IN_PIPES
            while left > 0 and self._pipes.get_map() and (count := self._read(0)):
                left -= count
            for key in self._pipes.get_map().values():
                key.data.feed(b"")
        finally:
            for key in list(self._pipes.get_map().values()):
                self._close(key)
            self._pipes.close()

    def _read(self, timeout: float) -> int:
        """Say what comes within `timeout` seconds; how many bytes it was, an end counting as one."""
        count = 0
        for key, _ in self._pipes.select(timeout):
            data = os.read(key.fd, _LONGEST)
            count += len(data) or 1
            key.data.feed(data)
            if not data:
                self._close(key)
        return count

    def _close(self, key: selectors.SelectorKey) -> None:
        self._pipes.unregister(key.fileobj)
        cast(IO[bytes], key.fileobj).close()

    def say(self, line: str, stream: Literal["stdout", "stderr"]) -> None:
        """One line."""
        self.count += 1
        if stream == "stderr" and line.strip():
            self.last_error = line.strip()[:500]
        self.run.write(line, stream)


class _Lines:
    """Cuts one stream into lines; `\\r` of a progress bar ends a line as well."""

    def __init__(self, output: Output, stream: Literal["stdout", "stderr"]) -> None:
        self._output = output
        self._stream: Literal["stdout", "stderr"] = stream
        self._decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder("utf-8")("replace"), translate=True)
        self._rest = ""

    def feed(self, data: bytes) -> None:
        """What was read; nothing at the end."""
        *lines, self._rest = (self._rest + self._decoder.decode(data, final=not data)).split("\n")
        for line in lines:
            line = self._output.run.mask(line)  # before a secret can be cut in two
            for start in range(0, len(line) or 1, _LONGEST):
                self._output.say(line[start : start + _LONGEST], self._stream)
        # What is kept back is longer than any secret, so that each is whole when it is looked for.
        while len(self._rest) > 2 * _LONGEST or (self._rest and not data):
            self._rest = self._output.run.mask(self._rest)
            self._output.say(self._rest[:_LONGEST], self._stream)
            self._rest = self._rest[_LONGEST:]
