"""Runs before the stack loads the app: compiles these tasks, and gives some functions limits that a test can await."""

from __future__ import annotations

import json
from pathlib import Path

SECONDS = {"task_stuck": 8, "task_relay": 4, "task_unbroken": 4}


def compile_project() -> None:
    from chalicelib.cli.project import compile_for_stack

    compile_for_stack()
    path = Path.cwd() / ".chalice" / "config.json"
    config = json.loads(path.read_text())
    for stage in config["stages"].values():
        for name, seconds in SECONDS.items():
            if name in stage["lambda_functions"]:
                stage["lambda_functions"][name]["lambda_timeout"] = seconds
    path.write_text(json.dumps(config))
