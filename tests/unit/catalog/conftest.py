"""A project of its own for each test: files under chalicelib/tasks, compiled by the code under test."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import chalicelib
from chalicelib.catalog import decorators
from chalicelib.catalog.compile import CompileReport, compile_catalog
from chalicelib.domain.errors import DefinitionErrors, Problem
from chalicelib.domain.model import Catalog


@dataclass
class Project:
    """A folder with chalicelib/tasks."""

    root: Path

    @property
    def tasks(self) -> Path:
        return self.root / "chalicelib" / "tasks"

    def write(self, name: str, text: str) -> Path:
        """A file under chalicelib/tasks."""
        path = self.tasks / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def compile(self, write: bool = False) -> CompileReport:
        return compile_catalog(self.root, write=write)

    def catalog(self) -> Catalog:
        return self.compile().catalog

    def problems(self) -> list[Problem]:
        """What compiling complains about; nothing if it does not."""
        try:
            self.compile()
        except DefinitionErrors as error:
            return error.problems
        return []


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """An empty project; what compiling it leaves in this process is taken back."""
    project = Project(tmp_path / "project")
    project.tasks.mkdir(parents=True)
    modules = {name: module for name, module in sys.modules.items() if name.startswith("chalicelib.tasks")}
    tasks, processors, package = list(decorators.TASKS), dict(decorators.PROCESSORS), vars(chalicelib).get("tasks")
    yield project
    for name in [name for name in sys.modules if name.startswith("chalicelib.tasks")]:
        del sys.modules[name]
    sys.modules.update(modules)
    decorators.TASKS[:] = tasks
    # Shipped processors that were first imported here stay: they will not be imported again.
    for name, cls in list(decorators.PROCESSORS.items()):
        if cls.__module__.startswith("chalicelib.tasks"):
            del decorators.PROCESSORS[name]
    decorators.PROCESSORS.update(processors)
    if package is not None:
        chalicelib.tasks = package  # type: ignore[attr-defined]
    else:
        vars(chalicelib).pop("tasks", None)


@pytest.fixture
def yaml_catalog(project: Project) -> Callable[[str], Catalog]:
    """The catalog of one YAML text."""

    def compile_text(text: str) -> Catalog:
        project.write("only.yaml", text)
        return project.catalog()

    return compile_text
