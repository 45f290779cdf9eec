"""A wrong definition is refused with file, line, key, what is wrong and what would be right: one problem for one mistake."""

from __future__ import annotations

from textwrap import dedent

import pytest

from .conftest import Project

PIPELINE = "pipelines:\n  - name: p\n    processors:\n      - echo: {message: hello}\n"
TASK = "tasks:\n  - id: a\n    pipeline: p\n"

# name, extra YAML (in wrong.yaml, beside a good pipeline `p` in good.yaml), line, key, what the message says, what the hint says
YAML_MISTAKES = [
    ("cron", TASK + "    schedule: '61 * * * *'\n", 4, "tasks[0].schedule", "'61' is no minute", ""),
    ("cron of six fields", TASK + "    schedule: '0 0 2 * * *'\n", 4, "tasks[0].schedule", "6 fields instead of five", ""),
    ("cron that never fires", TASK + "    schedule: '0 0 31 2 *'\n", 4, "tasks[0].schedule", "never fires", ""),
    ("cron that is a number", TASK + "    schedule: 5\n", 4, "tasks[0].schedule", "valid string, not 5", ""),
    ("zone", TASK + "    time_zone: Europe/Berlln\n", 4, "tasks[0].time_zone", "did you mean Europe/Berlin?", ""),
    ("timeout", TASK + "    timeout: soon\n", 4, "tasks[0].timeout", "'soon' is not a duration: write it like 45s", ""),
    ("timeout of nothing", TASK + "    timeout: 0\n", 4, "tasks[0].timeout", "longer than nothing", ""),
    ("retry_count", TASK + "    retry_count: -1\n", 4, "tasks[0].retry_count", "greater than or equal to 0, not -1", ""),
    ("retry_count in words", TASK + "    retry_count: thrice\n", 4, "tasks[0].retry_count", "valid integer", ""),
    ("memory", TASK + "    memory: 64\n", 4, "tasks[0].memory", "greater than or equal to 128", ""),
    ("enabled", TASK + "    enabled: perhaps\n", 4, "tasks[0].enabled", "valid boolean", ""),
    ("unknown key", TASK + "    shedule: '@daily'\n", 4, "tasks[0].shedule", "unknown key 'shedule'", "did you mean 'schedule'?"),
    ("unknown pipeline", "tasks:\n  - id: a\n    pipeline: q\n", 3, "tasks[0].pipeline", "there is no pipeline 'q'", "there are p"),
    ("misspelt pipeline", "tasks:\n  - id: a\n    pipeline: P\n", 3, "tasks[0].pipeline", "no pipeline 'P'", "did you mean 'p'?"),
    ("no pipeline", "tasks:\n  - id: a\n", 2, "tasks[0].pipeline", "is missing", "one of p"),
    ("no id", "tasks:\n  - pipeline: p\n", 2, "tasks[0].id", "is missing", ""),
    ("id that is a truth", "tasks:\n  - pipeline: p\n    id: off\n", 3, "tasks[0].id", "valid string, not false: in quotes it is text", ""),
    ("id with a space", "tasks:\n  - pipeline: p\n    id: a b\n", 3, "tasks[0].id", "'a b' does not match", ""),
    ("reserved id", "tasks:\n  - pipeline: p\n    id: runtime\n", 3, "tasks[0].id", "'runtime' is reserved", "another id"),
    ("same id", TASK + "  - id: a\n    pipeline: p\n", 4, "tasks[1].id", "a task 'a' already, at chalicelib/tasks/wrong.yaml:2", ""),
    ("same function", TASK + "  - id: a.b\n    pipeline: p\n  - id: a-b\n    pipeline: p\n", 6, "tasks[2].id", "share the function task_a_b", "rename"),
    ("task as text", "tasks:\n  - a\n", 2, "tasks[0]", "a task is a mapping", ""),
    ("tasks as mapping", "tasks:\n  id: a\n", 1, "tasks", "is a list", "- id:"),
    ("unknown top level", "task_list: []\n", 1, "task_list", "unknown key 'task_list'", "did you mean 'tasks'?"),
    ("key twice", TASK + "    id: b\n", 4, "tasks[0].id", "'id' stands here twice, first in line 2", "keep one"),
    ("no YAML", "tasks:\n  - id: a\n    pipeline: [p\n", 4, "syntax", "is not YAML", ""),
    ("a list", "- 1\n", 1, "document", "is a mapping with task, tasks, pipelines", ""),
    ("unknown setting", "task:\n  max_concurrent_task: 5\n", 2, "task.max_concurrent_task", "unknown key", "did you mean 'max_concurrent_tasks'?"),
    ("setting", "task:\n  time_zone: UTC\n  max_concurrent_tasks: 0\n", 3, "task.max_concurrent_tasks", "is 0", "for example 100"),
    ("zone of all", "task:\n  time_zone: Mars/Olympus\n", 2, "task.time_zone", "is not an IANA time zone", ""),
    ("setting twice", "task:\n  debug: true\n---\ntask:\n  debug: false\n", 5, "task.debug", "a setting 'debug' already, at chalicelib/tasks/wrong.yaml:2", ""),
    ("same pipeline", "pipelines:\n  - processors: [echo: {message: x}]\n    name: p\n", 3, "pipelines[0].name", "'p' already, at chalicelib/tasks/good.yaml:2", "rename"),
    ("empty pipeline", "pipelines:\n  - name: q\n    processors: []\n", 3, "pipelines[0].processors", "at least one processor", "- copy"),
    ("pipeline without processors", "pipelines:\n  - name: q\n", 2, "pipelines[0].processors", "at least one processor", ""),
    ("pipeline without name", "pipelines:\n  - processors:\n    - echo: {message: x}\n", 2, "pipelines[0].name", "is missing", ""),
    ("pipeline named like a function's", "pipelines:\n  - name: python:x\n    processors: [echo: {message: x}]\n", 2, "pipelines[0].name", "@task functions", ""),
    ("key of a pipeline", "pipelines:\n  - name: q\n    steps: []\n    processors: [echo: {message: x}]\n", 3, "pipelines[0].steps", "unknown key 'steps'", "processors"),
    ("unknown processor", "pipelines:\n  - name: q\n    processors:\n      - echo: {message: x}\n      - copie: {source: a}\n", 5, "pipelines[0].processors[1].copie", "there is no processor 'copie'", "did you mean 'copy'?"),
    ("key of a processor", "pipelines:\n  - name: q\n    processors:\n      - copy:\n          source: a\n          destination: b\n          sorce: c\n", 7, "pipelines[0].processors[0].copy.sorce", "unknown key 'sorce'", "did you mean 'source'?"),
    ("value of a processor", "pipelines:\n  - name: q\n    processors:\n      - compress:\n          algorithm: rar\n", 5, "pipelines[0].processors[0].compress.algorithm", "'rar' is not offered", "'gzip'"),
    ("processor without a needed key", "pipelines:\n  - name: q\n    processors:\n      - copy:\n          source: a\n", 4, "pipelines[0].processors[0].copy.destination", "is missing", ""),
    ("configuration as text", "pipelines:\n  - name: q\n    processors:\n      - echo: hello\n", 4, "pipelines[0].processors[0].echo", "is a mapping", ""),
    ("two processors in one step", "pipelines:\n  - name: q\n    processors:\n      - echo: {message: x}\n        sleep: {duration: 1s}\n", 5, "pipelines[0].processors[0].sleep", "names several processors", "a dash before each"),
    ("unknown word of a step", "pipelines:\n  - name: q\n    processors:\n      - echo: {message: x}\n        nam: first\n", 5, "pipelines[0].processors[0].nam", "unknown key 'nam'", "name"),
    ("same step name", "pipelines:\n  - name: q\n    processors:\n      - echo: {message: x}\n        name: s\n      - echo: {message: y}\n        name: s\n", 7, "pipelines[0].processors[1].name", "a step 's' already", ""),
    ("number that is none", "pipelines:\n  - name: q\n    processors:\n      - echo: {message: .nan}\n", 4, "pipelines[0].processors[0].echo.message", "not a number that JSON has", ""),
]  # fmt: skip

