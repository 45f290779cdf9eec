"""Checks the references of pipelines before anything runs: that each names something which will be there by then."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from chalicelib.catalog.faults import Fault, Path, suggestion
from chalicelib.catalog.pipelines import STEP_KEYWORDS, Processors, all_steps
from chalicelib.domain.model import Pipeline, Step, Task
from chalicelib.domain.nesting import step_fields, step_lists
from chalicelib.domain.references import ROOTS, RUN_FIELDS, SECRET, MalformedReferenceError, Reference, references_of, texts_in

STEP_PARTS = ("output", "status", "error")


@dataclass(frozen=True)
class Scope:
    """What can be referred to at one place of a pipeline, beside what is known everywhere."""

    earlier: tuple[str, ...] = ()  # steps that have been
    later: tuple[str, ...] = ()  # steps that have not, the one at hand among them
    local: tuple[str, ...] = ()  # a loop's item and index, a failure's error
    variables: tuple[str, ...] = ()  # those that any step sets
    script: str = ""  # the key, `command` or `shell`, of an `exec` that a shell runs


@dataclass(frozen=True)
class Place:
    """One text with references: its path in the written pipeline, and what it may refer to."""

    path: Path
    text: str
    scope: Scope


def reference_faults(pipeline: Pipeline, processors: Processors) -> list[Fault]:
    """Every reference of a pipeline that is malformed or leads nowhere, whichever task uses it."""
    faults = []
    for place in _places(pipeline, processors):
        try:
            references = references_of(place.text)
        except MalformedReferenceError as error:
            faults.append(Fault(place.path, str(error)))
            continue
        found = (_fault(reference, place.scope) for reference in references)
        faults += [Fault(place.path, *wrong) for wrong in found if wrong is not None]
    return faults


def argument_faults(pipeline: Pipeline, task: Task, processors: Processors) -> list[Fault]:
    """References to arguments that a task which uses the pipeline does not take, at their places in the pipeline."""
    faults = []
    for place in _places(pipeline, processors):
        for name, hint in _missing(place.text, task):
            faults.append(Fault(place.path, f"${{args.{name}}}: the task '{task.id}' has no parameter '{name}'", hint))
    return faults


def unknown_arguments(pipeline: Pipeline, task: Task) -> list[Fault]:
    """The same for a task that is made at run time, as faults of the task: the pipeline is the code's, and right in itself."""
    missing = {name: hint for _, text in texts_in(pipeline.model_dump()) for name, hint in _missing(text, task)}
    says = f"the pipeline '{pipeline.name}' uses ${{args.%s}}, and there is no such parameter"
    return [Fault(("parameters",), says % name, hint) for name, hint in missing.items()]


def _missing(text: str, task: Task) -> list[tuple[str, str]]:
    """The arguments in a text that a task does not take, each with what was probably meant."""
    known = [parameter.name for parameter in task.parameters]
    try:
        names = [str(r.path[0]) for r in references_of(text) if r.root == "args" and r.path]
    except MalformedReferenceError:
        return []  # told by reference_faults
    hint = "" if known else "give the task parameters:"
    return [(name, hint or suggestion(name, known)) for name in names if name not in known]


def _places(pipeline: Pipeline, processors: Processors) -> Iterator[Place]:
    begin = Scope(variables=tuple(dict.fromkeys(_variables(all_steps(pipeline), processors))))
    yield from _of_steps(pipeline.steps, ("processors",), begin, processors)
    after = replace(begin, earlier=tuple(step.name for step in pipeline.steps))
    yield from _of_steps(pipeline.on_success, ("on_success",), after, processors)
    failed = replace(after, local=("error",))
    yield from _of_steps(pipeline.on_failure, ("on_failure",), failed, processors)
    yield from _of_steps(pipeline.always, ("always",), after, processors)


def _of_steps(steps: Iterable[Step], path: Path, scope: Scope, processors: Processors) -> Iterator[Place]:
    steps = list(steps)
    names = tuple(step.name for step in steps)
    for index, step in enumerate(steps):
        here = replace(scope, earlier=(*scope.earlier, *names[:index]), later=(*names[index:], *scope.later))
        yield from _of_step(step, (*path, index), here, processors)


