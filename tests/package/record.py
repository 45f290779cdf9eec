"""Writes recorded_calls.json anew: runs the tests that drive whole stacks, and notes which permissions their functions use.

.venv/bin/python -m tests.package.record [FILE]
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.support.calls import ADD_TO, RECORD

FOLDERS = ["tests/stack", "tests/package"]


def record(into: Path) -> int:
    """The exit status of the tests; `into` has all calls of these, and none of before."""
    into.unlink(missing_ok=True)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-m",
        "not proof and not bench",
        *FOLDERS,
        "--ignore",
        "tests/package/test_policies.py",
    ]
    return subprocess.run(command, cwd=RECORD.parents[2], env=os.environ | {ADD_TO: str(into)}).returncode


if __name__ == "__main__":
    sys.exit(record(Path(sys.argv[1]) if len(sys.argv) > 1 else RECORD))
