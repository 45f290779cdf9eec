"""What compiling writes, and how it is read again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from chalicelib.catalog.chalice_config import lambda_timeout
from chalicelib.catalog.checks import function_name
from chalicelib.catalog.compile import compile_catalog, stale
from chalicelib.catalog.load import load_catalog
from chalicelib.domain.errors import DefinitionErrors
from chalicelib.domain.model import Catalog

from .conftest import Project

BACKUP = '''\
from __future__ import annotations
from typing import Annotated, Literal
from pydantic import BaseModel
from chalicelib import File, Param, Run, processor, task


@task(title="Database backup", category="maintenance", icon="database", tags=["db"], schedule="0 2 * * *",
      time_zone="Europe/Berlin", danger="Locks the database while it runs", expensive=True,
      timeout="30m", retry_count=3, memory=1024, metadata={"owner": "ops"})
def backup(run: Run, database: Annotated[str, Param(pattern=r"^\\w+$", help="Which one")],
           format: Literal["sql", "tar"] = "sql", verify: bool = False, seed: File | None = None) -> dict:
    """The docstring is the description."""
    return {"rows": 42}


@processor("reverse")
class Reverse(BaseModel):
    """Turns a text round."""
    text: str
    def __call__(self, run: Run) -> dict: ...
'''
PIPELINES = """\
pipelines:
  - name: twice
    description: Two of a kind
    processors:
      - reverse: {text: abc}
      - echo: {message: x}
        name: say
      - reverse: {text: def}
  - name: plain
    processors: [echo: {message: x}]
tasks:
  - {id: turn, pipeline: twice}
  - {id: plain.one, pipeline: plain, timeout: 45s}