PARAMETER_MISTAKES = [
    ("type", "{name: x, type: string}", "type", "'string' is not offered", "'text'"),
    ("key", "{name: x, lable: X}", "lable", "unknown key 'lable'", "there are accept"),
    ("name", "{name: x y}", "name", "'x y' does not match", ""),
    ("default number", "{name: x, type: number, default: many}", "default", "the default is a number, not 'many'", ""),
    ("default of a select", "{name: x, type: select, choices: [a, b], default: c}", "default", "the default is one of a, b, not 'c'", ""),
    ("default above the maximum", "{name: x, type: number, maximum: 5, default: 6}", "default", "the default is at most 5, not 6", ""),
    ("default against the pattern", "{name: x, pattern: '[a-z]+', default: A1}", "default", "the default does not match [a-z]+", ""),
    ("default date", "{name: x, type: date, default: 31.1.2026}", "default", "a date like 2026-01-31", ""),
    ("default file", "{name: x, type: file, default: a.csv}", "default", "a file has no default", ""),
    ("default secret", "{name: x, type: secret, default: hunter2}", "default", "a secret has no default", "leave it out"),
    ("bounds", "{name: x, type: number, minimum: 5, maximum: 2}", "minimum", "is more than maximum, 2", ""),
    ("bound of a text", "{name: x, maximum: 2}", "maximum", "does not go with type text", "number, date"),
    ("bound of a date", "{name: x, type: date, minimum: 5}", "minimum", "is a date like 2026-01-31", ""),
    ("lengths", "{name: x, min_length: 5, max_length: 2}", "min_length", "is more than max_length, 2", ""),
]  # fmt: skip


