"""Pipelines as they are written -> pipelines with checked steps, those within steps included."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel

from chalicelib.catalog.checks import PYTHON_PREFIX
from chalicelib.catalog.faults import Fault, suggestion, validate
from chalicelib.domain.conditions import faults_of
from chalicelib.domain.model import Pipeline, Step
from chalicelib.domain.nesting import late_fields, step_fields, step_lists, value_at, with_step_lists
from chalicelib.domain.references import SECRET, MalformedReferenceError, has_reference, references_of, texts_in

STEP_KEYWORDS = tuple(name for name in Step.model_fields if name not in ("processor", "config"))
"""What may stand beside the processor in a step (`- copy: {...}` + `name: first`): every other field of Step."""

ENDINGS = ("on_success", "on_failure", "always")
"""The lists of steps at a pipeline's end."""

BESIDE_IF = ("then", "else")
MOST_DEEP = 10

_KEYS = ("name", "description", "processors", *ENDINGS)
_SHAPE = "a step is one processor with its configuration, like - copy: {source: a, destination: b}"

Processors = Mapping[str, type[Any]]


def check_pipeline(raw: Any, processors: Processors, complete: bool = True) -> tuple[Pipeline | None, list[Fault]]:
    """The pipeline of a definition, its steps named, and every fault of it.

    `complete` is false where some processors could not be imported, so that an unknown one is no fault. Values that hold a
    reference are checked again when it is known what they refer to.
    """
    if not isinstance(raw, Mapping):
        return None, [Fault((), "a pipeline is a mapping with name and processors")]
    faults = [Fault((key,), f"unknown key '{key}'", suggestion(key, _KEYS)) for key in raw if key not in _KEYS]
    checker = _Checker(processors, complete)
    steps, step_faults = checker.steps(raw.get("processors"), "a pipeline needs at least one processor")
    faults += [fault.under("processors") for fault in step_faults]
    endings = {}
    for key in ENDINGS:
        if key in raw:
            endings[key], found = checker.steps(raw[key], f"{key} needs at least one step, or leave it out")
            faults += [fault.under(key) for fault in found]
    if isinstance(raw.get("name"), str) and raw["name"].startswith(PYTHON_PREFIX):
        faults.append(Fault(("name",), f"names beginning with {PYTHON_PREFIX} belong to @task functions"))
    placeholder = [Step(processor="?")]
    head = {key: raw[key] for key in ("name", "description") if key in raw}
    pipeline, head_faults = validate(Pipeline, {**head, "steps": steps or placeholder, **endings})
    faults += head_faults
    return (None if faults else pipeline), faults


def processors_of(steps: list[Step], processors: Processors) -> set[str]:
    """The names of all processors that steps use, those within other steps included."""
    names = set()
    for step in steps:
        names.add(step.processor)
        for key in step_fields(processors.get(step.processor)):
            for _, inner in step_lists(step.config.get(key)):
                names |= processors_of([Step.model_validate(entry) for entry in inner], processors)
    return names


def all_steps(pipeline: Pipeline) -> list[Step]:
    """The steps of all its lists, in the order they run."""
    return [*pipeline.steps, *pipeline.on_success, *pipeline.on_failure, *pipeline.always]


@dataclass(frozen=True)
class _Checker:
    """Checks the steps of one pipeline; `depth` is how many steps stand around them."""

    processors: Processors
    complete: bool
    depth: int = 0

    def steps(self, raw: Any, when_empty: str) -> tuple[list[Step], list[Fault]]:
        if raw is None or raw == []:
            return [], [Fault((), when_empty, "like - copy: {source: a, destination: b}")]
        if not isinstance(raw, list):
            return [], [Fault((), "is a list of processors, each behind a dash", _SHAPE)]
        if self.depth > MOST_DEEP:
            return [], [Fault((), f"steps stand at most {MOST_DEEP} deep within each other")]
        steps: list[Step] = []
        faults: list[Fault] = []
        for index, entry in enumerate(raw):
            step, found = self._step(entry)
            faults += [fault.under(index) for fault in found]
            if step is not None:
                steps.append(step)
        return _named(steps, faults), faults

    def _step(self, raw: Any) -> tuple[Step | None, list[Fault]]:
        if isinstance(raw, str):
            raw = {raw: None}
        if not isinstance(raw, Mapping):
            return None, [Fault((), _SHAPE)]
        if "if" in raw:
            raw = _with_branches_inside(raw)
        names = [key for key in raw if key not in STEP_KEYWORDS]
        if len(names) != 1:
            return None, [_ambiguous(names, self.processors)]
        name, config = names[0], raw[names[0]] or {}
        if not isinstance(config, Mapping):
            return None, [Fault((name,), f"the configuration of {name} is a mapping of names and values", _SHAPE)]
        keywords = {key: raw[key] for key in raw if key != name}
        step, faults = validate(Step, {"processor": name, "config": {}, **keywords})
        faults += _keyword_faults(keywords)
        if name not in self.processors:
            if self.complete:
                faults.append(Fault((name,), f"there is no processor '{name}'", suggestion(name, self.processors)))
            return step, faults
        checked, config_faults = self._config(self.processors[name], config)
        faults += [_beside_if(fault) if name == "if" else fault.under(name) for fault in config_faults]
        return (step.model_copy(update={"config": checked}) if step else None), faults

    def _config(self, cls: type[Any], raw: Mapping[str, Any]) -> tuple[dict[str, Any], list[Fault]]:
        """The configuration with the steps within it made Steps, and its faults."""
        config = dict(raw)
        faults: list[Fault] = []
        within = replace(self, depth=self.depth + 1)
        for key in step_fields(cls):
            if key not in config:
                continue
            checked: dict[int, list[Any]] = {}
            for path, entries in step_lists(config[key]):
                steps, found = within.steps(entries, "needs at least one step")
                if entries or path:
                    faults += [fault.under(key, *path) for fault in found]
                checked[id(entries)] = [step.model_dump(exclude_defaults=True) for step in steps] or entries
            config[key] = with_step_lists(config[key], lambda entries: checked.get(id(entries), entries))  # noqa: B023
        if not (isinstance(cls, type) and issubclass(cls, BaseModel)):
            return config, faults
        for key in late_fields(cls) - {*step_fields(cls)}:
            if key in config:
                faults += [Fault((key, *place), message, hint) for place, message, hint in faults_of(config[key])]
        faults += _kept_secrets(cls, config)
        if faults:
            return config, faults
        found = [*_unknown_keys(cls, config), *validate(cls, config)[1]]
        found = [fault for fault in found if fault.final or not has_reference(value_at(config, fault.path))]
        return config, found


