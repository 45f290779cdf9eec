"""A processor of this project's own, used in housekeeping.yaml."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from chalicelib import Run, processor
from chalicelib.processors.base import Processor
from chalicelib.processors.paths import Location, destination_of, find

_PATTERNS = {
    "email": re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"),
    "ip": re.compile(r"\b(?:\d{1,3}\.){3}\d{1,3}\b"),
    "token": re.compile(r"\b[A-Za-z0-9_-]{32,}\b"),
}


@processor("redact")
class Redact(Processor):
    """Blacks out e-mail addresses, IP addresses and tokens in copies of text files."""

    source: Location = Field(description="A file, folder or glob of text files")
    kinds: list[Literal["email", "ip", "token"]] = Field(["email", "ip"], min_length=1, description="What to black out")
    destination: Location = Field("./redacted", description="Folder of the copies")

    def __call__(self, run: Run) -> dict[str, Any]:
        """Output: path (the folder), files, found (how many of each kind)."""
        entries = find(run, self.source).entries
        folder = Path(str(destination_of(run, self.destination)))
        found = dict.fromkeys(self.kinds, 0)
        for number, entry in enumerate(entries, 1):
            text = entry.path.read_text(encoding="utf-8", errors="replace")
            for kind in self.kinds:
                text, count = _PATTERNS[kind].subn(f"[{kind}]", text)
                found[kind] += count
            target = folder / entry.name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
            run.progress(number / len(entries), entry.name)
        run.log("blacked out " + ", ".join(f"{count} x {kind}" for kind, count in found.items()))
        return {"path": str(folder), "files": len(entries), "found": found}
