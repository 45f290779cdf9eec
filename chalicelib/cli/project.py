"""The project folder that commands without a server work on."""

from __future__ import annotations

from pathlib import Path

import chalicelib


def find_project(start: Path | None = None) -> Path:
    """The nearest folder from `start` (default: the working directory) upwards that has `chalicelib/tasks`.

    Outside of any project it is the one that this code stands in.
    """
    start = (start or Path.cwd()).resolve()
    for folder in (start, *start.parents):
        if (folder / "chalicelib" / "tasks").is_dir():
            return folder
    return Path(next(iter(chalicelib.__path__))).resolve().parent


def compile_for_stack() -> None:
    """Compile the project to NIGHTSHIFT_CATALOG. The local stack runs this in a fresh process before it loads the code.

    Raises DefinitionErrors or SettingsError; the stack then goes on with the code it has.
    """
    import os

    from chalicelib.catalog.compile import compile_catalog
    from chalicelib.catalog.load import catalog_path
    from chalicelib.settings import load_settings

    report = compile_catalog(find_project(), output=catalog_path())
    load_settings(report.catalog.settings, os.environ)