@pytest.mark.parametrize(("text", "line", "key", "message", "hint"), [pytest.param(*m[1:], id=m[0]) for m in YAML_MISTAKES])
def test_yaml_mistake_is_one_clear_problem(project: Project, text: str, line: int, key: str, message: str, hint: str) -> None:
    project.write("good.yaml", PIPELINE)
    project.write("wrong.yaml", text)
    [problem] = project.problems()
    assert (problem.file, problem.line, problem.key) == ("chalicelib/tasks/wrong.yaml", line, key)
    assert message in problem.message
    assert hint in problem.hint


@pytest.mark.parametrize(
    ("as_list", "text", "key", "message", "hint"),
    [
        pytest.param(as_list, *m[1:], id=f"{m[0]}, {'list' if as_list else 'mapping'}")
        for as_list in (True, False)
        for m in PARAMETER_MISTAKES
        if as_list or m[2] != "name"  # in a mapping the name is the key
    ],
)
def test_parameter_mistake_is_one_clear_problem(
    project: Project, as_list: bool, text: str, key: str, message: str, hint: str
) -> None:
    project.write("good.yaml", PIPELINE)
    if as_list:
        parameters, place = f"\n      - {{name: y}}\n      - {text}\n", "[1]"
    else:
        parameters, place = f"\n      y:\n      x: {text.replace('name: x, ', '')}\n", ".x"
    project.write("wrong.yaml", f"{TASK}    parameters:{parameters}")
    [problem] = project.problems()
    assert (problem.file, problem.line) == ("chalicelib/tasks/wrong.yaml", 6)
    assert problem.key == f"tasks[0].parameters{place}.{key}"
    assert message in problem.message
    assert hint in problem.hint


def test_parameter_that_belongs_together_wrongly(project: Project) -> None:
    project.write("good.yaml", PIPELINE)
    project.write(
        "wrong.yaml", f"{TASK}    parameters:\n      - {{name: x, type: select}}\n      - {{name: y}}\n      - {{name: y}}\n"
    )
    [problem] = project.problems()
    assert (problem.line, problem.key) == (5, "tasks[0].parameters[0]")
    assert "a select parameter needs choices" in problem.message
    project.write("wrong.yaml", f"{TASK}    parameters:\n      - {{name: y}}\n      - {{name: y}}\n")
    [problem] = project.problems()
    assert (problem.line, problem.message) == (6, "there is a parameter 'y' already")


HEAD = dedent("""\
    from __future__ import annotations
    from typing import TYPE_CHECKING, Annotated, Literal
    import datetime, enum
    from annotated_types import MultipleOf
    from pydantic import BaseModel, Field, SecretStr
    from chalicelib import File, Param, Run, processor, task
    if TYPE_CHECKING:
        from decimal import Decimal
""")  # eight lines

