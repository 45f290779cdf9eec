"""The house rules that a machine can check."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
MAX_LINES = 300
REQUIREMENTS = ["requirements.txt", "requirements-local.txt", "requirements-dev.txt", "requirements-node.txt"]
PYTHON_FILES = sorted(path for room in ("chalicelib", "infra") for path in (ROOT / room).rglob("*.py"))
BINARY = {".gif", ".gz", ".ico", ".jar", ".jpg", ".png", ".webp", ".woff", ".woff2", ".zip"}

MACHINE_PATH = re.compile(r"(?<![\w.:/-])/(?:home|root|Users|work)/\w[\w.-]*")
REGISTRY = re.compile(r"pypi\.org/simple|pythonhosted\.org|registry\.(?:npmjs|yarnpkg)|--(?:extra-)?index[-]url")


def committed_texts() -> list[Path]:
    """Files that are committed, or would be by `git add .`; every file outside a checkout."""
    listing = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True)
    if listing.returncode:
        pytest.skip("not a git checkout")
    paths = (ROOT / name for name in listing.stdout.decode().split("\0") if name)
    return sorted(path for path in paths if path.is_file() and path.suffix not in BINARY)


def pins(name: str) -> list[Requirement]:
    """The requirements of one file, without those it includes."""
    lines = (line.split("#")[0].strip() for line in (ROOT / name).read_text().splitlines())
    return [Requirement(line) for line in lines if line and not line.startswith("-r ")]


def needed_by(requirement: Requirement) -> set[str]:
    """What the installed distribution needs here, by its own metadata."""
    needs = map(Requirement, distribution(requirement.name).requires or [])
    extras = requirement.extras or {""}
    return {
        canonicalize_name(need.name)
        for need in needs
        if not need.marker or any(need.marker.evaluate({"extra": extra}) for extra in extras)
    }


def test_imports_run_downwards() -> None:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def test_no_module_is_longer_than_a_reader_bears() -> None:
    lengths = {path.relative_to(ROOT).as_posix(): len(path.read_text().splitlines()) for path in PYTHON_FILES}
    assert {name: length for name, length in lengths.items() if length > MAX_LINES} == {}


@pytest.mark.parametrize("forbidden", [MACHINE_PATH, REGISTRY], ids=["machine paths", "registry addresses"])
def test_committed_texts_are_free_of(forbidden: re.Pattern[str]) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {match[0]}"
        for path in committed_texts()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if (match := forbidden.search(line))
    ]
    assert found == []


@pytest.mark.parametrize("name", REQUIREMENTS)
def test_requirements_are_pinned_to_one_version(name: str) -> None:
    loose = [str(pin) for pin in pins(name) if not re.fullmatch(r"==[\w.+!]+", str(pin.specifier)) or pin.url]
    assert loose == []


@pytest.mark.parametrize("name", REQUIREMENTS[:3])
def test_what_requirements_need_is_pinned_too(name: str) -> None:
    known = {"pip"}  # comes with every venv
    for file in REQUIREMENTS[: REQUIREMENTS.index(name) + 1]:
        known |= {canonicalize_name(pin.name) for pin in pins(file)}
    missing = {pin.name: sorted(needed_by(pin) - known) for pin in pins(name)}
    assert {name: needs for name, needs in missing.items() if needs} == {}


def test_installed_packages_are_those_pinned() -> None:
    wrong = {}
    for pin in (pin for name in REQUIREMENTS[:3] for pin in pins(name)):
        try:
            installed = distribution(pin.name).version
        except PackageNotFoundError:
            installed = "missing"
        if not pin.specifier.contains(installed, prereleases=True):
            wrong[str(pin)] = installed
    assert wrong == {}


def test_functions_are_not_given_what_lambda_has() -> None:
    names = {canonicalize_name(pin.name) for pin in pins("requirements.txt")}
    assert names.isdisjoint({"boto3", "botocore", "chalice"})


def test_browser_libraries_are_locked_without_addresses() -> None:
    lock = json.loads((ROOT / "package-lock.json").read_text())
    packages = {path: package for path, package in lock["packages"].items() if path and not package.get("link")}
    assert [path for path, package in packages.items() if "resolved" in package] == []
    assert [path for path, package in packages.items() if not package.get("integrity", "").startswith("sha512-")] == []
    wanted = json.loads((ROOT / "package.json").read_text())
    versions = wanted["dependencies"] | wanted["devDependencies"]
    assert {name: packages[f"node_modules/{name}"]["version"] for name in versions} == versions