def _keyword_faults(keywords: Mapping[str, Any]) -> list[Fault]:
    faults = []
    if "when" in keywords:
        faults += [Fault(("when", *place), message, hint) for place, message, hint in faults_of(keywords["when"])]
    name = keywords.get("name")
    if isinstance(name, str) and "/" in name:
        faults.append(Fault(("name",), "the name of a step has no /", "it stands between the names of steps within steps"))
    return faults


def _kept_secrets(cls: type[Any], config: Mapping[str, Any]) -> list[Fault]:
    """Secrets in values that are kept with the run: kept they would be masked, and be wrong in the next Lambda."""
    faults = []
    for key in getattr(cls, "keeps", lambda _: ())(config):
        for path, text in texts_in(config.get(key)):
            with suppress(MalformedReferenceError):  # told elsewhere
                secrets = [reference for reference in references_of(text) if reference.root == SECRET]
                message = "would be kept with the run, and no secret is"
                faults += [Fault((key, *path), f"${{{s}}} {message}", "refer to it in the step that uses it") for s in secrets]
    return faults


def _with_branches_inside(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    """`then` and `else` stand beside `if`, where they read well; they are its configuration like the condition."""
    beside = {key: raw[key] for key in BESIDE_IF if key in raw}
    rest = {key: value for key, value in raw.items() if key not in BESIDE_IF}
    return {**rest, "if": {"condition": raw["if"], **beside}}


def _beside_if(fault: Fault) -> Fault:
    if fault.path[:1] == ("condition",):
        return replace(fault, path=("if", *fault.path[1:]))
    if fault.path == ("then",) and fault.message == "is missing":
        return Fault(("if",), "has no then", "beside if there is then: a list of steps, and perhaps else: another one")
    return fault


def _ambiguous(names: list[str], processors: Processors) -> Fault:
    """A step that names no processor, or several; of several, the one that is none is probably a misspelt keyword."""
    if not names:
        return Fault((), "names no processor", _SHAPE)
    if stray := [name for name in names if name in BESIDE_IF]:
        return Fault((stray[0],), f"'{stray[0]}' belongs beside if", "like - if: {exists: …}, then: [...], else: [...]")
    strangers = [name for name in names if name not in processors]
    if len(strangers) == len(names) - 1:
        what = ", ".join(f"'{name}'" for name in strangers)
        hint = f"beside the processor there may be {', '.join(STEP_KEYWORDS)}; its own configuration goes below it"
        return Fault((strangers[0],), f"unknown key {what} beside a processor", hint)
    return Fault((names[1],), f"names several processors: {', '.join(names)}", "put a dash before each")


def _unknown_keys(cls: type[BaseModel], config: Mapping[str, Any]) -> list[Fault]:
    """Keys that a plain BaseModel would silently ignore. A model that sets `extra` has its own way."""
    if "extra" in cls.model_config:
        return []
    known = set(cls.model_fields)
    for info in cls.model_fields.values():
        for alias in (info.alias, info.validation_alias):
            if alias is not None and not isinstance(alias, str):
                return []
            known |= {alias} if alias else set()
    return [Fault((key,), f"unknown key '{key}'", suggestion(key, known), final=True) for key in config if key not in known]


def _named(steps: list[Step], faults: list[Fault]) -> list[Step]:
    """Each step with a name of its own: the given one, else the processor's with a number from the second on."""
    given = [step.name for step in steps if step.name]
    for index, step in enumerate(steps):
        if step.name and step.name in [earlier.name for earlier in steps[:index]]:
            faults.append(Fault((index, "name"), f"there is a step '{step.name}' already", "give each its own name"))
    taken = set(given)
    named = []
    for step in steps:
        name, number = step.name or step.processor, 1
        while not step.name and name in taken:
            number += 1
            name = f"{step.processor}-{number}"
        taken.add(name)
        named.append(step.model_copy(update={"name": name}))
    return named
