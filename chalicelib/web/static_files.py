"""Scripts, styles and the browser libraries, under addresses that change with their content."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

STATIC = Path(__file__).parent / "static"
KINDS = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
}


@lru_cache(maxsize=1)
def files() -> dict[str, Path]:
    """Every static file by its name; names are flat, ours win over the libraries'."""
    found = [*(STATIC / "vendor").glob("*"), *STATIC.glob("*")]
    return {path.name: path for path in found if path.suffix in KINDS}


@lru_cache(maxsize=1)
def version() -> str:
    """One digest over all: modules import each other by plain names, so they share one versioned folder."""
    digest = hashlib.sha256()
    for name, path in sorted(files().items()):
        digest.update(name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]