PYTHON_MISTAKES = [
    ("cron", '@task(\n    title="A",\n    schedule="0 25 * * *",\n)\ndef f(): ...', 11, "f.schedule", "'25' is no hour", ""),
    ("option", '@task(title="A",\n      shedule="@daily")\ndef f(): ...', 10, "f.shedule", "unknown key 'shedule'", "did you mean 'schedule'?"),
    ("timeout", '@task(timeout="ages")\ndef f(): ...', 9, "f.timeout", "is not a duration", ""),
    ("danger", "@task(danger=True)\ndef f(): ...", 9, "f.danger", "valid string, not true", ""),
    ("pipeline", '@task(pipeline="p")\ndef f(): ...', 9, "f.pipeline", "takes no pipeline", "the function"),
    ("metadata", "@task(metadata={'x': object()})\ndef f(): ...", 9, "f.metadata", "cannot be written as JSON", ""),
    ("no annotation", "@task\ndef f(run: Run,\n      x): ...", 11, "f.parameters.x", "has no annotation", "annotate it"),
    ("annotation", "@task\ndef f(x: list[str]): ...", 10, "f.parameters.x", "list[str] is not supported", "supported are str"),
    ("union", "@task\ndef f(x: int | str): ...", 10, "f.parameters.x", "is not supported: one type only", ""),
    ("datetime", "@task\ndef f(x: datetime.datetime): ...", 10, "f.parameters.x", "datetime is not supported", "datetime.date"),
    ("run that is not first", "@task\ndef f(x: str, handle: Run): ...", 10, "f.parameters.handle", "the run handle is the first", "front"),
    ("unresolved", "@task\ndef f(x: Decimal): ...", 10, "f.parameters.x", "'Decimal' cannot be resolved", "TYPE_CHECKING"),
    ("star", "@task\ndef f(**more: str): ...", 10, "f.parameters.more", "cannot be filled from a form", ""),
    ("constraint", "@task\ndef f(x: Annotated[int, MultipleOf(3)]): ...", 10, "f.parameters.x", "MultipleOf", "Param"),
    ("exclusive bound", "@task\ndef f(x: Annotated[float, Field(gt=0)]): ...", 10, "f.parameters.x", "gt and lt work for int only", "ge and le"),
    ("pattern on a number", '@task\ndef f(x: Annotated[int, Param(pattern="a")]): ...', 10, "f.parameters[0].pattern", "does not go with type number", ""),
    ("pattern", '@task\ndef f(x: Annotated[str, Param(pattern="(")]): ...', 10, "f.parameters[0]", "is not a regular expression", ""),
    ("default", '@task\ndef f(x: Annotated[int, Param(ge=3)] = 2): ...', 10, "f.parameters[0].default", "the default is at least 3", ""),
    ("default of a Literal", '@task\ndef f(x: Literal["a", "b"] = "c"): ...', 10, "f.parameters[0].default", "one of a, b, not 'c'", ""),
    ("endless bound", '@task\ndef f(x: Annotated[float, Param(ge=float("-inf"))]): ...', 10, "f.parameters[0].minimum", "is a number", ""),
    ("secret default", '@task\ndef f(x: SecretStr = SecretStr("s")): ...', 10, "f.parameters[0].default", "a secret has no default", ""),
    ("multiline number", "@task\ndef f(x: Annotated[int, Param(multiline=True)]): ...", 10, "f.parameters.x", "multiline=True", ""),
    ("async", "@task\nasync def f(): ...", 10, "f", "an async function cannot be a task", "asyncio.run"),
    ("nested", "def outer():\n    @task\n    def f(): ...\nouter()", 11, "f", "at the module's top level", ""),
    ("class", "@task\nclass f: ...", None, "f", "@task decorates a function", ""),
    ("same function name", '@task(id="a")\ndef f(): ...\n@task(id="b")\ndef f(): ...', 10, "f", "is not this function", "used twice"),
    ("same id", '@task\ndef f(): ...\n@task(id="f")\ndef g(): ...', 11, "g.id", "a task 'f' already, at chalicelib/tasks/wrong.py:10", ""),
    ("syntax", "@task\ndef f(:\n    pass", 10, "syntax", "is not Python", ""),
    ("import", "import pandaz", 9, "import", "there is no module 'pandaz'", "requirements.txt"),
    ("exception", "x = 1\nraise RuntimeError('boom')", 10, "import", "RuntimeError: boom", ""),
    ("exit", "raise SystemExit(3)", 9, "import", "SystemExit: 3", ""),
    ("processor twice", "@processor('echo')\nclass E(BaseModel):\n    def __call__(self, run): ...", 9, "processor", "a processor 'echo' already: chalicelib.processors.echo", "another name"),
    ("processor of nothing", "@processor('e')\nclass E: ...", 9, "e", "a processor is a pydantic model with __call__", ""),
    ("processor not callable", "@processor('e')\nclass E(BaseModel): ...", 9, "e", "a processor is a pydantic model with __call__", ""),
    ("processor named like a keyword", "@processor('name')\nclass E(BaseModel):\n    def __call__(self, run): ...", 9, "name", "cannot be the name of a processor", ""),
]  # fmt: skip


