"""What `upload` and `download` have in common: files put below a folder, wherever that is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chalicelib.domain.handle import RunHandle
from chalicelib.processors.describing import count_text
from chalicelib.processors.meter import size_text
from chalicelib.processors.pairing import below, without_existing
from chalicelib.processors.paths import Found
from chalicelib.processors.transfers import Extra, transfer

if TYPE_CHECKING:
    from chalicelib.processors.locations import AnyPath

_MOST_SAID = 20
_MOST_LISTED = 1000


def deliver(
    run: RunHandle, found: Found, folder: AnyPath, *, existing: str, done: str, extra: Extra | None = None
) -> dict[str, Any]:
    """Put what was found below the folder, and say so (`done`: uploaded, downloaded).

    Gives path (of the one file, or the folder), files (the first 1,000 new paths), count, bytes, skipped.
    """
    pairs = below(run, found.entries, folder)
    wanted = without_existing(folder, pairs, existing)
    size = transfer(run, wanted, extra)
    for entry, target in wanted[:_MOST_SAID]:
        run.log(f"{target} ({size_text(entry.size)})")
    if len(wanted) != 1:
        run.log(f"{done} {count_text(len(wanted))} ({size_text(size)})")
    return {
        "path": str(folder if found.folder or not pairs else pairs[0][1]),
        "files": [str(target) for _, target in wanted[:_MOST_LISTED]],
        "count": len(wanted),
        "bytes": size,
        "skipped": len(pairs) - len(wanted),
    }
