"""What an operator does, from the list to the result, in a real browser."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from tests.stack.conftest import Door


def expect(locator: Any) -> Any:
    """Playwright's assertions, which wait."""
    from playwright.sync_api import expect as playwright_expect

    playwright_expect.set_options(timeout=20_000)
    return playwright_expect(locator)


def terminal_text(page: Any) -> str:
    """Everything that the terminal shows just now."""
    return str(page.locator(".xterm-rows").inner_text()).replace("\xa0", " ")


def test_login_leaves_no_token_in_the_address(page: Any) -> None:
    assert page.url.endswith("/admin/task")
    cookie = next(c for c in page.context.cookies() if c["name"] == "nightshift_token")
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Lax")
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    page.get_by_label("Login token").fill("test-token")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="Tasks")).to_be_visible()


def test_a_task_is_found_and_its_form_filled_wrongly_then_rightly(page: Any, tmp_path: Path) -> None:
    page.keyboard.press("/")
    page.keyboard.type("words")
    expect(page.locator("tr[data-row]")).to_have_count(1)
    page.wait_for_url("**/admin/task?q=words")
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Count words")).to_be_visible()

    page.get_by_label("Least").fill("99")
    page.get_by_role("button", name="Start", exact=True).click()
    expect(page.locator("#field-document-hint .error")).to_contain_text("required")
    expect(page.locator("#field-least-hint .error")).to_contain_text("at most 20, not 99")
    assert page.get_by_label("Least").input_value() == "99"

    text = tmp_path / "poem.txt"
    text.write_text("tiger tiger burning bright")
    page.get_by_label("Least").fill("4")
    page.locator("#field-document").set_input_files(text)
    page.get_by_role("button", name="Start", exact=True).click()
    expect(page.locator("#result")).to_contain_text("burning")
    expect(page.locator(".status.completed").first).to_be_visible()
    expect(page.locator(".xterm-rows")).to_contain_text("4 words in poem.txt")

    with page.expect_download() as download:
        page.get_by_role("link", name="JSON").click()
    assert json.loads(download.value.path().read_text())["result"]["words"] == 4
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    assert download.value.path().read_text().splitlines()[:2] == ["word,count", "tiger,2"]

    first = page.url
    page.get_by_role("button", name="Run again").click()
    page.wait_for_url(lambda url: url != first and "/admin/run/" in url)
    expect(page.locator("#result")).to_contain_text("burning")
    page.get_by_role("link", name="Edit and run").click()
    expect(page.locator(".kept")).to_contain_text("poem.txt")
    page.get_by_label("Language").select_option("de")
    page.get_by_role("button", name="Run and wait").click()
    expect(page.locator("#result")).to_contain_text("de")


def test_danger_is_confirmed_by_typing_the_id(page: Any, door: Door) -> None:
    page.goto("/admin/task/wipe")
    expect(page.get_by_text("Everything on the shelf goes")).to_be_visible()
    page.get_by_role("button", name="Start", exact=True).click()
    expect(page.locator("#confirm-hint .error")).to_contain_text("Type wipe to confirm")
    assert door.get("/task/wipe/runs")["runs"] == []
    page.get_by_label("Type wipe to confirm").fill("wipe")
    page.get_by_role("button", name="Run and wait").click()
    expect(page.locator("#result")).to_contain_text("wiped")


def test_a_run_is_watched_live_by_two_browsers_and_stopped(page: Any, new_page: Any, door: Door) -> None:
    run_id = door.start("talk", lines=2000, pause=0.05)["run_id"]
    other = new_page()
    for watching in (page, other):
        watching.goto(f"/admin/run/{run_id}")
        expect(watching.locator("[data-connection-text]")).to_have_text("live")
        expect(watching.locator(".xterm-rows")).to_contain_text(re.compile(r"line 1\d"))
        expect(watching.locator("[data-progress-text]")).to_contain_text("line")
    page.get_by_role("button", name="Stop").click()
    for watching in (page, other):
        expect(watching.locator("#summary .status").first).to_have_text("stopped")
        expect(watching.locator("[data-connection-text]")).to_have_text("finished")
    assert terminal_text(page) == terminal_text(other)
    assert door.run(run_id)["status"] == "stopped"


