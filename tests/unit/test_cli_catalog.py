import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GOOD = """\
pipelines:
  - name: greet
    processors:
      - parrot: {text: hello}
tasks:
  - id: greeting
    schedule: "0 2 * * *"
    pipeline: greet
"""
BROKEN = """\
tasks:
  - id: greeting
    schedule: "99 2 * * *"
    pipeline: gret
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with this code's package in it, and one task of its own."""
    for entry in (ROOT / "chalicelib").iterdir():
        if entry.name not in ("tasks", "catalog.json", "__pycache__"):
            (tmp_path / "chalicelib").mkdir(exist_ok=True)
            (tmp_path / "chalicelib" / entry.name).symlink_to(entry)
    tasks = tmp_path / "chalicelib" / "tasks"
    tasks.mkdir()
    (tasks / "__init__.py").touch()
    (tasks / "processors.py").write_text(
        "from pydantic import BaseModel\n"
        "from chalicelib import processor\n\n"
        '@processor("parrot")\n'
        "class Parrot(BaseModel):\n"
        "    text: str\n\n"
        "    def __call__(self, run):\n"
        "        print(self.text)\n"
    )
    (tasks / "greeting.yaml").write_text(GOOD)
    return tmp_path


def nightshift(project: Path, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
    """A process of its own, as the modules of a project can be imported once only."""
    return subprocess.run(
        [sys.executable, "-m", "chalicelib.cli", *args],
        cwd=project,
        env=os.environ | {"PYTHONPATH": str(project), "PYTHONDONTWRITEBYTECODE": "1"} | env,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_valid_definitions_are_counted(project: Path):
    done = nightshift(project, "validate")
    assert (done.stdout, done.stderr, done.returncode) == ("1 task, 1 pipeline: all valid\n", "", 0)
    assert not (project / "chalicelib" / "catalog.json").exists()


def test_every_problem_has_its_place(project: Path):
    (project / "chalicelib" / "tasks" / "broken.yaml").write_text(BROKEN.replace("greeting", "second"))
    done = nightshift(project, "validate")
    rows = done.stdout.splitlines()
    assert done.returncode == 1
    assert rows[0].startswith("chalicelib/tasks/broken.yaml:3: ")
    assert rows[1].startswith("chalicelib/tasks/broken.yaml:4: ")
    assert "gret" in rows[1]
    assert done.stderr == "error: 2 problems\n"


def test_problems_as_json(project: Path):
    (project / "chalicelib" / "tasks" / "greeting.yaml").write_text(BROKEN)
    done = nightshift(project, "--json", "validate")
    problems = json.loads(done.stdout)["problems"]
    assert [problem["line"] for problem in problems] == [3, 4]
    assert set(problems[0]) == {"file", "line", "key", "message", "hint"}
    assert (done.returncode, done.stderr) == (1, "")


def test_a_project_elsewhere_can_be_named(project: Path):
    done = nightshift(project / "chalicelib" / "tasks", "validate", str(project))
    assert done.stdout == "1 task, 1 pipeline: all valid\n"


def test_compile_writes_once_and_check_notices_a_change(project: Path):
    assert nightshift(project, "compile", "--check").returncode == 1
    written = nightshift(project, "compile")
    catalog, config, *policies = written.stdout.splitlines()
    assert [catalog, config] == ["wrote chalicelib/catalog.json", "wrote .chalice/config.json"]
    assert "wrote .chalice/policies/dev/task.json" in policies
    assert nightshift(project, "compile").stdout == "1 task: nothing has changed\n"
    assert nightshift(project, "compile", "--check").returncode == 0
    source = project / "chalicelib" / "tasks" / "greeting.yaml"
    source.write_text(GOOD.replace("0 2 * * *", "0 3 * * *"))
    stale = nightshift(project, "compile", "--check")
    assert (stale.returncode, stale.stderr) == (1, "error: stale: chalicelib/catalog.json; run nightshift compile\n")


def test_wrong_definitions_are_not_compiled(project: Path):
    (project / "chalicelib" / "tasks" / "greeting.yaml").write_text(BROKEN)
    done = nightshift(project, "compile")
    assert (done.returncode, done.stderr) == (1, "error: 2 problems\n")
    assert not (project / "chalicelib" / "catalog.json").exists()


def test_the_local_stack_compiles_beside_its_data(project: Path):
    target = project / ".nightshift" / "catalog.json"
    program = "from chalicelib.cli.project import compile_for_stack; compile_for_stack()"
    environment = os.environ | {"PYTHONPATH": str(project), "NIGHTSHIFT_CATALOG": str(target)}
    subprocess.run([sys.executable, "-c", program], cwd=project, env=environment, check=True, timeout=60)
    assert list(json.loads(target.read_text())["tasks"]) == ["greeting"]
    assert not (project / "chalicelib" / "catalog.json").exists()
