"""One stack with tasks of its own, and one browser, for all tests here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.local.testing import LocalStack
from tests.browser.chromium import browser as running_browser
from tests.stack.conftest import Door, make_project

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 20.0  # that anything in a page may take on a busy machine


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    folder = tmp_path_factory.mktemp("browser")
    project = make_project(folder / "project", Path(__file__).parent / "tasks")
    env = {"NIGHTSHIFT_CATALOG": str(project / "catalog.json")}
    hook = "chalicelib.cli.project:compile_for_stack"
    template = ROOT / "infra" / "resources.yaml"
    with LocalStack(project, data_dir=folder / "data", template=template, before_load=hook, env=env) as running:
        yield running


@pytest.fixture(scope="package")
def door(stack: LocalStack) -> Door:
    """The REST API."""
    return Door(stack)


@pytest.fixture(scope="package")
def chromium() -> Iterator[Any]:
    with running_browser() as found:
        yield found


@pytest.fixture
def new_page(chromium: Any, stack: LocalStack) -> Iterator[Callable[..., Any]]:
    """Makes pages that are logged in, each in a profile of its own. What a page's console complains of fails the test."""
    contexts, complaints = [], []

    def make(**options: Any) -> Any:
        context = chromium.new_context(base_url=stack.url, viewport={"width": 1280, "height": 900}, **options)
        contexts.append(context)
        context.set_default_timeout(SECONDS * 1000)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: complaints.append(message.text) if "Content Security" in message.text else None)
        page.goto(f"/admin/task?token={stack.token}")
        return page

    yield make
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def page(new_page: Callable[..., Any]) -> Any:
    """One page."""
    return new_page()
