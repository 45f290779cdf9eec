"""Steps within steps, conditions and a pipeline's endings are checked like all else: file, line, key, what would be right."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import Project

HEAD = "pipelines:\n  - name: q\n    processors:\n"

# name, lines from the fourth on, line of the problem, key below the pipeline, message, hint
MISTAKES = [
    ("processor in a loop", "      - for_each:\n          items: [1]\n          steps:\n            - copie: {}\n", 7, "processors[0].for_each.steps[0].copie", "there is no processor 'copie'", "did you mean 'copy'?"),
    ("value in a branch", "      - if: true\n        then:\n          - compress: {algorithm: rar}\n", 6, "processors[0].then[0].compress.algorithm", "'rar' is not offered", "'gzip'"),
    ("value in else", "      - if: true\n        then: [echo: {message: x}]\n        else:\n          - echo: {massage: x}\n", 7, "processors[0].else[0].echo.massage", "unknown key 'massage'", "did you mean 'message'?"),
    ("value in a named branch", "      - parallel:\n          branches:\n            eu:\n              - sleep: {duration: soon}\n", 7, "processors[0].parallel.branches.eu[0].sleep.duration", "'soon' is not a duration", ""),
    ("value in a numbered branch", "      - parallel:\n          branches:\n            - [echo: {message: x}]\n            - [sleep: {duration: soon}]\n", 7, "processors[0].parallel.branches[1][0].sleep.duration", "'soon' is not a duration", ""),
    ("deeply nested", "      - if: true\n        then:\n          - for_each:\n              items: [1]\n              steps:\n                - if: true\n                  then:\n                    - echo: {message: 1}\n", 11, "processors[0].then[0].for_each.steps[0].then[0].echo.message", "valid string, not 1", ""),
    ("empty branch", "      - parallel:\n          branches:\n            eu: []\n", 6, "processors[0].parallel.branches.eu", "needs at least one step", ""),
    ("no then", "      - if: true\n        else: [echo: {message: x}]\n", 4, "processors[0].if", "has no then", "a list of steps"),
    ("then without if", "      - echo: {message: x}\n        then: [echo: {message: x}]\n", 5, "processors[0].then", "'then' belongs beside if", ""),
    ("condition of if", "      - if: {equal: {'${args.x}': 1}}\n        then: [echo: {message: x}]\n", 4, "processors[0].if.equal", "there is no operator 'equal'", "there are equals"),
    ("condition", "      - echo: {message: x}\n        when:\n          and:\n            - exists: args.x\n", 7, "processors[0].when.and[0].exists", "takes a reference", "${args.file}"),
    ("nothing as a condition", "      - echo: {message: x}\n        when:\n", 5, "processors[0].when", "null is no condition", "like"),
    ("same name in a loop", "      - for_each:\n          items: [1]\n          steps:\n            - {echo: {message: x}, name: s}\n            - {echo: {message: x}, name: s}\n", 8, "processors[0].for_each.steps[1].name", "a step 's' already", ""),
    ("name with a slash", "      - echo: {message: x}\n        name: a/b\n", 5, "processors[0].name", "has no /", ""),
    ("on_error", "      - echo: {message: x}\n        on_error: ignore\n", 5, "processors[0].on_error", "'ignore' is not offered", "'continue'"),
    ("timeout", "      - echo: {message: x}\n        timeout: soon\n", 5, "processors[0].timeout", "'soon' is not a duration", ""),
    ("retry", "      - echo: {message: x}\n        retry: {count: 1, bas: 2s}\n", 5, "processors[0].retry.bas", "unknown key 'bas'", "did you mean 'base'?"),
    ("keyword in a loop", "      - for_each:\n          items: [1]\n          steps:\n            - echo: {message: x}\n              wen: true\n", 8, "processors[0].for_each.steps[0].wen", "unknown key 'wen'", "when"),
    ("parallelism", "      - for_each:\n          items: [1]\n          parallelism: 33\n          steps: [echo: {message: x}]\n", 6, "processors[0].for_each.parallelism", "less than or equal to 32", ""),
    ("key of a loop", "      - for_each:\n          items: [1]\n          step: [echo: {message: x}]\n          steps: [echo: {message: x}]\n", 6, "processors[0].for_each.step", "unknown key 'step'", "did you mean 'steps'?"),
    ("ending", "      - echo: {message: x}\n    on_failure:\n      - echo: {massage: x}\n", 6, "on_failure[0].echo.massage", "unknown key 'massage'", ""),
    ("empty ending", "      - echo: {message: x}\n    always: []\n", 5, "always", "needs at least one step, or leave it out", ""),
    ("misspelt ending", "      - echo: {message: x}\n    on_failur: []\n", 5, "on_failur", "unknown key 'on_failur'", "did you mean 'on_failure'?"),
    ("missing beside a reference", "      - copy: {source: '${args.x}'}\n", 4, "processors[0].copy.destination", "is missing", ""),
    ("wrong beside a reference", "      - compress: {source: '${args.x}', level: 10}\n", 4, "processors[0].compress.level", "less than or equal to 9", ""),
    ("variable", "      - set: {a b: 1}\n", 4, "processors[0].set", "'a b' cannot be a variable's name", ""),
    ("secret in a variable", "      - set: {password: '${secret:db}'}\n", 4, "processors[0].set.password", "${secret:db} would be kept", "in the step that uses it"),
    ("secret among items", "      - for_each:\n          items: [a, '${secret:db}']\n          steps: [echo: {message: x}]\n", 5, "processors[0].for_each.items[1]", "${secret:db} would be kept", ""),
    ("no variable", "      - set: {}\n", 4, "processors[0].set", "sets nothing", ""),
]  # fmt: skip


@pytest.mark.parametrize(("text", "line", "key", "message", "hint"), [pytest.param(*m[1:], id=m[0]) for m in MISTAKES])
def test_nested_mistake_is_one_clear_problem(project: Project, text: str, line: int, key: str, message: str, hint: str) -> None:
    project.write("wrong.yaml", HEAD + text)
    [problem] = project.problems()
    assert (problem.file, problem.line, problem.key) == ("chalicelib/tasks/wrong.yaml", line, f"pipelines[0].{key}")
    assert message in problem.message
    assert hint in problem.hint


def test_values_with_references_wait_for_the_run(project: Project) -> None:
    project.write(
        "right.yaml",
        """