"""


@pytest.fixture
def full(project: Project) -> Project:
    project.write("backup.py", BACKUP)
    project.write("deep/pipelines.yml", PIPELINES)
    return project


def test_python_task_is_compiled_with_all_that_was_said(full: Project) -> None:
    task = full.catalog().tasks["backup"]
    assert (task.name, task.title, task.description) == ("Database backup",) * 2 + ("The docstring is the description.",)
    assert (task.category, task.icon, task.tags, task.danger) == (
        "maintenance",
        "database",
        ["db"],
        "Locks the database while it runs",
    )
    assert (task.schedule, task.time_zone, task.expensive, task.metadata) == ("0 2 * * *", "Europe/Berlin", True, {"owner": "ops"})
    assert (task.timeout, task.retry_count, task.memory) == (1800.0, 3, 1024)
    assert (task.function, task.modules, task.source) == (
        "task_backup",
        ["chalicelib.tasks.backup"],
        "chalicelib/tasks/backup.py:10",
    )
    assert [(p.name, p.type, p.required, p.default) for p in task.parameters] == [
        ("database", "text", True, None),
        ("format", "select", False, "sql"),
        ("verify", "boolean", False, False),
        ("seed", "file", False, None),
    ]


def test_python_task_has_a_pipeline_of_one_step(full: Project) -> None:
    catalog = full.catalog()
    [step] = catalog.pipelines[catalog.tasks["backup"].pipeline].steps
    assert catalog.tasks["backup"].pipeline == "python:backup"
    assert (step.processor, step.config) == ("python", {"function": "chalicelib.tasks.backup:backup"})


def test_steps_have_names_of_their_own(full: Project) -> None:
    assert [step.name for step in full.catalog().pipelines["twice"].steps] == ["reverse", "say", "reverse-2"]


def test_task_knows_the_user_modules_of_its_pipeline_and_no_others(full: Project) -> None:
    tasks = full.catalog().tasks
    assert tasks["turn"].modules == ["chalicelib.tasks.backup"]
    assert tasks["plain.one"].modules == []


def test_processor_is_described_without_importing_it_again(full: Project) -> None:
    processor = full.catalog().processors["reverse"]
    assert (processor.module, processor.qualname) == ("chalicelib.tasks.backup", "Reverse")
    assert processor.description == "Turns a text round."
    assert processor.config_schema["required"] == ["text"]


def test_nested_steps_are_checked_named_and_counted(project: Project) -> None:
    project.write("backup.py", BACKUP)
    project.write(
        "both.py",
        "from pydantic import BaseModel\nfrom chalicelib import processor\nfrom chalicelib.domain.model import Step\n"
        "@processor('both')\nclass Both(BaseModel):\n    do: list[Step]\n    def __call__(self, run): ...\n",
    )
    text = "tasks: [{id: t, pipeline: p}]\npipelines:\n  - name: p\n    processors:\n      - both:\n          do:\n"
    project.write("p.yaml", f"{text}            - reverse: {{text: x}}\n            - echo: {{message: y}}\n")
    catalog = project.catalog()
    assert [step["name"] for step in catalog.pipelines["p"].steps[0].config["do"]] == ["reverse", "echo"]
    assert catalog.tasks["t"].modules == ["chalicelib.tasks.backup", "chalicelib.tasks.both"]
    project.write("p.yaml", f"{text}            - echo: {{message: y}}\n            - reverse: {{txt: x}}\n")
    told = [(problem.line, problem.key, problem.message) for problem in project.problems()]
    place = "pipelines[0].processors[0].both.do[1].reverse"
    assert told == [(8, f"{place}.text", "is missing"), (8, f"{place}.txt", "unknown key 'txt'")]


def test_same_definitions_compile_to_the_same_bytes(full: Project) -> None:
    first = full.compile(write=True)
    path = full.root / "chalicelib" / "catalog.json"
    before = path.read_bytes()
    assert sorted(changed.name for changed in first.changed if "policies" not in changed.parts) == ["catalog.json", "config.json"]
    assert full.compile(write=True).changed == []
    assert path.read_bytes() == before
    assert json.loads(before)["digest"] == first.catalog.digest
    assert len(first.catalog.digest) == 64


def test_compiled_file_reads_back_as_the_catalog(full: Project) -> None:
    written = full.compile(write=True).catalog
    assert load_catalog(full.root / "chalicelib" / "catalog.json") == written


def test_digest_changes_with_a_definition(full: Project) -> None:
    before = full.catalog().digest
    full.write("deep/pipelines.yml", PIPELINES.replace("45s", "46s"))
    assert full.catalog().digest != before


def test_stale_names_what_is_not_up_to_date(full: Project) -> None:
    full.compile(write=True)
    assert stale(full.root) == []
    full.write("deep/pipelines.yml", PIPELINES.replace("45s", "46s"))
    assert [path.name for path in stale(full.root)] == ["catalog.json"]
    full.write("deep/pipelines.yml", PIPELINES.replace("45s", "10m"))
    assert [path.name for path in stale(full.root)] == ["catalog.json", "config.json"]


def test_edited_module_is_read_anew_in_the_same_process(full: Project) -> None:
    assert full.catalog().tasks["backup"].icon == "database"
    full.write("backup.py", BACKUP.replace('icon="database"', 'icon="dolphins"'))  # the same length, the same second
    assert full.catalog().tasks["backup"].icon == "dolphins"
    (full.tasks / "backup.py").unlink()
    full.write("deep/pipelines.yml", "")
    assert full.catalog().tasks == {}
    assert "reverse" not in full.catalog().processors


def test_compiling_leaves_the_import_path_as_it_was(full: Project) -> None:
    before = list(sys.path)
    full.compile()
    assert sys.path == before


def test_output_takes_the_catalog_elsewhere(full: Project, tmp_path: Path) -> None:
    target = tmp_path / "deep" / "er.json"
    compile_catalog(full.root, output=target)
    assert load_catalog(target).tasks.keys() == {"backup", "turn", "plain.one"}
    assert not (full.root / "chalicelib" / "catalog.json").exists()


def test_catalog_variable_names_the_file(full: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compile_catalog(full.root, output=tmp_path / "c.json")
    monkeypatch.setenv("NIGHTSHIFT_CATALOG", str(tmp_path / "c.json"))
    assert "turn" in load_catalog().tasks


@pytest.mark.parametrize("content", [None, "{", '{"tasks": 5}'])
def test_missing_or_broken_catalog_says_what_to_do(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "c.json").write_text(content)
    with pytest.raises(DefinitionErrors, match="run: nightshift compile"):
        load_catalog(tmp_path / "c.json")


def test_loading_imports_no_yaml_no_boto3_and_no_task_code(full: Project) -> None:
    full.compile(write=True)
    code = (
        "import sys, time; from chalicelib.catalog.load import load_catalog; load_catalog();"
        "print([m for m in ('yaml', 'boto3', 'cronsim', 'chalicelib.tasks', 'chalicelib.processors') if m in sys.modules])"
    )
    env = {**os.environ, "NIGHTSHIFT_CATALOG": str(full.root / "chalicelib" / "catalog.json")}
    printed = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "[]"


def test_decorators_import_no_pydantic() -> None:
    code = (
        "import sys; from chalicelib import File, Param, processor, task; print('pydantic' in sys.modules, 'yaml' in sys.modules)"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "False False"


def test_two_hundred_tasks_load_quickly(project: Project) -> None:
    tasks = "".join(
        f"  - {{id: t{n}, pipeline: p, schedule: '0 2 * * *', parameters: [{{name: x}}, {{name: y}}]}}\n" for n in range(200)
    )
    project.write("many.yaml", f"pipelines:\n  - name: p\n    processors: [echo: {{message: x}}]\ntasks:\n{tasks}")
    project.compile(write=True)
    took = []
    for _ in range(3):  # the test's own process may tidy its memory in one of them
        before = time.process_time()
        assert len(load_catalog(project.root / "chalicelib" / "catalog.json").tasks) == 200
        took.append(time.process_time() - before)
    assert min(took) < 0.25  # measured: 0.01


@pytest.mark.parametrize(("timeout", "expected"), [(45, 120), (60, 120), (61, 180), (300, 360), (840, 900), (1800, 900)])
def test_function_outlives_its_task_by_a_minute(timeout: float, expected: int) -> None:
    assert lambda_timeout(timeout) == expected


def test_config_gives_each_function_time_and_memory(full: Project) -> None:
    full.write("settings.yaml", "task: {timeout: 10m}\n")
    full.compile(write=True)
    config = json.loads((full.root / ".chalice" / "config.json").read_text())
    functions = config["stages"]["dev"]["lambda_functions"]
    sizes = {name: (f["lambda_timeout"], f["lambda_memory_size"]) for name, f in functions.items()}
    assert sizes == {
        "api_handler": (30, 512),
        "dispatcher": (60, 256),
        "follow": (60, 256),
        "sweeper": (120, 256),
        "task_backup": (900, 1024),
        "task_plain_one": (120, 512),
        "task_runtime": (900, 512),
        "task_turn": (660, 512),
        "websocket_connect": (30, 256),
        "websocket_disconnect": (30, 256),
        "websocket_message": (30, 256),
    }
    assert config["app_name"] == "nightshift"


def test_config_keeps_what_people_wrote(full: Project) -> None:
    path = full.root / ".chalice" / "config.json"
    path.parent.mkdir()
    own = {
        "autogen_policy": False,
        "stages": {
            "dev": {
                "environment_variables": {"TASK_TIMEOUT": "10m"},
                "lambda_functions": {"task_turn": {"layers": ["arn"], "lambda_timeout": 1}, "task_gone": {}, "mine": {"x": 1}},
            },
            "prod": {"iam_role_arn": "arn"},
        },
    }
    path.write_text(json.dumps(own))
    full.compile(write=True)
    config = json.loads(path.read_text())
    dev, prod = config["stages"]["dev"], config["stages"]["prod"]
    assert config["autogen_policy"] is False
    assert dev["environment_variables"] == {"TASK_TIMEOUT": "10m"}
    assert dev["lambda_functions"]["task_turn"] == {
        "layers": ["arn"],
        "lambda_timeout": 360,
        "lambda_memory_size": 512,
        "tags": {"nightshift-task": "turn"},
        "iam_policy_file": "policies/dev/task.json",
    }
    assert dev["lambda_functions"]["mine"] == {"x": 1}
    assert "task_gone" not in dev["lambda_functions"]
    assert prod["iam_role_arn"] == "arn"
    assert prod["lambda_functions"]["task_turn"]["lambda_timeout"] == 360


def test_broken_config_is_a_problem_not_a_traceback(full: Project) -> None:
    (full.root / ".chalice").mkdir()
    (full.root / ".chalice" / "config.json").write_text("{\n  broken\n}")
    with pytest.raises(DefinitionErrors) as caught:
        full.compile(write=True)
    assert str(caught.value).startswith(".chalice/config.json:2: config: is not JSON")


def test_long_ids_make_names_that_lambda_accepts() -> None:
    one, two = function_name("x" * 63 + "a"), function_name("x" * 63 + "b")
    assert one != two
    assert len(f"nightshift-production-{one}") <= 64


def test_aliases_and_merges_work(yaml_catalog: Callable[[str], Catalog]) -> None:
    catalog = yaml_catalog(
        "pipelines:\n  - &p\n    name: p\n    processors: [echo: {message: x}]\n  - {<<: *p, name: q}\n"
        "tasks:\n  - &t {id: a, pipeline: p, retry_count: 2}\n  - {<<: *t, id: b}\n"
    )
    assert (catalog.tasks["b"].pipeline, catalog.tasks["b"].retry_count) == ("p", 2)
    assert catalog.pipelines["q"].steps == catalog.pipelines["p"].steps


def test_texts_that_yaml_would_change_stay_texts(yaml_catalog: Callable[[str], Catalog]) -> None:
    catalog = yaml_catalog(
        "pipelines:\n  - name: p\n    processors: [echo: {message: x}]\n"
        "tasks:\n  - id: a\n    pipeline: p\n    metadata: {since: 2026-01-31, at: 12:30, on: yes, 1: one}\n"
    )
    assert catalog.tasks["a"].metadata == {"since": "2026-01-31", "at": "12:30", "on": True, "1": "one"}


def test_alias_within_itself_is_refused(project: Project) -> None:
    project.write("x.yaml", "tasks:\n  - &a\n    id: x\n    metadata: {self: *a}\n")
    assert any("contains itself" in problem.message for problem in project.problems())


def test_several_documents_and_empty_files_are_fine(project: Project) -> None:
    project.write("empty.yaml", "")
    project.write("comment.yaml", "# nothing yet\ntasks:\n")
    project.write("two.yaml", "pipelines: [{name: p, processors: [echo: {message: x}]}]\n---\ntasks: [{id: a, pipeline: p}]\n")
    assert list(project.catalog().tasks) == ["a"]


def test_same_pipeline_serves_several_tasks(yaml_catalog: Callable[[str], Catalog]) -> None:
    text = "pipelines: [{name: p, processors: [echo: {message: x}]}]\ntasks: [{id: a, pipeline: p}, {id: b, pipeline: p}]\n"
    assert {task.pipeline for task in yaml_catalog(text).tasks.values()} == {"p"}


def test_project_whose_chalicelib_is_elsewhere_compiles(full: Project) -> None:
    """The code under test is imported from its own place, the tasks from the project's."""
    full.compile()
    assert str(sys.modules["chalicelib.tasks.backup"].__file__).startswith(str(full.root))
