"""What a task's page says about starting it from elsewhere does start it, as it stands."""

from __future__ import annotations

import html
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.stack.conftest import ROOT, Door


def snippets(door: Door, path: str) -> dict[str, str]:
    page = door.http.get(path).text
    return {
        name: html.unescape(text) for name, text in re.findall(r'<pre tabindex="0" aria-label="(\w+)">(.*?)</pre>', page, re.DOTALL)
    }


@pytest.mark.parametrize("name", ["Command", "HTTP", "Python"])
@pytest.mark.parametrize("text", ["plain", 'it\'s "quoted" & $HOME <b>\\ `x`\nin two lines'])
def test_it_starts_the_same_run_again(door: Door, name: str, text: str, tmp_path: Path) -> None:
    before = door.done("forms", text=text)
    snippet = snippets(door, f"/admin/task/forms?from={before['id']}")[name]
    known = {"NIGHTSHIFT_URL": door.stack.url, "NIGHTSHIFT_TOKEN": door.stack.token, "PYTHONPATH": str(ROOT)}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    command = [sys.executable, "-c", snippet] if name == "Python" else ["sh", "-c", snippet]
    done = subprocess.run(
        command, env={**os.environ, **known, "PATH": path}, capture_output=True, text=True, cwd=tmp_path, timeout=60
    )
    assert done.returncode == 0, (snippet, done.stdout + done.stderr)
    newest = door.get("/task/forms/runs", limit=1)["runs"][0]
    assert newest["id"] != before["id"]
    assert newest["args"] == before["args"]
    door.wait(newest["id"])


def test_it_has_what_the_task_needs_and_no_secret(door: Door) -> None:
    found = snippets(door, "/admin/task/hello")
    assert found["Command"] == "nightshift start hello --follow"
    assert found["HTTP"].startswith(f"curl -X POST {door.stack.url}/task/hello/_start \\\n")
    assert found["Python"].endswith("run_id = start_task('hello')")
