"""What the person at the terminal sees, and the functions' log files."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import IO, Any

LOUD = ("WARNING", "ERROR", "CRITICAL")
PLAIN_LOUD = ("[WARNING]", "[ERROR]", "[CRITICAL]")
MAX_LOG_BYTES = 20_000_000


class Console:
    """Prints one line per event; `logs` is the folder of the functions' log files."""

    def __init__(self, logs: Path) -> None:
        self.logs = logs
        self.files: dict[str, IO[bytes]] = {}

    def say(self, text: str) -> None:
        print(f"{time.strftime('%H:%M:%S')}  {text}", flush=True)

    def complain(self, text: str) -> None:
        print(f"{time.strftime('%H:%M:%S')}  {text}", file=sys.stderr, flush=True)

    def function_wrote(self, function: str, data: bytes) -> None:
        """Keep a function's output in its file and show what is a warning or worse."""
        file = self.files.get(function)
        if file is None:
            file = self.files[function] = self._open(function)
        file.write(data)
        for line in data.decode(errors="replace").splitlines():
            if line.startswith("{"):
                self._show_json(function, line)
            elif line.startswith(PLAIN_LOUD):
                self.complain(f"{function}: {line.expandtabs(1)}".replace("\r", "\n"))

    def _show_json(self, function: str, line: str) -> None:
        try:
            entry = json.loads(line)
        except ValueError:
            return
        if isinstance(entry, dict) and str(entry.get("level", "")).upper() in LOUD:
            self.complain(f"{function}: {entry['level'].lower()}: {_readable(entry)}")

    def _open(self, function: str) -> IO[bytes]:
        path = self.logs / f"{function}.log"
        if path.is_file() and path.stat().st_size > MAX_LOG_BYTES:
            path.replace(path.with_suffix(".log.1"))
        return path.open("ab", buffering=0)

    def close(self) -> None:
        for file in self.files.values():
            file.close()
        self.files.clear()


def _readable(entry: dict[str, Any]) -> str:
    message = entry.get("message", entry.get("errorMessage", entry))
    trace = entry.get("exception") or entry.get("stack_trace")
    return f"{message}\n{trace}" if isinstance(trace, str) else str(message)
