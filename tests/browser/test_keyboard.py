"""Everything by keyboard alone: no mouse, no script that sets a value."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.browser.test_journey import expect
from tests.stack.conftest import Door


def focused(page: Any) -> str:
    """What has the focus, in words."""
    return str(
        page.evaluate(
            "() => { const e = document.activeElement; return (e.getAttribute('aria-label') || e.labels?.[0]?.innerText || e.innerText || e.id || e.tagName).trim() }"
        )
    )


def tab_to(page: Any, words: str, most: int = 40, back: bool = False) -> None:
    """Press Tab until something with these words has the focus."""
    seen = []
    for _ in range(most):
        page.keyboard.press("Shift+Tab" if back else "Tab")
        seen.append(focused(page))
        if words.lower() in seen[-1].lower():
            return
    pytest.fail(f"Tab does not come to '{words}', only to {seen}")


def test_a_dangerous_task_is_found_confirmed_and_started(page: Any, door: Door) -> None:
    press = page.keyboard.press
    press("/")
    page.keyboard.type("shelf")
    expect(page.locator("tr[data-row]")).to_have_count(1)
    press("Enter")
    press("Enter")
    expect(page.get_by_role("heading", name="Wipe the shelf")).to_be_visible()
    page.wait_for_load_state()  # before its scripts are there, the browser's own words appear instead
    press("s")
    assert "Type wipe to confirm" in focused(page)
    press("Enter")
    expect(page.locator("#confirm-hint .error")).to_contain_text("Type wipe to confirm")
    assert "Type wipe to confirm" in focused(page), "one is where the fault is"
    page.keyboard.type("wipe")
    tab_to(page, "Run and wait")
    press("Enter")
    expect(page.locator("#result")).to_contain_text("wiped")


def test_a_run_is_started_with_its_form_followed_stopped_and_exported(page: Any, door: Door) -> None:
    press = page.keyboard.press
    page.goto("/admin/task/talk")
    press("s")
    assert "Lines" in focused(page)
    press("ControlOrMeta+a")
    page.keyboard.type("2000")
    press("Tab")
    press("ControlOrMeta+a")
    page.keyboard.type("0.05")
    press("Enter")
    expect(page.locator("[data-connection-text]")).to_have_text("live")
    expect(page.locator("[data-lines]")).to_contain_text(re.compile(r"\d lines"))
    tab_to(page, "Stop")
    press("Enter")
    expect(page.locator("#summary .status").first).to_have_text("stopped")
    tab_to(page, "Find in the output")
    page.keyboard.type("line 2")
    tab_to(page, "Download the output")
    press("Enter")
    tab_to(page, "asciicast")
    with page.expect_download() as download:
        press("Enter")
    head, *rows = download.value.path().read_text().splitlines()
    assert json.loads(head)["version"] == 2
    assert json.loads(rows[0])[1:] == ["o", "line 1\r\n"]


def test_the_focus_stays_on_a_button_while_the_page_renews_itself(page: Any, door: Door) -> None:
    answer = door.http.patch("/task/talk", json={"max_concurrent": 1})
    assert answer.status_code == 200, answer.text
    first, second = (door.start("talk", lines=600, pause=0.05)["run_id"] for _ in range(2))
    door.wait(first, "running")
    page.goto(f"/admin/run/{second}")
    expect(page.locator("#summary .status").first).to_have_text("queued")
    tab_to(page, "Stop")
    page.evaluate("document.getElementById('summary').dataset.old = 'yes'")
    door.stop(first)
    expect(page.locator("#summary .status").first).to_have_text("running")
    expect(page.locator("#summary[data-old]")).to_have_count(0)
    assert focused(page) == "Stop"
    page.keyboard.press("Enter")
    expect(page.locator("#summary .status").first).to_have_text("stopped")
    door.http.patch("/task/talk", json={"max_concurrent": None})


def test_keys_lead_everywhere_and_help_lists_them(page: Any) -> None:
    press = page.keyboard.press
    press("?")
    expect(page.get_by_role("dialog")).to_contain_text("go to the statistics")
    press("Escape")
    expect(page.get_by_role("dialog")).not_to_be_visible()
    for keys, heading in (("gs", "Statistics"), ("gr", "Runs"), ("gt", "Tasks"), ("gd", None)):
        for key in keys:
            press(key)
        if heading:
            expect(page.get_by_role("heading", name=heading, level=1)).to_be_visible()
    heading = page.get_by_role("heading", level=1)
    expect(heading).to_contain_text("–")
    week = heading.inner_text()
    press("]")
    expect(heading).not_to_have_text(week)
    later = heading.inner_text()
    press("[")
    expect(heading).to_have_text(week)
    press("]")
    expect(heading).to_have_text(later)
    tab_to(page, "Three steps", most=80)
    press("Enter")
    expect(page.get_by_role("heading", name="Three steps").first).to_be_visible()