@pytest.mark.parametrize(("text", "line", "key", "message", "hint"), [pytest.param(*m[1:], id=m[0]) for m in PYTHON_MISTAKES])
def test_python_mistake_is_one_clear_problem(
    project: Project, text: str, line: int | None, key: str, message: str, hint: str
) -> None:
    project.write("wrong.py", HEAD + text + "\n")
    [problem] = project.problems()
    assert (problem.file, problem.line, problem.key) == ("chalicelib/tasks/wrong.py", line, key)
    assert message in problem.message
    assert hint in problem.hint


def test_module_name_that_python_cannot_import(project: Project) -> None:
    project.write("my-task.py", "")
    [problem] = project.problems()
    assert (problem.file, problem.line) == ("chalicelib/tasks/my-task.py", None)
    assert "'my-task' cannot be imported" in problem.message


def test_same_id_in_yaml_and_python_names_the_other_place(project: Project) -> None:
    project.write("good.yaml", PIPELINE + TASK)
    project.write("wrong.py", HEAD + "@task\ndef a(): ...\n")
    [problem] = project.problems()
    assert str(problem).startswith(
        "chalicelib/tasks/good.yaml:6: tasks[0].id: there is a task 'a' already, at chalicelib/tasks/wrong.py:10"
    )


def test_all_problems_are_told_at_once(project: Project) -> None:
    project.write("good.yaml", PIPELINE)
    project.write("one.yaml", f"{TASK}    schedule: x\n    time_zone: y\n    timeout: z\n    colour: red\n")
    project.write("two.yaml", "tasks: [}\n")
    project.write("three.py", HEAD + '@task(retry_count="many")\ndef f(x: bytes, y: set): ...\n')
    told = [(problem.file.rpartition("/")[2], problem.line, problem.key) for problem in project.problems()]
    assert told == [
        ("one.yaml", 4, "tasks[0].schedule"),
        ("one.yaml", 5, "tasks[0].time_zone"),
        ("one.yaml", 6, "tasks[0].timeout"),
        ("one.yaml", 7, "tasks[0].colour"),
        ("three.py", 9, "f.retry_count"),
        ("three.py", 10, "f.parameters.x"),
        ("three.py", 10, "f.parameters.y"),
        ("two.yaml", 1, "syntax"),
    ]


def test_a_broken_module_does_not_make_its_processors_unknown(project: Project) -> None:
    project.write("broken.py", "import pandaz\n")
    project.write("uses.yaml", "pipelines:\n  - name: q\n    processors: [from_the_broken_module]\n")
    assert [problem.key for problem in project.problems()] == ["import"]


def test_a_broken_file_does_not_make_its_pipelines_unknown(project: Project) -> None:
    project.write("broken.yaml", "pipelines: [}\n")
    project.write("uses.yaml", TASK)
    assert [problem.key for problem in project.problems()] == ["syntax"]


def test_nothing_is_written_when_anything_is_wrong(project: Project) -> None:
    from chalicelib.catalog.compile import compile_catalog
    from chalicelib.domain.errors import DefinitionErrors

    project.write("wrong.yaml", TASK)
    with pytest.raises(DefinitionErrors, match="there is no pipeline 'p'"):
        compile_catalog(project.root)
    assert not (project.root / "chalicelib" / "catalog.json").exists()
    assert not (project.root / ".chalice").exists()


def test_folder_without_tasks_is_no_project(project: Project) -> None:
    project.tasks.rmdir()
    [problem] = project.problems()
    assert "is not there" in problem.message


def test_broken_package_is_one_problem_however_many_import_it(project: Project) -> None:
    project.write("__init__.py", "import nothing_like_that\n")
    project.write("a.py", "")
    project.write("b.py", "")
    assert [str(problem).partition(" ")[0] for problem in project.problems()] == ["chalicelib/tasks/__init__.py:1:"]


def test_broken_helper_is_one_problem_however_many_import_it(project: Project) -> None:
    project.write("helpers/__init__.py", "")
    project.write("helpers/broken.py", "1 / 0\n")
    project.write("a.py", "from chalicelib.tasks.helpers import broken\n")
    project.write("b.py", "import chalicelib.tasks.helpers.broken\n")
    [problem] = project.problems()
    assert (problem.file, problem.line) == ("chalicelib/tasks/helpers/broken.py", 1)
    assert "ZeroDivisionError" in problem.message
