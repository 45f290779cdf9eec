"""The pages are for everybody: axe-core finds nothing, in both themes, and without scripts they still work."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.browser.test_journey import expect
from tests.stack.conftest import Door

AXE = Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js"
RULES = "() => axe.run(document, {resultTypes: ['violations']}).then(r => r.violations.map(v => v.id + ': ' + v.nodes.map(n => n.target).join(' | ')))"
# What sticks out on the right, but for what scrolls by itself.
BEYOND = """() => [...document.querySelectorAll('body *')]
    .filter(e => e.getBoundingClientRect().right > 376 && !e.closest('.scroll, .xterm'))
    .map(e => e.tagName + '.' + e.className).join(' ')"""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_no_violation(new_page: Callable[..., Any], door: Door, theme: str) -> None:
    completed, failed = door.done("three_steps")["id"], door.done("hostile_failure")["id"]
    page = new_page(color_scheme=theme, bypass_csp=True)
    wrong = {}
    for path in ("/admin/task", "/admin/task?q=nothing", "/admin/task/count_words", "/admin/task/wipe", "/admin/runs",
                 f"/admin/run/{completed}", f"/admin/run/{failed}"):  # fmt: skip
        page.goto(path)
        if "/run/" in path:
            expect(page.locator("[data-connection-text]")).to_have_text("finished")
        page.add_script_tag(path=AXE)
        found = page.evaluate(RULES)
        if found:
            wrong[path] = found
    assert wrong == {}


def test_without_scripts_the_pages_read_and_the_form_works(new_page: Callable[..., Any], tmp_path: Path) -> None:
    page = new_page(java_script_enabled=False)
    page.goto("/admin/task/count_words")
    page.get_by_label("Least").fill("0")
    page.get_by_role("button", name="Start", exact=True).click()
    expect(page.locator("#field-least-hint .error")).to_contain_text("at least 1, not 0")
    text = tmp_path / "prose.txt"
    text.write_text("a plain form carries the file itself")
    page.get_by_label("Least").fill("2")
    page.locator("#field-document").set_input_files(text)
    page.get_by_role("button", name="Run and wait").click()
    expect(page.locator("#result")).to_contain_text("carries")
    expect(page.locator(".fallback")).to_contain_text("7 words in prose.txt")


def test_theme_is_kept_by_choice(page: Any) -> None:
    page.get_by_role("button", name="Change between light and dark").click()
    page.reload()
    assert page.locator("html").get_attribute("data-theme") == "dark"


def test_no_page_is_wider_than_a_phone(new_page: Callable[..., Any], door: Door) -> None:
    run_id = door.done("hostile")["id"]
    page = new_page()
    page.set_viewport_size({"width": 375, "height": 800})
    wide = {}
    for path in ("/admin/task", "/admin/task/count_words", "/admin/task/hostile", "/admin/runs", f"/admin/run/{run_id}"):
        page.goto(path)
        if page.evaluate("document.documentElement.scrollWidth") > 375:
            wide[path] = page.evaluate(BEYOND)
    assert wide == {}
