"""A hundred thousand lines: the tab stays small, and scrolling through them smooth."""

from __future__ import annotations

from typing import Any

import psutil
import pytest

from tests.browser.test_journey import expect
from tests.stack.conftest import Door

LINES = 100_000
MOST_MB = 300  # of the tab's process, all of it
MOST_HEAP_MB = 150
SLOW_FRAME_MS = 100
SCROLL = """async (steps) => {
    const frames = [], view = document.querySelector('.terminal');
    let last = performance.now();
    for (let i = 0; i < steps; i++) {
        view.querySelector('.xterm-screen').dispatchEvent(new WheelEvent('wheel', {deltaY: i < steps / 2 ? -600 : 600, bubbles: true, cancelable: true}));
        await new Promise(requestAnimationFrame);
        const now = performance.now();
        frames.push(now - last);
        last = now;
    }
    return frames.sort((a, b) => a - b);
}"""


def renderers() -> set[int]:
    """The browser's processes that hold pages."""
    own = psutil.Process().children(recursive=True)
    return {p.pid for p in own if "--type=renderer" in " ".join(p.cmdline())}


@pytest.mark.proof
@pytest.mark.timeout(300)
def test_a_hundred_thousand_lines_are_read_in_a_small_tab(new_page: Any, door: Door) -> None:
    run_id = door.done("talk", lines=LINES)["id"]
    before = renderers()
    page = new_page()
    page.goto(f"/admin/run/{run_id}")
    expect(page.locator("[data-lines]")).to_have_text(f"{LINES:,} lines")
    expect(page.locator(".xterm-rows")).to_contain_text(f"line {LINES}")
    tab = max(renderers() - before, key=lambda pid: psutil.Process(pid).memory_info().rss)  # there is a spare one, too
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    session.send("Performance.enable")
    metrics = {m["name"]: m["value"] for m in session.send("Performance.getMetrics")["metrics"]}
    heap, whole = metrics["JSHeapUsedSize"] / 1e6, psutil.Process(tab).memory_info().rss / 1e6
    frames = page.evaluate(SCROLL, 240)
    middle, late = frames[len(frames) // 2], frames[int(len(frames) * 0.95)]
    after = psutil.Process(tab).memory_info().rss / 1e6
    print(
        f"{LINES:,} lines: {heap:.0f} MB of JavaScript, tab {whole:.0f} MB, {after:.0f} MB after scrolling; a frame {middle:.0f} ms, 95 % {late:.0f} ms"
    )
    page.goto(f"/admin/run/{run_id}#L50000")
    expect(page.locator(".xterm-rows")).to_contain_text("line 50000")
    assert heap < MOST_HEAP_MB
    assert max(whole, after) < MOST_MB
    assert late < SLOW_FRAME_MS
