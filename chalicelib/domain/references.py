"""References in texts of a pipeline: `${args.day}`, `${steps.dump.output.path}`, `${secret:db}`. Only parsed, nothing is run.

${ROOT.key[0]["any key"]|fallback}     a value by its path; the fallback is literal text, for one that is not there
${secret:NAME}  ${secret:NAME#KEY}  ${secret:ssm:/PATH}
$${                                    a literal ${
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

SECRET = "secret"
ROOTS = ("args", "run", "steps", "previous", "env", SECRET, "vars")
"""What is known everywhere; loops add their item and `index`, steps of on_failure `error`."""

RUN_FIELDS = ("id", "task_id", "attempt", "date", "time", "workspace", "trigger", "fire_at")
EXAMPLES = "like ${args.day}, ${steps.dump.output.path} or ${secret:db}"

_OPENING = re.compile(r"\$?\$\{")
_ROOT = re.compile(r"[^\W\d]\w*")
_KEY = re.compile(r"\.([\w/-]+)")
_INDEX = re.compile(r"\[(-?\d+)\]")
_QUOTED = re.compile(r"""\[(?:"([^"]*)"|'([^']*)')\]""")
_SECRET_NAME = re.compile(r"[\w/+=.@:-]+(?:#[^\s#|{}]+)?")


class MalformedReferenceError(ValueError):
    """A reference is written wrongly; the message says at which column of the text (from 1), and what would be right."""


@dataclass(frozen=True)
class Reference:
    """One `${…}`: its root, the path below it, and the text that holds where nothing is there. `column` counts from 1."""

    root: str
    path: tuple[str | int, ...] = ()
    default: str | None = None
    column: int = 1

    def __str__(self) -> str:
        """As it is written between the braces, without the fallback."""
        return f"{SECRET}:{self.path[0]}" if self.root == SECRET else path_text(self.root, self.path)


Part = str | Reference
Path = tuple[str | int, ...]


@lru_cache(maxsize=1024)
def parse(text: str) -> tuple[Part, ...]:
    """The literal pieces and references of a text, in order. Raises MalformedReferenceError."""
    parts: list[Part] = []
    literal, at = "", 0
    for opening in _OPENING.finditer(text):
        if opening.start() < at:
            continue  # within a reference already
        literal += text[at : opening.start()]
        if opening[0] == "$${":
            literal, at = literal + "${", opening.end()
            continue
        end = text.find("}", opening.end())
        column = opening.start() + 1
        if end < 0:
            raise _malformed(column, "'${' is never closed", f"end it with }}, {EXAMPLES}; $${{ is a literal ${{")
        if literal:
            parts.append(literal)
        parts.append(_reference(text[opening.end() : end], column))
        literal, at = "", end + 1
    literal += text[at:]
    return (*parts, literal) if literal else tuple(parts)


def texts_in(value: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Every text of nested lists and mappings, keys too, that is not final before the run, with its path."""
    if isinstance(value, str):
        if "${" in value:
            yield path, value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            if isinstance(key, str) and "${" in key:
                yield (*path, key), key
            yield from texts_in(inner, (*path, key))
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from texts_in(inner, (*path, index))


def has_reference(value: Any) -> bool:
    """Whether any text within is not final before the run, be it written rightly or not."""
    return any(True for _ in texts_in(value))


def references_of(text: str) -> list[Reference]:
    """The references of a text, in order. Raises MalformedReferenceError."""
    return [part for part in parse(text) if isinstance(part, Reference)]


def path_text(root: str, path: tuple[str | int, ...]) -> str:
    """`steps` and `("dump", "output", 0)` as `steps.dump.output[0]`."""
    text = root
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if _KEY.fullmatch(f".{part}") else f'["{part}"]'
    return text


def _reference(body: str, column: int) -> Reference:
    written, bar, fallback = body.partition("|")
    default = fallback if bar else None
    if "${" in body:
        raise _malformed(column, "a reference cannot hold another one", "set a variable first, and use that")
    root = _ROOT.match(written)
    if root is None:
        what = "'${}' names nothing" if not written.strip() else f"'${{{body}}}' does not begin with a name"
        raise _malformed(column, what, EXAMPLES)
    if written[root.end() :].startswith(":"):
        return _secret(root[0], written[root.end() + 1 :], default, column)
    return Reference(root[0], _path(written, root.end(), column), default, column)


def _secret(root: str, name: str, default: str | None, column: int) -> Reference:
    if root != SECRET:
        raise _malformed(column, f"'{root}:' is no kind of reference", "only secrets have a colon, like ${secret:db#password}")
    if not name:
        raise _malformed(column, "the secret has no name", "like ${secret:db}, ${secret:db#password} or ${secret:ssm:/app/key}")
    if not _SECRET_NAME.fullmatch(name):
        raise _malformed(
            column, f"'{name}' cannot be the name of a secret", "letters, digits and /_+=.@- ; a key of its JSON goes behind #"
        )
    if name.partition("#")[0] in ("ssm:", ""):
        raise _malformed(column, "the secret has no name", "like ${secret:ssm:/app/key}")
    if default is not None:
        raise _malformed(column, "a secret has no fallback", "it would be a secret in the file; drop what is behind |")
    return Reference(SECRET, (name,), None, column)


def _path(written: str, at: int, column: int) -> tuple[str | int, ...]:
    path: list[str | int] = []
    while at < len(written):
        if found := _KEY.match(written, at):
            path.append(found[1])
        elif found := _INDEX.match(written, at):
            path.append(int(found[1]))
        elif found := _QUOTED.match(written, at):
            path.append(found[1] if found[1] is not None else found[2])
        else:
            hint = 'a path is written .key, [0] or ["any key"]'
            raise _malformed(column + 2 + at, f"'{written[at:]}' in '${{{written}}}' is not understood", hint)
        at = found.end()
    return tuple(path)


def _malformed(column: int, what: str, hint: str) -> MalformedReferenceError:
    return MalformedReferenceError(f"column {column}: {what} ({hint})")
