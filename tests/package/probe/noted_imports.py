"""Preloaded into every function's process: notes which modules of tasks it imports, and where from it may import at all."""

from __future__ import annotations

import os
import sys
from typing import Any

_NOTES = os.environ["NOTED_IMPORTS"]


class _Finder:
    """Finds nothing, but is asked first."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> None:
        if name.startswith("chalicelib.tasks."):
            _write(f"import {os.environ.get('AWS_LAMBDA_FUNCTION_NAME', '')} {name}")


def _write(line: str) -> None:
    descriptor = os.open(_NOTES, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, f"{line}\n".encode())
    os.close(descriptor)


for _path in sys.path:
    _write(f"path {_path}")
sys.meta_path.insert(0, _Finder())  # type: ignore[arg-type]
