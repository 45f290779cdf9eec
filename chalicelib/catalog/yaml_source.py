"""YAML with the line of every key and value: what an error needs to name its place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from chalicelib.catalog.faults import Fault, Origin, key_text
from chalicelib.catalog.faults import Path as KeyPath
from chalicelib.domain.errors import Problem

# CSafeLoader composes ten times faster; the wheel of PyYAML has it, a build from source may not.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_TEXT_TAGS = ("tag:yaml.org,2002:timestamp",)
_NUMBER_TAGS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")


@dataclass(frozen=True)
class Document:
    """The content of one YAML document and where each part of it stands."""

    data: Any
    origin: Origin


def read_documents(path: Path, file: str) -> tuple[list[Document], list[Problem]]:
    """Every document of a file (`file`: its name in problems) as JSON has it, and what makes it unreadable."""
    try:
        text = path.read_text(encoding="utf-8")
        nodes = [node for node in yaml.compose_all(text, Loader=_Loader) if node is not None]
    except UnicodeDecodeError as error:
        return [], [Problem(file, None, "encoding", f"is not UTF-8: {error.reason} at byte {error.start}")]
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        message = " ".join(part for part in (error.context, error.problem) if part)
        return [], [Problem(file, mark.line + 1 if mark else None, "syntax", f"is not YAML: {message}")]
    except yaml.YAMLError as error:
        return [], [Problem(file, None, "syntax", f"is not YAML: {' '.join(str(error).split())}")]
    documents, problems = [], []
    for node in nodes:
        reader = _Reader(file)
        data = reader.read(node, ())
        documents.append(Document(data, Origin(file, "", node.start_mark.line + 1, reader.lines)))
        problems += reader.problems
    return documents, problems


class _Reader:
    """From a node graph to plain data. Keys are texts as they are written (`on` stays `on`), dates stay texts."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.lines: dict[KeyPath, int] = {}
        self.problems: list[Problem] = []
        self.scalars = yaml.constructor.SafeConstructor()
        self.open: set[int] = set()  # ids of the nodes around the one at hand

    def read(self, node: yaml.Node, path: KeyPath) -> Any:
        self.lines.setdefault(path, node.start_mark.line + 1)
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        if id(node) in self.open:
            self._refuse(node, path, "contains itself", "an alias cannot stand within its anchor")
            return None
        self.open.add(id(node))
        try:
            if isinstance(node, yaml.SequenceNode):
                return [self.read(child, (*path, index)) for index, child in enumerate(node.value)]
            assert isinstance(node, yaml.MappingNode)
            return self._mapping(node, path)
        finally:
            self.open.discard(id(node))

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        result: dict[str, Any] = {}
        first: dict[str, int] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self._refuse(key_node, path, "a key is a text", "write it as name: value")
                continue
            if key_node.tag == "tag:yaml.org,2002:merge":
                for merged in self._merged(value_node, path):
                    result = {**merged, **result}
                continue
            key, line = str(key_node.value), key_node.start_mark.line + 1
            if key in first:
                message = f"the key '{key}' stands here twice, first in line {first[key]}"
                self._refuse(key_node, (*path, key), message, "keep one of them")
                continue
            first[key] = line
            self.lines[(*path, key)] = line
            result[key] = self.read(value_node, (*path, key))
        return result

    def _merged(self, node: yaml.Node, path: KeyPath) -> Iterator[dict[str, Any]]:
        """What `<<: *base` brings in: a mapping, or a list of them, of which the first wins."""
        for source in node.value if isinstance(node, yaml.SequenceNode) else [node]:
            value = self.read(source, path)
            if isinstance(value, dict):
                yield value
            else:
                self._refuse(source, (*path, "<<"), "merges something that is no mapping")

    def _scalar(self, node: yaml.ScalarNode, path: KeyPath) -> Any:
        # 12:30 would be 750 and 2026-01-31 a date object in YAML 1.1; who writes them means the text.
        if node.tag in _TEXT_TAGS or (node.tag in _NUMBER_TAGS and ":" in node.value):
            return str(node.value)
        try:
            value = self.scalars.construct_object(node)
        except (yaml.YAMLError, ValueError) as error:
            self._refuse(node, path, f"cannot be read: {getattr(error, 'problem', None) or error}")
            return str(node.value)
        if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
            self._refuse(node, path, f"{node.value} is not a number that JSON has")
            return str(node.value)
        return value.decode("latin-1") if isinstance(value, bytes) else value

    def _refuse(self, node: yaml.Node, path: KeyPath, message: str, hint: str = "") -> None:
        fault = Fault(path, message, hint)
        key = key_text("", path) or "document"
        self.problems.append(Problem(self.file, node.start_mark.line + 1, key, fault.message, fault.hint))