pipelines:
  - name: q
    processors:
      - sleep: {duration: "${args.pause}"}
      - compress: {level: "${args.level}", source: "${previous.path}"}
      - exec: {command: "${args.command}", env: {HOST: "${env.HOST}"}}
      - for_each: {items: "${args.items}", parallelism: "${args.many}", steps: [{echo: {message: "${item}"}}]}
""",
    )
    assert [step.processor for step in project.catalog().pipelines["q"].steps] == ["sleep", "compress", "exec", "for_each"]


def test_steps_within_steps_are_compiled_with_their_names_and_keywords(project: Project) -> None:
    project.write(
        "right.yaml",
        """
pipelines:
  - name: q
    processors:
      - if: {exists: "${args.x}"}
        then:
          - parallel:
              branches:
                eu: [echo: {message: x}, echo: {message: y}]
                us:
                  - echo: {message: x}
                    when: "${args.y}"
                    retry: 2
                    timeout: 1m
                    on_error: continue
        name: check
    always: [echo: {message: x}]
""",
    )
    pipeline = project.catalog().pipelines["q"]
    [check] = pipeline.steps
    assert (check.processor, check.name, check.config["condition"]) == ("if", "check", {"exists": "${args.x}"})
    [parallel] = check.config["then"]
    branches: dict[str, Any] = parallel["config"]["branches"]
    assert [step["name"] for step in branches["eu"]] == ["echo", "echo-2"]
    [step] = branches["us"]
    assert (step["when"], step["retry"], step["timeout"], step["on_error"]) == ("${args.y}", {"count": 2}, 60.0, "continue")
    assert [step.name for step in pipeline.always] == ["echo"]


def test_a_users_processor_within_steps_is_imported_by_the_tasks_function(project: Project) -> None:
    project.write(
        "own.py",
        """
from pydantic import BaseModel

from chalicelib import processor


@processor("own")
class Own(BaseModel):
    def __call__(self, run):
        return None
""",
    )
    for name, steps in {
        "branch": "processors: [{parallel: {branches: {a: [own: {}]}}}]",
        "ending": "processors: [echo: {message: x}]\n    always: [own: {}]",
    }.items():
        project.write(f"{name}.yaml", f"pipelines:\n  - name: {name}\n    {steps}\ntasks: [{{id: {name}, pipeline: {name}}}]\n")
    tasks = project.catalog().tasks
    assert tasks["branch"].modules == tasks["ending"].modules == ["chalicelib.tasks.own"]