def _of_step(step: Step, path: Path, scope: Scope, processors: Processors) -> Iterator[Place]:
    for keyword in STEP_KEYWORDS:
        for inner, text in texts_in(getattr(step, keyword, None), (*path, keyword)):
            yield Place(inner, text, scope)
    cls: Any = processors.get(step.processor)
    nested = step_fields(cls)
    script = step.processor == "exec" and bool(step.config.get("shell"))
    for key, value in step.config.items():
        below = _written(path, step.processor, key)
        if key not in nested:
            here = replace(scope, script=key if script and key in ("command", "shell") else "")
            for inner, text in texts_in(value, below):
                yield Place(inner, text, here)
            continue
        within = replace(scope, local=(*scope.local, *_locals_of(cls, step.config)))
        for inner, entries in step_lists(value, below):
            yield from _of_steps(map(Step.model_validate, entries), inner, within, processors)


def _written(path: Path, processor: str, key: str) -> Path:
    """Where a key of a step's configuration stands in the file: the branches of an `if` stand beside it."""
    if processor != "if":
        return (*path, processor, key)
    return (*path, "if") if key == "condition" else (*path, key)


def _locals_of(cls: Any, config: Mapping[str, Any]) -> tuple[str, ...]:
    """What the steps within a loop know: its item by the name that `as` gives it, and `index`."""
    field = next((info for name, info in cls.model_fields.items() if "as" in (name, info.alias)), None)
    return () if field is None else (str(config.get("as") or field.default), "index")


def _variables(steps: Iterable[Any], processors: Processors) -> Iterator[str]:
    """The names that `set` gives to anything in these steps or within them."""
    for step in map(Step.model_validate, steps):
        if step.processor == "set":
            yield from step.config
        cls: Any = processors.get(step.processor)
        for key in step_fields(cls):
            for _, inner in step_lists(step.config.get(key)):
                yield from _variables(inner, processors)


def _fault(reference: Reference, scope: Scope) -> tuple[str, str] | None:
    """What is wrong with a reference, and what would be right."""
    root, path = reference.root, reference.path
    written = f"${{{reference}}}"
    if scope.script == "shell":
        return f"{written}: whether a shell runs the line is said here, not by a value", "true or false"
    if scope.script and root in scope.local:  # what has a known root, the processor itself refuses
        hint = f'env: {{VALUE: "{written}"}}, and "$VALUE" in the line'
        return f"{written}: a shell would run what the value says", hint
    if root in scope.local or (root == SECRET and path):
        return None
    if root in ("item", "index"):
        return f"{written}: there is no loop around this step", "item and index are known to the steps of a loop"
    if root == "error":
        hint = "error is known to the steps of on_failure; those of always need a fallback, ${error.message|none}"
        return (f"{written}: nothing has failed here", hint) if reference.default is None else None
    if root not in ROOTS:
        known = [*ROOTS, *scope.local]
        hint = suggestion(root, known)
        return f"{written}: '{root}' is nothing to refer to", f"{hint}; a literal ${{ is written $${{"
    if root in ("args", "run", "steps", "env", "vars", SECRET) and not path:
        example = {"run": "${run.id}", "steps": "${steps.NAME.output}", SECRET: "${secret:NAME}"}.get(root, f"${{{root}.NAME}}")
        return f"{written}: says not which", f"like {example}"
    if root == "run" and path[0] not in RUN_FIELDS:
        return f"{written}: a run has no '{path[0]}'", suggestion(str(path[0]), RUN_FIELDS)
    if root == "vars" and path[0] not in scope.variables and reference.default is None:
        hint = suggestion(str(path[0]), scope.variables) if scope.variables else f"a step like - set: {{{path[0]}: …}}"
        return f"{written}: no step sets '{path[0]}'", hint
    return _step_fault(written, path, scope) if root == "steps" else None


def _step_fault(written: str, path: Path, scope: Scope) -> tuple[str, str] | None:
    name = str(path[0])
    if name not in scope.earlier:
        if name == scope.later[0]:
            return f"{written}: that is this step itself", "only steps before it can be referred to"
        if name in scope.later:
            return f"{written}: the step '{name}' comes later", "only steps before this one can be referred to"
        hint = suggestion(name, scope.earlier) if scope.earlier else "there is no step before this one"
        if (around := name.partition("/")[0]) in scope.earlier:
            hint = f"what the steps within it gave is in ${{steps.{around}.output}}"
        return f"{written}: there is no step '{name}' before this one", hint
    if len(path) < 2 or path[1] not in STEP_PARTS:
        said = f"'{path[1]}' is nothing that a step has" if len(path) > 1 else "says not what of the step"
        return f"{written}: {said}", f"like ${{steps.{name}.output}}, .status or .error.message"
    return None
