"""What is deployed: little, and nothing that does not belong there."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from chalicelib.web.static_files import KINDS
from tests.package.build import RUNTIME, Package, copy_project, package_project

MOST_BYTES = 15 * 1024 * 1024
LIBRARIES = {"htmx.min.js", "xterm.css", "xterm.mjs", "addon-fit.mjs", "addon-search.mjs"}


def names(package: Package) -> list[str]:
    return zipfile.ZipFile(package.code_zip).namelist()


def test_code_and_layer_are_small(package: Package) -> None:
    sizes = {path.name: path.stat().st_size for path in (package.code_zip, package.layer_zip)}
    print(sizes)
    assert sum(sizes.values()) < MOST_BYTES
    assert sizes["deployment.zip"] < MOST_BYTES / 10  # which is uploaded with each deploy; the layer with new requirements only


def test_code_is_the_app_and_nothing_around_it(package: Package) -> None:
    assert {name.partition("/")[0] for name in names(package)} == {"app.py", "chalice", "chalicelib"}
    assert [name for name in names(package) if "__pycache__" in name or "node_modules" in name or "/tests/" in name] == []
    assert "chalicelib/catalog.json" in names(package)


def test_pages_find_their_browser_libraries(package: Package) -> None:
    vendor = {name.rpartition("/")[2] for name in names(package) if name.startswith("chalicelib/web/static/vendor/")}
    assert vendor == LIBRARIES
    assert {f".{name.rpartition('.')[2]}" for name in vendor} <= set(KINDS)


def test_layer_has_nothing_that_lambda_has(package: Package) -> None:
    brought = {path.name for path in package.layer.iterdir()}
    # What powertools and the driver of PostgreSQL depend on, in versions of their own choice.
    assert brought & set(RUNTIME) <= {"jmespath", "dateutil", "six.py", "six"}
    assert "pydantic" in brought


@pytest.mark.proof
def test_one_setting_makes_it_arm(tmp_path: Path) -> None:
    project = copy_project(tmp_path / "project")
    path = project / ".chalice" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"lambda_architecture": "arm64"}))
    package_project(project, tmp_path / "out")
    compiled = [name for name in zipfile.ZipFile(tmp_path / "out" / "layer-deployment.zip").namelist() if name.endswith(".so")]
    assert any("aarch64" in name for name in compiled)
    assert not any("x86_64" in name for name in compiled)
    resources = json.loads((tmp_path / "out" / "sam.json").read_text())["Resources"].values()
    assert {tuple(r["Properties"]["Architectures"]) for r in resources if r["Type"] == "AWS::Serverless::Function"} == {("arm64",)}
