"""The documentation says what the code does: nothing undocumented, nothing stale, no dead link, no snippet that does not compile."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import get_args

import pytest
import yaml

from chalicelib.api.routes import ROUTES
from chalicelib.domain.model import Parameter, Task, Window
from chalicelib.domain.run import EventType
from chalicelib.settings import _WIRING, SETTINGS
from chalicelib.web.routes import PAGES

ROOT = Path(__file__).parents[2]
DOCS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
REFERENCE = ROOT / "docs" / "reference"
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def reference(name: str) -> str:
    return (REFERENCE / name).read_text(encoding="utf-8")


def prose(path: Path) -> str:
    """A page without its code."""
    return BLOCK.sub("", path.read_text(encoding="utf-8"))


def anchors(path: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in HEADING.findall(prose(path))}


def test_generated_parts_are_not_stale() -> None:
    result = subprocess.run([sys.executable, "scripts/docs.py", "--check"], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("setting", SETTINGS)
def test_setting_is_documented(setting: str) -> None:
    assert f"`{setting}`" in reference("settings.md")
    assert f"`{SETTINGS[setting][0]}`" in reference("settings.md")


@pytest.mark.parametrize("name", _WIRING)
def test_wiring_is_documented(name: str) -> None:
    assert f"`NIGHTSHIFT_{name.upper()}`" in reference("settings.md")


@pytest.mark.parametrize("route", [*ROUTES, *PAGES], ids=lambda route: f"{route.method} {route.path}")
def test_route_is_documented(route: object) -> None:
    assert f"| `{route.method} {route.path}` |" in reference("routes.md")  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", get_args(EventType))
def test_event_is_documented(kind: str) -> None:
    assert f"\n| `{kind}` |" in reference("routes.md")


@pytest.mark.parametrize("action", re.findall(r'action == "(\w+)"', (ROOT / "chalicelib/web/door.py").read_text()))
def test_websocket_message_is_documented(action: str) -> None:
    assert f'"action": "{action}"' in reference("routes.md")


def test_shipped_processors_are_documented() -> None:
    folder = ROOT / "chalicelib" / "processors"
    shipped = {
        name for path in folder.glob("*.py") for name in re.findall(r'^@processor\("(\w+)"\)', path.read_text(), re.MULTILINE)
    }
    assert shipped
    assert shipped == set(re.findall(r"^### `(\w+)`$", reference("processors.md"), re.MULTILINE))


def test_commands_are_documented() -> None:
    import typer.main

    from chalicelib.cli.app import app

    commands = set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
    assert commands == set(re.findall(r"^### `nightshift (\w+)", reference("cli.md"), re.MULTILINE))


@pytest.mark.parametrize("model", [Task, Parameter, Window])
def test_key_is_documented_with_what_it_is(model: type[Task]) -> None:
    silent = [name for name, field in model.model_fields.items() if not field.description]
    assert silent == []
    keys = {field.alias or name for name, field in model.model_fields.items()}
    assert {key for key in keys if f"\n| `{key}` |" not in reference("task.md")} == set()


@pytest.mark.parametrize("path", DOCS, ids=name_of)
def test_links_lead_somewhere(path: Path) -> None:
    dead = []
    for target in LINK.findall(prose(path)):
        if target.startswith(("http://", "https://")):
            continue
        place, _, anchor = target.partition("#")
        found = (path.parent / place).resolve() if place else path
        missing = not found.exists()
        if missing or (anchor and found.suffix == ".md" and anchor not in anchors(found)):
            dead.append(target)
    assert dead == []


def test_every_page_can_be_reached_from_the_readme() -> None:
    seen: set[Path] = set()
    pending = [ROOT / "README.md"]
    while pending:
        page = pending.pop()
        if page in seen or page.suffix != ".md" or not page.exists():
            continue
        seen.add(page)
        links = (target.partition("#")[0] for target in LINK.findall(prose(page)) if not target.startswith("http"))
        pending += [(page.parent / link).resolve() for link in links if link]
    assert {name_of(path) for path in DOCS} - {name_of(path) for path in seen} == set()


@pytest.mark.parametrize("path", sorted((ROOT / "docs" / "images").glob("*.svg")), ids=name_of)
def test_picture_is_well_formed_and_says_what_it_shows(path: Path) -> None:
    root = ElementTree.parse(path).getroot()
    assert root.find("{http://www.w3.org/2000/svg}title") is not None


def is_definition(kind: str, text: str) -> bool:
    """Whether a block of a page belongs into chalicelib/tasks; other Python is marked `py`."""
    return kind == "python" or (kind == "yaml" and bool({"task", "tasks", "pipelines"} & set(yaml.safe_load(text))))


def with_definitions(path: Path) -> bool:
    return any(is_definition(kind, text) for kind, text in BLOCK.findall(path.read_text()))


@pytest.mark.parametrize("path", [path for path in DOCS if with_definitions(path)], ids=name_of)
def test_definitions_of_a_page_compile_into_a_catalog(path: Path, tmp_path: Path) -> None:
    tasks = tmp_path / "chalicelib" / "tasks"
    tasks.mkdir(parents=True)
    for entry in (ROOT / "chalicelib").iterdir():
        if entry.name not in ("tasks", "catalog.json", "__pycache__"):
            (tmp_path / "chalicelib" / entry.name).symlink_to(entry)
    (tasks / "__init__.py").touch()
    for number, (kind, text) in enumerate(BLOCK.findall(path.read_text(encoding="utf-8"))):
        if is_definition(kind, text):
            (tasks / f"block_{number}.{'py' if kind == 'python' else 'yaml'}").write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "chalicelib.cli", "validate"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "all valid" in result.stdout


@pytest.mark.parametrize("path", DOCS, ids=name_of)
def test_python_and_yaml_of_a_page_can_be_parsed(path: Path) -> None:
    for kind, text in BLOCK.findall(path.read_text(encoding="utf-8")):
        if kind in ("python", "py"):
            compile(text, name_of(path), "exec")
        elif kind == "yaml":
            yaml.safe_load(text)


def test_decisions_are_numbered_and_say_context_decision_consequences() -> None:
    pages = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    assert [int(page.name[:4]) for page in pages] == list(range(1, len(pages) + 1))
    for page in pages:
        headings = HEADING.findall(page.read_text(encoding="utf-8"))
        assert headings[1:] == ["Context", "Decision", "Consequences"], page.name


def test_changelog_begins_with_what_is_not_released_or_this_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    first = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)[0]
    assert first == "Unreleased" or first.startswith(version)
