"""The values that references in a step's configuration stand for, looked up when the step begins."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from chalicelib.domain.clock import iso
from chalicelib.domain.errors import StepError
from chalicelib.domain.handle import RunHandle
from chalicelib.domain.masking import SHORTEST_PART
from chalicelib.domain.references import (
    RUN_FIELDS,
    SECRET,
    MalformedReferenceError,
    Reference,
    parse,
    path_text,
    references_of,
    texts_in,
)

if TYPE_CHECKING:
    from chalicelib.domain.model import Pipeline
    from chalicelib.domain.pipeline_state import PipelineState

_SECRET_VARIABLE = re.compile(r"SECRET|TOKEN|PASSW|CREDENTIAL|API_?KEY|PRIVATE", re.IGNORECASE)


class Absent(Exception):
    """A reference leads to nothing; the message says from where on."""


class MissingValueError(StepError):
    """A reference leads to nothing, and has no fallback."""


class Values:
    """What can be referred to in one run. `secret` fetches one by its name; whatever it gives is masked from then on."""

    def __init__(self, run: RunHandle, secret: Callable[[str], str], state: PipelineState) -> None:
        self.run, self.state = run, state
        self._secret = secret

    def resolve(self, value: Any, local: Mapping[str, Any] | None = None) -> Any:
        """The same with every reference in any text of nested lists and mappings replaced; the argument stays as it is.

        A text that is one reference becomes the value with its type; within a longer text numbers and booleans are written as in
        JSON, lists and mappings as JSON. `local` holds what is known here alone: a loop's item and `index`, an `error`.
        Raises StepError for a reference to nothing that has no fallback.
        """
        if isinstance(value, str):
            return self._text(value, local or {}, self.absent) if "${" in value else value
        if isinstance(value, Mapping):
            return {self._key(key, local): self.resolve(inner, local) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self.resolve(inner, local) for inner in value]
        return value

    def look_up(self, text: str, local: Mapping[str, Any] | None = None, missing: Any = None) -> Any:
        """The value of one text, or `missing` where a reference in it leads to nothing and has no fallback."""

        def give_up(_: Reference, why: str) -> Any:
            raise Absent(why)

        try:
            return self._text(text, local or {}, give_up)
        except Absent:
            return missing

    def _key(self, key: Any, local: Mapping[str, Any] | None) -> Any:
        return str(self.resolve(key, local)) if isinstance(key, str) and "${" in key else key

    def _text(self, text: str, local: Mapping[str, Any], absent: Callable[[Reference, str], Any]) -> Any:
        try:
            parts = parse(text)
        except MalformedReferenceError as error:
            raise StepError(f"'{text}': {error}") from None
        if len(parts) == 1 and isinstance(parts[0], Reference):
            return self._value(parts[0], local, absent)
        return "".join(part if isinstance(part, str) else self._written(part, local, absent) for part in parts)

    def _written(self, reference: Reference, local: Mapping[str, Any], absent: Callable[[Reference, str], Any]) -> str:
        value = self._value(reference, local, absent)
        if value is None:
            value = absent(reference, f"{reference} is empty")
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)

    def _value(self, reference: Reference, local: Mapping[str, Any], absent: Callable[[Reference, str], Any]) -> Any:
        try:
            value = self.found(reference, local)
        except Absent as nothing:
            return reference.default if reference.default is not None else absent(reference, str(nothing))
        return reference.default if value is None and reference.default is not None else value

    def remember(self, pipeline: Pipeline) -> None:
        """Fetch every secret that the pipeline names: this process masks also those that steps in another one have used."""
        for name in secret_names(pipeline):
            self._secret_value(name)

    def masked(self, value: Any) -> Any:
        """The same with every secret in any text hidden: for messages that tell a value cut to some length."""
        if isinstance(value, str):
            return self.run.mask(value)
        if isinstance(value, Mapping):
            return {key: self.masked(inner) for key, inner in value.items()}
        return [self.masked(inner) for inner in value] if isinstance(value, list | tuple) else value

    def absent(self, reference: Reference, why: str) -> Any:
        """What stands for a value that is not there and has no fallback. Raises StepError."""
        raise MissingValueError(f"${{{reference}}}: {why} (a fallback would be ${{{reference}|…}})")

    def found(self, reference: Reference, local: Mapping[str, Any]) -> Any:
        """What one reference leads to. Raises Absent."""
        root, path = reference.root, reference.path
        if root == SECRET:
            return self._secret_value(str(path[0]))
        if root == "steps" and path:
            return self._below(self._step(str(path[0]), local), f"steps.{path[0]}", path[1:])
        if root == "env" and path:
            return self._below(self._variable(str(path[0])), f"env.{path[0]}", path[1:])
        return self._below(self._root(root, local), root, path)

    def _root(self, root: str, local: Mapping[str, Any]) -> Any:
        if root in local:
            return local[root]
        match root:
            case "args":
                return self.run.args
            case "run":
                return run_fields(self.run)
            case "previous":
                return self.state.previous
            case "vars":
                return self.state.variables
        raise Absent(f"'{root}' is not known here")

    def _step(self, name: str, local: Mapping[str, Any]) -> dict[str, Any]:
        """`{output, status, error}` of a step that has been: the nearest one of that name."""
        outputs = {**self.state.outputs, **local.get("steps", {})}
        nearest = local.get("records", {}).get(name)  # of steps beside this one, within another
        record: dict[str, Any] = nearest or next((r for r in reversed(self.state.steps) if r.get("name") == name), {})
        if name not in outputs and not record:
            raise Absent(f"the step '{name}' has not run")
        error = record.get("error")
        if isinstance(error, str):  # a step's record has it in one line
            kind, _, message = error.partition(": ")
            error = {"type": kind, "message": message}
        return {"output": outputs.get(name), "status": record.get("status", "completed"), "error": error}

    def _variable(self, name: str) -> str:
        value = os.environ.get(name)
        if value is None:
            raise Absent(f"there is no environment variable {name}")
        if _SECRET_VARIABLE.search(name):
            self.run.add_secret(value)
        return value

    def _secret_value(self, name: str) -> str:
        value = self._secret(name)
        for text in (value, *_texts_within(value)):
            self.run.add_secret(text)
        return value

    def _below(self, value: Any, root: str, path: tuple[str | int, ...]) -> Any:
        for depth, key in enumerate(path):
            place = path_text(root, path[:depth])
            if isinstance(key, int) and isinstance(value, list | tuple):
                if not -len(value) <= key < len(value):
                    raise Absent(f"{place} has {len(value)} entries")
                value = value[key]
            elif isinstance(key, str) and isinstance(value, Mapping):
                if key not in value:
                    raise Absent(f"{place} has no '{key}', but {', '.join(map(str, value)) or 'nothing'}")
                value = value[key]
            elif value is None:
                raise Absent(f"{place} is empty")
            else:
                raise Absent(f"{place} is {_kind(value)} and has no {f'[{key}]' if isinstance(key, int) else repr(key)}")
        return value


def run_fields(run: RunHandle) -> dict[str, Any]:
    """What `run` offers. Date (2026-01-31) and time (235959), in UTC, are of the instant that the run is for: the same in every
    attempt, and in a step that runs after midnight."""
    instant = run.fire_at or run.created_at
    when = datetime.fromtimestamp(instant / 1000, UTC)
    values = {
        "id": run.id,
        "task_id": run.task_id,
        "attempt": run.attempt,
        "date": f"{when:%Y-%m-%d}",
        "time": f"{when:%H%M%S}",
        "workspace": str(run.workspace),
        "trigger": run.trigger,
        "fire_at": iso(instant),
    }
    return {name: values[name] for name in RUN_FIELDS}


def secret_names(pipeline: Pipeline) -> list[str]:
    """The secrets that a pipeline refers to."""
    texts = [text for _, text in texts_in(pipeline.model_dump())]
    return list(dict.fromkeys(str(r.path[0]) for text in texts for r in references_of(text) if r.root == SECRET))


def _texts_within(secret: str) -> Iterator[str]:
    """The texts of a secret that is a JSON object: who is given all of it will use them one by one."""
    if not secret.lstrip().startswith("{"):
        return
    try:
        pending = [json.loads(secret)]
    except ValueError:
        return
    while pending:
        value = pending.pop()
        if isinstance(value, str) and len(value) >= SHORTEST_PART:
            yield value
        elif isinstance(value, dict | list):
            pending += value.values() if isinstance(value, dict) else value


def _kind(value: Any) -> str:
    if isinstance(value, str):
        return "text"
    if isinstance(value, Mapping):
        return "a mapping"
    return "a list" if isinstance(value, list | tuple) else "a single value"
