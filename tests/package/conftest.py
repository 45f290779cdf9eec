"""The packaged project, and the stack that runs its functions out of the zips."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.package.build import ROOT, Package, build
from tests.stack.conftest import Door
from tests.support.calls import RecordedStack

PROBE = Path(__file__).parent / "probe"


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Package:
    return build(tmp_path_factory.mktemp("package"))


@pytest.fixture(scope="session")
def notes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the preloaded probe writes."""
    return tmp_path_factory.mktemp("notes") / "imports"


@pytest.fixture(scope="session")
def packaged(package: Package, notes: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """The product, each function of which finds its code, the layer and Lambda's own packages, and nothing else."""
    shutil.copytree(ROOT / ".chalice", package.code / ".chalice", ignore=shutil.ignore_patterns("deploy*", "venv"))
    site = [package.layer, package.runtime, PROBE]
    stack = RecordedStack(
        package.code,
        data_dir=tmp_path_factory.mktemp("data"),
        template=ROOT / "infra" / "resources.yaml",
        env={"NOTED_IMPORTS": str(notes)},
        site=site,
        preload="noted_imports",
    )
    with stack:
        door = Door(stack)
        with door.http:
            yield door
