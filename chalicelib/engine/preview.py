"""What a pipeline would do: every step with its configuration resolved as far as it is known, and nothing done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from pydantic import BaseModel

from chalicelib.catalog.faults import validate
from chalicelib.domain.conditions import MISSING, holds
from chalicelib.domain.durations import text_of
from chalicelib.domain.errors import NightshiftError
from chalicelib.domain.handle import RunHandle
from chalicelib.domain.masking import MASK, Masker
from chalicelib.domain.model import Catalog, ProcessorInfo, Step
from chalicelib.domain.nesting import late_fields, step_fields, step_lists
from chalicelib.domain.pipeline_state import PipelineState
from chalicelib.domain.references import Reference
from chalicelib.engine.arguments import secrets_of
from chalicelib.engine.trial import Trial
from chalicelib.engine.values import Values, run_fields
from chalicelib.processors.base import Processor, first_sentence

OPEN, CLOSE = "‹", "›"
LISTS = ("on_success", "on_failure", "always")


@dataclass
class StepPreview:
    """One step, fit to be shown: no secret is in it."""

    name: str
    processor: str
    says: str  # one sentence
    config: dict[str, Any] = field(default_factory=dict)
    when: Any = True  # the condition as it is written
    runs: bool | None = True  # whether it holds; None: that is known only in the run
    options: dict[str, str] = field(default_factory=dict)  # timeout, retry, on_error, where they are not the default
    problems: list[str] = field(default_factory=list)  # what would fail it as far as is known
    steps: dict[str, list[StepPreview]] = field(default_factory=dict)  # those within it, by where they stand

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        inner = {key: [step.as_json() for step in steps] for key, steps in self.steps.items()}
        return {**vars(self), "steps": inner}


class Unknown(str):
    """Stands for what is known only in the run: `‹steps.dump.output.path›`."""


class Forecast(Values):
    """Values before the run: what steps will give is not known, and a secret is not asked for."""

    def __init__(self, run: RunHandle, state: PipelineState) -> None:
        super().__init__(run, lambda _: MASK, state)
        self.problems: list[str] = []

    def absent(self, reference: Reference, why: str) -> Any:
        self.problems.append(f"${{{reference}}}: {why}")
        return unknown(reference)

    def found(self, reference: Reference, local: Mapping[str, Any]) -> Any:
        root, path = reference.root, reference.path
        if isinstance(local.get(root), Unknown) or root in ("steps", "previous", "error"):
            return unknown(reference)
        if root == "run" and path and path[0] in ("workspace", "id") and path[0] in run_fields(self.run):
            return unknown(reference)  # of another run than this one
        if root == "vars" and path and (path[0] not in self.state.variables or pending(self.state.variables[path[0]])):
            return unknown(reference)
        return super().found(reference, local)


class _Subject(RunHandle):
    """The run that there is not."""

    def __init__(self, trial: Trial) -> None:
        record = trial.record()
        parameters = trial.task.parameters if trial.task else []
        files = [p.name for p in parameters if p.type == "file" and p.name in trial.args]
        args = trial.args | {name: _file(name, trial.args[name]) for name in files}
        super().__init__(record.id, record.task_id, args)
        self.created_at, self.fire_at = record.created_at, record.fire_at
        self.masker = Masker(secrets_of(parameters, trial.args))

    def add_secret(self, text: str) -> None:
        self.masker.add(text)

    def mask(self, text: str) -> str:
        return self.masker.hide(text)


def preview(trial: Trial) -> dict[str, list[StepPreview]]:
    """The steps by the list they stand in: `processors`, `on_success`, `on_failure`, `always`. Empty lists are left out."""
    run = _Subject(trial)
    looker = _Looker(trial.catalog, run, Forecast(run, PipelineState()), run.masker)
    lists = {"processors": trial.pipeline.steps} | {name: getattr(trial.pipeline, name) for name in LISTS}
    local = {"on_failure": {"error": Unknown("error")}}
    return {name: looker.steps(steps, local.get(name, {})) for name, steps in lists.items() if steps}


def _file(name: str, given: Any) -> Any:
    """A file argument, which lies in the workspace once there is one."""
    return {"name": given.get("name"), "path": Unknown(f"{OPEN}args.{name}.path{CLOSE}")} if isinstance(given, dict) else given


def unknown(reference: Reference) -> Unknown:
    """The text that stands for a reference's value."""
    return Unknown(f"{OPEN}{reference}{CLOSE}")


