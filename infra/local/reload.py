"""Watches the project, says when its code has changed, and keeps a copy of the last code that was good."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

OUTPUTS = ("chalicelib/catalog.json", ".chalice/config.json")  # written by the compile step: reacting would loop
SUFFIXES = (".py", ".yaml", ".yml", ".json", ".html", ".css", ".js", ".j2", ".toml", ".svg", ".txt", ".md")


async def watch(project: Path, template: Path, changed: Callable[[set[str]], Awaitable[None]]) -> None:
    """Call `changed(paths relative to the project)` after each burst of changes, one call at a time, for ever."""
    from watchfiles import awatch

    watched = [path for path in (project / "app.py", project / "chalicelib", template) if path.exists()]
    stop = asyncio.Event()

    def relevant(_: object, name: str) -> bool:
        path = Path(name)
        if "__pycache__" in path.parts or any(name.endswith(output) for output in OUTPUTS):
            return False
        return path.suffix in SUFFIXES and not path.name.startswith(".")

    async for changes in awatch(*watched, watch_filter=relevant, debounce=300, step=50, stop_event=stop, rust_timeout=60_000):
        await changed({_relative(Path(name), project) for _, name in changes})


def keep_copy(project: Path, folder: Path) -> Path:
    """Copy the code that was just found to load; new workers run it while the project's own is broken."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shutil.copy2(project / "app.py", folder)
    if (project / "chalicelib").is_dir():
        skip = shutil.ignore_patterns("__pycache__", "node_modules", ".*")
        shutil.copytree(project / "chalicelib", folder / "chalicelib", ignore=skip)
    return folder


def _relative(path: Path, project: Path) -> str:
    return str(path.relative_to(project)) if path.is_relative_to(project) else str(path)
