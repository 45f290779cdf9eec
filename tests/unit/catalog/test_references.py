"""A reference that cannot lead anywhere is refused when the catalog is compiled, with file, line, and what was probably meant."""

from __future__ import annotations

from textwrap import dedent, indent

import pytest

from chalicelib.catalog.references import unknown_arguments
from chalicelib.domain.model import Parameter, Task

from .conftest import Project


def pipeline(steps: str, tasks: str = "") -> str:
    body = f"pipelines:\n  - name: p\n    processors:\n{indent(dedent(steps), '      ')}"
    return f"{body}tasks:\n{indent(dedent(tasks), '  ')}" if tasks else body


MISTAKES = [
    ("unknown root", "- echo:\n    message: ${arg.x}\n", 5, "'arg' is nothing to refer to", "did you mean 'args'?"),
    ("a shell variable", "- echo:\n    message: ${HOME}\n", 5, "'HOME' is nothing to refer to", "a literal ${ is written $${"),
    ("unknown run field", "- echo:\n    message: ${run.atempt}\n", 5, "a run has no 'atempt'", "did you mean 'attempt'?"),
    ("which argument", "- echo:\n    message: ${args}\n", 5, "says not which", "like ${args.NAME}"),
    ("malformed", "- echo:\n    lines: [a, 'b ${args.x']\n", 5, "column 3: '${' is never closed", ""),
    ("empty secret", "- echo: {message: '${secret:}'}\n", 4, "column 1: the secret has no name (like ${secret:db}", ""),
    ("unknown step", "- echo: {message: x}\n  name: dump\n- echo:\n    message: ${steps.dmp.output}\n", 7, "there is no step 'dmp'", "did you mean 'dump'?"),
    ("first step", "- echo: {message: '${steps.dmp.output}'}\n", 4, "there is no step 'dmp'", "there is no step before this one"),
    ("later step", "- echo: {message: '${steps.dump.output}'}\n- echo: {message: x}\n  name: dump\n", 4, "the step 'dump' comes later", ""),
    ("the step itself", "- echo: {message: '${steps.me.output}'}\n  name: me\n", 4, "that is this step itself", ""),
    ("part of a step", "- echo: {message: x}\n- echo: {message: '${steps.echo.path}'}\n", 5, "'path' is nothing that a step has", "like ${steps.echo.output}"),
    ("unknown variable", "- set: {days: 3}\n- echo: {message: '${vars.day}'}\n", 5, "no step sets 'day'", "did you mean 'days'?"),
    ("item named like a root", "- for_each:\n    items: [a]\n    as: args\n    steps: [echo: {message: x}]\n", 6, "'args' is known everywhere", ""),
    ("no loop", "- echo: {message: '${item.path}'}\n", 4, "there is no loop around this step", ""),
    ("an item in a shell line", "- for_each:\n    items: [a]\n    as: file\n    steps:\n    - exec:\n        command: 'ls ${file}'\n        shell: true\n", 9, "a shell would run what the value says", "env: {VALUE:"),
    ("whether a shell", "- exec:\n    command: 'ls'\n    shell: ${run.attempt}\n", 6, "is said here, not by a value", "true or false"),
    ("no failure", "- echo: {message: '${error.message}'}\n", 4, "nothing has failed here", "on_failure"),
]  # fmt: skip


@pytest.mark.parametrize(("steps", "line", "message", "hint"), [m[1:] for m in MISTAKES], ids=[m[0] for m in MISTAKES])
def test_a_reference_that_leads_nowhere_is_one_problem(project: Project, steps: str, line: int, message: str, hint: str) -> None:
    project.write("only.yaml", pipeline(steps))
    [problem] = project.problems()
    assert (problem.file, problem.line) == ("chalicelib/tasks/only.yaml", line)
    assert problem.key.startswith("pipelines[0].processors[")
    assert message in problem.message
    assert hint in problem.hint


def test_an_argument_is_checked_for_every_task_that_uses_the_pipeline(project: Project) -> None:
    tasks = """\
        - {id: good, pipeline: p, parameters: {day: {}}}
        - {id: misspelt, pipeline: p, parameters: {dya: {}}}
        - {id: bare, pipeline: p}
    """
    project.write("only.yaml", pipeline("- echo:\n    message: is ${args.day}\n", tasks))
    problems = project.problems()
    assert [(p.line, p.message) for p in problems] == [
        (5, "${args.day}: the task 'misspelt' has no parameter 'day'"),
        (5, "${args.day}: the task 'bare' has no parameter 'day'"),
    ]
    assert [p.hint for p in problems] == ["did you mean 'dya'?", "give the task parameters:"]


