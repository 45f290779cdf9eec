"""What is wrong with a definition: pydantic's errors and our own in one shape, said so that they can be mended."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from difflib import get_close_matches
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from chalicelib.domain.errors import Problem

Path = tuple[str | int, ...]
M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True)
class Fault:
    """One wrong value of a definition: where in it, what, and what would be right.

    `final`: no value that a reference in it may get would mend it.
    """

    path: Path
    message: str
    hint: str = ""
    final: bool = False

    def under(self, *prefix: str | int) -> Fault:
        """The same, seen from further out."""
        return Fault((*prefix, *self.path), self.message, self.hint, self.final)


@dataclass(frozen=True)
class Origin:
    """Where a definition stands: its file (relative to the project), its key there, its lines by path below it."""

    file: str
    key: str
    line: int | None
    lines: Mapping[Path, int] = field(default_factory=dict)

    def problem(self, fault: Fault) -> Problem:
        """A fault with its place: the line of the nearest thing around it that has one."""
        return Problem(self.file, self.line_of(fault.path), key_text(self.key, fault.path), fault.message, fault.hint)

    def line_of(self, path: Path) -> int | None:
        """The line of a path, or of the nearest one around it."""
        for end in range(len(path), 0, -1):
            if path[:end] in self.lines:
                return self.lines[path[:end]]
        return self.line

    def at(self, *path: str | int) -> Origin:
        """The origin of a part of the definition."""
        size = len(path)
        inner = {inner[size:]: line for inner, line in self.lines.items() if inner[:size] == path}
        return Origin(self.file, key_text(self.key, path), self.line_of(path), inner)

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


def key_text(base: str, path: Path) -> str:
    """`tasks[0]` and `("parameters", 1, "type")` as `tasks[0].parameters[1].type`."""
    text = base
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that was probably meant."""
    by_lower = {name.lower(): name for name in known}
    near = get_close_matches(str(word).lower(), by_lower, 1, 0.6)
    return by_lower[near[0]] if near else None


def suggestion(word: str, known: Iterable[str]) -> str:
    """`did you mean 'schedule'?`, else what there is."""
    names = sorted(known)
    if (near := nearest(word, names)) is not None:
        return f"did you mean '{near}'?"
    return f"there are {', '.join(names)}" if names else "there are none"


def validate(model: type[M], raw: Mapping[str, Any]) -> tuple[M | None, list[Fault]]:
    """A model of a raw definition, or else every fault of it."""
    try:
        return model.model_validate(raw), []
    except ValidationError as error:
        faults: dict[Path, Fault] = {}
        for entry in error.errors(include_url=False):
            fault = _fault(dict(entry), raw, model)
            known = faults.get(fault.path)
            if known is not None and fault.message not in known.message:  # the branches of a union
                fault = Fault(fault.path, f"{known.message}, or {fault.message}", known.hint or fault.hint)
            faults[fault.path] = fault
        # What a key stands for when it is left out (a title, say) has the fault of the key that it is taken from, and no place.
        derived = () in faults and any(path and fault.message == faults[()].message for path, fault in faults.items())
        return None, [fault for path, fault in faults.items() if path or not derived]


def _fault(error: dict[str, Any], raw: Any, model: type[BaseModel]) -> Fault:
    kind, given, context = error["type"], error.get("input"), error.get("ctx", {})
    if kind == "missing":
        *around, name = error["loc"]
        path = _real(tuple(around), raw)
        return Fault((*path, name), "is missing")
    path = _real(error["loc"], raw)
    if kind == "extra_forbidden":
        return Fault(path, f"unknown key '{path[-1]}'", suggestion(str(path[-1]), _keys_beside(path, model)), final=True)
    if kind in ("literal_error", "enum"):
        return Fault(path, f"{_shown(given)} is not offered", f"one of {context.get('expected', '')}")
    if kind in ("model_type", "dict_type", "model_attributes_type"):
        return Fault(path, f"is a mapping of names and values, not {_shown(given)}")
    if kind == "refused_reference":
        return Fault(path, error["msg"], final=True)
    if kind == "value_error":
        return Fault(path, str(context.get("error", error["msg"])))
    if kind == "string_pattern_mismatch":
        return Fault(path, f"{_shown(given)} does not match {context['pattern']}")
    message = error["msg"].removeprefix("Input ")
    # YAML has more ways to write a truth or a number than one thinks of: off, yes, 012, 1_000, 2026-01-31.
    quotes = ": in quotes it is text" if kind == "string_type" and isinstance(given, bool | int | float | date) else ""
    return Fault(path, f"{message[:1].lower()}{message[1:]}, not {_shown(given)}{quotes}")


def _real(location: Path, raw: Any) -> Path:
    """A location without the names that pydantic adds for the branches of a union and the like."""
    path: list[str | int] = []
    for part in location:
        in_mapping = isinstance(raw, Mapping) and part in raw
        if in_mapping or (isinstance(raw, list) and isinstance(part, int) and 0 <= part < len(raw)):
            raw = raw[part]
            path.append(part)
    return tuple(path)


def _keys_beside(path: Path, model: type[BaseModel]) -> list[str]:
    """The keys that would have been known in the place of an unknown one."""
    import typing

    current: type[BaseModel] | None = model
    for part in path[:-1]:
        if isinstance(part, int) or current is None:
            continue
        info = next((f for name, f in current.model_fields.items() if part in (name, f.alias)), None)
        pending, current = [info.annotation if info else None], None
        while pending:
            hint = pending.pop()
            if isinstance(hint, type) and issubclass(hint, BaseModel):
                current = hint
            pending.extend(typing.get_args(hint))
    if current is None:
        return []
    return [info.alias or name for name, info in current.model_fields.items()]


def _shown(value: Any) -> str:
    text = repr(value) if not isinstance(value, bool) else str(value).lower()
    return text if len(text) <= 60 else text[:57] + "..."
