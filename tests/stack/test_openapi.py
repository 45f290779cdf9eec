"""Whatever a client sends, the answer is never a failure of ours."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from infra.local.testing import LocalStack
from tests.stack.conftest import make_stack


def test_no_generated_request_is_answered_with_5xx(project: Path, tmp_path: Path) -> None:
    # A stack of its own: what is generated also deletes and changes tasks.
    with make_stack(project, tmp_path / "data") as stack:
        _fuzz(stack, tmp_path)


def _fuzz(stack: LocalStack, folder: Path) -> None:
    command = [str(Path(sys.executable).parent / "schemathesis"), "run", f"{stack.url}/openapi.json"]
    command += ["--header", f"Authorization: Bearer {stack.token}", "--checks", "not_a_server_error"]
    command += ["--phases", "coverage,fuzzing", "--max-examples", "3", "--seed", "7", "--generation-deterministic"]
    command += ["--exclude-path-regex", "_run$", "--suppress-health-check", "all", "--no-color"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, cwd=folder, check=False)
    assert done.returncode == 0, done.stdout[-4000:]
    assert " passed" in done.stdout