def test_what_is_right_compiles_and_stays_as_it_is_written(project: Project) -> None:
    steps = """\
        - set: {x: "${args.day}"}
        - echo: {message: "${args.day|monday} ${run.date} ${env.HOME|} ${vars.x} ${secret:db#password} $${HOME}"}
          name: dump
        - sleep: {duration: "${args.pause}"}
        - check_disk_space: {path: /, threshold: "${args.percent}"}
        - send_alert: {webhook: "${secret:hook}", message: "${steps.dump.output.lines} ${previous.seconds}"}
    """
    project.write("only.yaml", pipeline(steps, "- {id: t, pipeline: p, parameters: {day: {}, pause: {}, percent: {}}}\n"))
    steps_of = project.catalog().pipelines["p"].steps
    assert steps_of[2].config == {"duration": "${args.pause}"}


def test_what_is_wrong_beside_a_reference_is_still_told(project: Project) -> None:
    steps = "- sleep: {duration: '${args.x}', durration: 5s}\n- check_disk_space: {path: '${args.x}', threshold: many}\n"
    project.write("only.yaml", pipeline(steps))
    assert [p.message.partition(",")[0] for p in project.problems()] == ["unknown key 'durration'", "should be a valid number"]


def test_a_task_of_run_time_is_told_which_parameters_it_lacks(project: Project) -> None:
    project.write("only.yaml", pipeline("- echo: {message: '${args.day} ${args.day|x} ${args.name}'}\n"))
    found = project.catalog().pipelines["p"]
    assert unknown_arguments(found, Task(id="t", pipeline="p", parameters=[Parameter(name="day"), Parameter(name="name")])) == []
    [fault] = unknown_arguments(found, Task(id="t", pipeline="p", parameters=[Parameter(name="day")]))
    assert fault.path == ("parameters",)
    assert fault.message == "the pipeline 'p' uses ${args.name}, and there is no such parameter"


def test_a_function_that_is_not_there_is_refused(project: Project) -> None:
    project.write("own.py", "def monthly(): ...\nlimit = 3\n")
    steps = """\
        - call: {function: "chalicelib.tasks.own:monthly"}
        - call: {function: "json:dumps"}
        - call: {function: "${args.function}"}
        - call: {function: "chalicelib.tasks.own:montly"}
        - if: {exists: "${args.function}"}
          then:
            - call: {function: "chalicelib.tasks.wn:monthly"}
            - call: {function: "chalicelib.tasks.own:limit"}
            - call: {function: "no.such.module:f"}
    """
    project.write("only.yaml", pipeline(steps))
    assert [(p.line, p.message, p.hint) for p in project.problems()] == [
        (7, "'chalicelib.tasks.own' has no 'montly'", "did you mean 'monthly'?"),
        (10, "there is no module 'chalicelib.tasks.wn'", "did you mean 'chalicelib.tasks.own'?"),
        (11, "'chalicelib.tasks.own:limit' is not a function", "module:function"),
        (12, "there is no module 'no.such.module'", "module:function, as Python imports it"),
    ]


def test_the_steps_of_a_loop_know_its_item_by_the_name_it_has(project: Project) -> None:
    steps = """\
        - for_each:
            items: ["${item}"]
            as: file
            steps:
              - echo: {message: "${file.path} ${index}"}
                name: say
              - echo: {message: "${item.path} ${steps.say.output.lines} ${steps.later.output}"}
        - echo: {message: "${steps.for_each.output.count} ${steps.for_each.output.results[0].say.lines} ${file}"}
          name: later
    """
    project.write("only.yaml", pipeline(steps))
    assert [(p.line, p.message) for p in project.problems()] == [
        (5, "${item}: there is no loop around this step"),
        (10, "${item.path}: there is no loop around this step"),
        (10, "${steps.later.output}: the step 'later' comes later"),
        (11, "${file}: 'file' is nothing to refer to"),
    ]


def test_what_follows_on_failure_knows_the_error_and_every_step(project: Project) -> None:
    text = """\
        pipelines:
          - name: p
            processors:
              - echo: {message: x}
                name: dump
            on_failure:
              - echo: {message: "${error.message} ${steps.dump.status}"}
                name: alarm
            always:
              - echo: {message: "${error.message|none} ${steps.dump.status}"}
              - echo: {message: "${error.message}"}
    """
    project.write("only.yaml", dedent(text))
    assert [(p.line, p.message) for p in project.problems()] == [(11, "${error.message}: nothing has failed here")]
