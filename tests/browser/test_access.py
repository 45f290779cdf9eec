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
    for path in ("/admin/task", "/admin/task?q=nothing", "/admin/task/count_words", "/admin/task/wipe", "/admin/task/third",
                 "/admin/runs", "/admin/schedule", "/admin/schedule?task=wipe", "/admin/stats", "/admin/stats?task=wipe",
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


def test_without_scripts_schedule_and_statistics_are_read_and_filtered(new_page: Callable[..., Any], door: Door) -> None:
    door.done("three_steps")
    page = new_page(java_script_enabled=False)
    page.get_by_role("link", name="Schedule").click()
    page.get_by_role("link", name="The week after").click()
    expect(page.get_by_role("link", name="Three steps").first).to_be_visible()
    page.get_by_label("Task").select_option("four_times")
    page.get_by_role("button", name="Filter").click()
    expect(page.get_by_text("Nothing fires in this week")).to_be_visible()  # it is switched off
    page.get_by_role("link", name="Stats").click()
    page.get_by_label("Time", exact=True).select_option("30")
    page.get_by_role("button", name="Filter").click()
    page.get_by_text("The numbers").click()
    expect(page.get_by_role("region", name="Numbers by day").get_by_role("row")).to_have_count(31)
    page.get_by_role("link", name="Three steps").first.click()
    expect(page.get_by_label("Task").locator("option:checked")).to_have_text("Three steps")


def test_nothing_moves_for_those_who_do_not_want_it(new_page: Callable[..., Any], door: Door) -> None:
    run_id = door.start("talk", lines=400, pause=0.1)["run_id"]
    page = new_page(reduced_motion="reduce")
    page.goto(f"/admin/run/{run_id}")
    expect(page.locator("[data-connection-text]")).to_have_text("live")
    expect(page.locator("#summary .status.running").first).to_be_visible()
    moving = "() => document.getAnimations().length + [...document.querySelectorAll('*')].filter(e => getComputedStyle(e).animationName !== 'none').length"
    assert page.evaluate(moving) == 0
    door.stop(run_id)


def test_theme_is_kept_by_choice(page: Any) -> None:
    page.get_by_role("button", name="Change between light and dark").click()
    page.reload()
    assert page.locator("html").get_attribute("data-theme") == "dark"


def test_no_page_is_wider_than_a_phone(new_page: Callable[..., Any], door: Door) -> None:
    run_id = door.done("hostile")["id"]
    page = new_page()
    page.set_viewport_size({"width": 375, "height": 800})
    wide = {}
    for path in ("/admin/task", "/admin/task/count_words", "/admin/task/hostile", "/admin/task/third", "/admin/runs",
                 f"/admin/run/{run_id}", "/admin/schedule", "/admin/schedule?day=2026-01-31", "/admin/stats"):  # fmt: skip
        page.goto(path)
        if page.evaluate("document.documentElement.scrollWidth") > 375:
            wide[path] = page.evaluate(BEYOND)
    assert wide == {}
