"""Runs before the stack loads the app: compiles these tasks, and gives one function a limit that a test can await."""

from __future__ import annotations

import json
from pathlib import Path

STUCK_SECONDS = 8


def compile_project() -> None:
    from chalicelib.cli.project import compile_for_stack

    compile_for_stack()
    path = Path.cwd() / ".chalice" / "config.json"
    config = json.loads(path.read_text())
    for stage in config["stages"].values():
        stage["lambda_functions"]["task_stuck"]["lambda_timeout"] = STUCK_SECONDS
    path.write_text(json.dumps(config))