def pending(value: Any) -> bool:
    """Whether anything within is known only in the run."""
    if isinstance(value, str):
        return OPEN in value or MASK in value
    if isinstance(value, Mapping):
        return any(pending(key) or pending(inner) for key, inner in value.items())
    return isinstance(value, list | tuple) and any(map(pending, value))


class _Looker:
    """Looks at one step after another."""

    def __init__(self, catalog: Catalog, run: RunHandle, values: Forecast, masker: Masker) -> None:
        self.catalog, self.run, self.values, self.masker = catalog, run, values, masker

    def steps(self, steps: list[Step], local: Mapping[str, Any]) -> list[StepPreview]:
        return [self.step(step, local) for step in steps]

    def step(self, step: Step, local: Mapping[str, Any]) -> StepPreview:
        self.values.problems = []
        cls = _class_of(self.catalog.processors[step.processor])
        late = late_fields(cls)
        config = {key: inner if key in late else self.values.resolve(inner, local) for key, inner in step.config.items()}
        seen = StepPreview(step.name, step.processor, "", when=step.when, options=_options(step))
        seen.runs = self._holds(step.when, local)
        seen.says = self._sentence(cls, config, seen)
        nested = step_fields(cls)
        seen.config = self.masker.hide_in({key: inner for key, inner in config.items() if key not in nested})
        seen.problems += [self.masker.hide(problem) for problem in self.values.problems]
        if step.processor == "set":
            self.values.state.variables |= config
        item = {name: Unknown(name) for name in (str(config.get("as", "item")), "index")} if "items" in config else {}
        for key in nested:
            for path, inner in step_lists(config.get(key)):
                where = ".".join(map(str, (key, *path)))
                seen.steps[where] = self.steps([Step.model_validate(entry) for entry in inner], {**local, **item})
        return seen

    def _holds(self, condition: Any, local: Mapping[str, Any]) -> bool | None:
        unsure = False

        def resolve(value: Any) -> Any:
            nonlocal unsure
            found = self.values.look_up(value, local, MISSING) if isinstance(value, str) else value
            unsure = unsure or pending(found)
            return found

        try:
            answer = holds(condition, resolve)
        except NightshiftError as error:
            if not unsure:
                self.values.problems.append(f"when: {error.message}")
            return None
        return None if unsure else answer

    def _sentence(self, cls: type[BaseModel], config: dict[str, Any], seen: StepPreview) -> str:
        made, faults = validate(cls, config)
        if made is None:
            known = [fault for fault in faults if not _open(fault.path, config)]
            seen.problems += [f"{'.'.join(map(str, fault.path)) or seen.processor}: {fault.message}" for fault in known]
            plain: Any = {key: inner for key, inner in config.items() if isinstance(inner, str | int | float)}
            made = cls.model_construct(**plain)
        describe: Any = getattr(cls, "describe", Processor.describe)
        if describe is Processor.describe:
            return first_sentence(cls)  # its values are shown beside it
        try:
            text = str(describe(made, self.run))
        except Exception:  # of a configuration that is only half there
            text = first_sentence(cls)
        return self.masker.hide(text)


def _open(path: tuple[str | int, ...], config: Any) -> bool:
    """Whether a fault is one of a value that is not known yet."""
    for part in path:
        try:
            config = config[part]
        except (KeyError, IndexError, TypeError):
            return False
    return pending(config)


def _options(step: Step) -> dict[str, str]:
    options = {"timeout": text_of(step.timeout)} if step.timeout is not None else {}
    if step.retry is not None:
        options["retry"] = f"{step.retry.count} times"
    if step.on_error != "fail":
        options["on_error"] = step.on_error
    return options


def _class_of(info: ProcessorInfo) -> Any:
    found: Any = import_module(info.module)
    for part in info.qualname.split("."):
        found = getattr(found, part)
    return found