def test_a_network_cut_leaves_no_gap(page: Any, door: Door) -> None:
    run_id = door.start("talk", lines=120, pause=0.05)["run_id"]
    page.goto(f"/admin/run/{run_id}")
    expect(page.locator("[data-lines]")).to_contain_text(re.compile(r"\d\d lines"))
    page.context.set_offline(True)
    expect(page.locator("[data-connection-text]")).to_have_text("connection lost")
    page.wait_for_timeout(1500)  # meanwhile it goes on talking, which is the point
    page.context.set_offline(False)
    expect(page.locator("[data-lines]")).to_have_text("120 lines")
    expect(page.locator("#result")).to_contain_text("120")
    saved = _downloaded_text(page)
    assert saved == [f"line {n}" for n in range(1, 121)]


def test_without_websocket_the_terminal_polls(page: Any, door: Door) -> None:
    page.add_init_script("window.WebSocket = class { constructor() { setTimeout(() => this.onclose(), 5) } close() {} }")
    run_id = door.start("talk", lines=120, pause=0.05)["run_id"]
    page.goto(f"/admin/run/{run_id}")
    expect(page.locator("[data-connection-text]")).to_have_text("polling")
    expect(page.locator("[data-lines]")).to_have_text("120 lines")
    assert _downloaded_text(page) == [f"line {n}" for n in range(1, 121)]


def test_a_deep_link_opens_a_long_run_at_its_line(page: Any, door: Door) -> None:
    run_id = door.done("talk", lines=10_000)["id"]
    page.goto(f"/admin/run/{run_id}#L5000")
    expect(page.locator(".xterm-rows")).to_contain_text("line 5000")
    assert "line 4996" not in terminal_text(page)


def test_a_very_long_run_is_read_past_what_is_drawn_at_a_time(page: Any, door: Door) -> None:
    run_id = door.done("talk", lines=40_000)["id"]
    page.goto(f"/admin/run/{run_id}")
    expect(page.locator(".xterm-rows")).to_contain_text("line 40000")
    page.goto(f"/admin/run/{run_id}#L200")
    expect(page.locator(".xterm-rows")).to_contain_text("line 200")
    page.get_by_label("Find in the output").fill("line 39999")
    expect(page.locator(".xterm-rows")).to_contain_text("line 39999")
    page.get_by_role("button", name="Follow the end").click()
    expect(page.locator(".xterm-rows")).to_contain_text("line 40000")


def test_hostile_text_is_text_everywhere(page: Any, door: Door) -> None:
    runs = [door.done("hostile")["id"], door.done("hostile_failure")["id"]]
    for path in ("/admin/task", "/admin/task/hostile", "/admin/runs", f"/admin/run/{runs[0]}", f"/admin/run/{runs[1]}"):
        page.goto(path)
        expect(page.get_by_text("onerror=").first).to_be_attached()
        page.wait_for_timeout(100)
        assert page.title() != "owned", path
        assert page.locator("main img").count() == 0, path
    page.goto(f"/admin/run/{runs[0]}")
    expect(page.locator(".xterm-rows")).to_contain_text("gone?")
    assert "onerror" in terminal_text(page), "one line cannot clear another"


def test_the_list_keeps_itself_current_and_starts_in_place(page: Any) -> None:
    page.goto("/admin/task?q=three")
    page.get_by_role("button", name="Start Three steps").click()
    expect(page.get_by_text("Started.")).to_be_visible()
    expect(page.locator("tr[data-row] .status")).to_have_text("completed")
    expect(page.locator("tr[data-row] .strip path")).to_have_count(1)
    page.get_by_role("button", name="Pause Three steps").click()
    expect(page.locator("tr[data-row] .status")).to_have_text("disabled")
    page.get_by_role("button", name="Resume Three steps").click()
    expect(page.locator("tr[data-row] .status")).to_have_text("completed")


def _downloaded_text(page: Any) -> list[str]:
    page.locator(".menu summary").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Text", exact=True).click()
    return str(download.value.path().read_text()).splitlines()
