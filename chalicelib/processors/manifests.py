"""Lists of checksums as `sha256sum` and its kin write and check them: `HEX  NAME`, one file a line."""

from __future__ import annotations

import re

from chalicelib.domain.errors import StepError

MOST_BYTES = 100_000_000
_LINE = re.compile(r"(\\?)([0-9a-fA-F]{8,128}) [ *](.+)")
_ESCAPES = {"\\\\": "\\", "\\n": "\n", "\\r": "\r"}


def manifest_text(checksums: dict[str, str]) -> str:
    """Name -> hexadecimal checksum, as a file's content. A line with a name that needs escapes begins with a backslash."""
    lines = []
    for name, checksum in checksums.items():
        escaped = name.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
        mark = "\\" if escaped != name else ""
        lines.append(f"{mark}{checksum}  {escaped}\n")
    return "".join(lines)


def read_manifest(text: str, source: str) -> dict[str, str]:
    """What manifest_text wrote. StepError names the line that is none."""
    found = {}
    for number, line in enumerate(text.removesuffix("\n").split("\n"), 1):
        if not line.strip() or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line.removesuffix("\r"))
        if match is None:
            raise StepError(f"line {number} of {source} is no checksum and name, like 9f86d081…  data/a.csv")
        escaped, checksum, name = match.groups()
        if escaped:
            name = re.sub(r"\\[\\nr]", lambda found: _ESCAPES[found[0]], name)
        found[name.removeprefix("./")] = checksum.lower()
    return found
