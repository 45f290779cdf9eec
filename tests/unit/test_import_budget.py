"""Lean Lambdas: what a function imports, in time and by name."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
BASE = "import boto3, chalice, pydantic"
TIMES = 7
MOST = 1.3

# What no function but a task's own, or the pages', may pay for.
HEAVY = (
    "chalicelib.tasks",
    "chalicelib.processors",
    "infra",
    "moto",
    "jinja2",
    "yaml",
    "cloudpathlib",
    "rich",
    "typer",
    "starlette",
)

API = """
from chalicelib.api.routes import ROUTES
from importlib import import_module
import chalicelib.bootstrap, chalicelib.api.auth, chalicelib.api.http
for route in ROUTES:
    if route.handler.split(':')[0] != 'changes':
        import_module('chalicelib.api.' + route.handler.split(':')[0])
"""
DISPATCHER = "import chalicelib.bootstrap, chalicelib.engine.dispatcher, chalicelib.engine.functions"
SWEEPER = "import chalicelib.bootstrap, chalicelib.engine.sweeper, chalicelib.engine.sync, chalicelib.engine.timetable"
WEBSOCKET = "import chalicelib.bootstrap, chalicelib.web.door"


def microseconds(statement: str) -> int:
    """The import's time as `python -X importtime` says it."""
    said = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", statement], cwd=ROOT, capture_output=True, text=True, check=True
    )
    top = [line for line in said.stderr.splitlines() if re.match(r"import time:\s+\d+ \|\s+\d+ \| \S", line)]
    return sum(int(line.split("|")[1]) for line in top)


def test_the_api_handler_imports_in_the_time_of_what_it_cannot_do_without() -> None:
    base = min(microseconds(BASE) for _ in range(TIMES))
    handler = min(microseconds("import app") for _ in range(TIMES))
    print(f"{BASE}: {base / 1000:.0f} ms; import app: {handler / 1000:.0f} ms")
    assert handler <= MOST * base


def test_no_function_imports_what_is_not_its_own() -> None:
    for name, statement in (("api", API), ("dispatcher", DISPATCHER), ("sweeper", SWEEPER), ("websocket", WEBSOCKET)):
        code = f"import app\n{statement}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
        said = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
        modules = set(json.loads(said.stdout))
        assert "chalicelib.bootstrap" in modules
        found = sorted(heavy for heavy in HEAVY if heavy in modules)
        assert not found, f"{name} imports {found}"


def test_a_tasks_function_imports_its_own_module_only() -> None:
    code = (
        "from chalicelib.catalog.load import load_catalog\nimport importlib, json, sys\n"
        "task = load_catalog().tasks['inspect_csv']\n"
        "for module in task.modules: importlib.import_module(module)\n"
        "print(json.dumps([m for m in sys.modules if m.startswith('chalicelib.tasks.')]))"
    )
    said = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(said.stdout) == ["chalicelib.tasks.inspect_csv"]
