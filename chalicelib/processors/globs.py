"""Patterns of file names: `*`, `?` and `[abc]` within one part of a path, `**` for any number of parts."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase

WILD = re.compile(r"[*?\[]")


def matches(name: str, pattern: str) -> bool:
    """Whether a name with / matches the whole pattern. `**/*.log` is every log at any depth, `**` everything."""
    wanted = [part for part in pattern.split("/") if part not in ("", ".")]
    reached = _with_nothing({0}, wanted)  # how many parts of the pattern the name's parts so far can have used up
    for part in name.split("/"):
        further = set()
        for index in reached:
            if index < len(wanted) and wanted[index] == "**":
                further.add(index)
            elif index < len(wanted) and fnmatchcase(part, wanted[index]):
                further.add(index + 1)
        reached = _with_nothing(further, wanted)
    return len(wanted) in reached


def _with_nothing(reached: set[int], wanted: list[str]) -> set[int]:
    """The same, and where one gets when each `**` stands for no part at all."""
    found = set(reached)
    for index in sorted(reached):
        while index < len(wanted) and wanted[index] == "**":
            index += 1
            found.add(index)
    return found


def matches_any(name: str, patterns: Iterable[str]) -> bool:
    """Whether a name matches one of the patterns; one without / may also match the last part of the name alone."""
    last = name.rsplit("/", 1)[-1]
    return any(matches(name, pattern) or ("/" not in pattern and matches(last, pattern)) for pattern in patterns)


def literal_start(pattern: str) -> str:
    """What every match begins with."""
    wild = WILD.search(pattern)
    return pattern[: wild.start()] if wild else pattern
