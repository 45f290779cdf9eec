"""The buffer: bounded, and nothing lost."""

from __future__ import annotations

import threading
import time

from chalicelib.engine.progress import MOST_BATCH, MOST_TEXT, Progress


def test_ten_thousand_lines_through_a_buffer_of_a_hundred_to_a_slow_table() -> None:
    progress = Progress(100, after=0)
    published: list[str] = []
    fullest = 0

    def publish_slowly() -> None:
        nonlocal fullest
        while len(published) < 10_000:
            progress.wait_for_any(time.monotonic() + 1)
            batch = progress.peek()
            fullest = max(fullest, len(progress._events))
            time.sleep(0.002)
            published.extend(e["text"] for e in batch)
            progress.drop(len(batch))

    publisher = threading.Thread(target=publish_slowly)
    publisher.start()
    for n in range(10_000):
        progress.line(f"line {n}", "stdout")
        assert len(progress._events) <= 100
    publisher.join(30)
    assert published == [f"line {n}" for n in range(10_000)]
    assert fullest <= 100


def test_lines_of_many_threads_are_numbered_without_gap_or_repeat() -> None:
    progress = Progress(10_000, after=7)
    threads = [threading.Thread(target=lambda: [progress.line("x", "stdout") for _ in range(500)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [e["seq"] for e in progress.take_all()] == list(range(8, 8 + 4_000))


def test_nobody_waits_on_a_closed_buffer() -> None:
    progress = Progress(2, after=0)
    progress.line("a", "stdout")
    progress.line("b", "stdout")
    waiting = threading.Thread(target=lambda: progress.line("c", "stdout"))
    waiting.start()
    progress.close()
    waiting.join(10)
    assert not waiting.is_alive()
    assert [e["text"] for e in progress.take_all()] == ["a", "b", "c"]


def test_a_very_long_line_becomes_several() -> None:
    progress = Progress(100, after=0)
    text = "".join(chr(97 + n % 26) for n in range(MOST_TEXT * 2 + 5))
    progress.line(text, "stdout")
    events = progress.take_all()
    assert [len(e["text"]) for e in events] == [MOST_TEXT, MOST_TEXT, 5]
    assert "".join(e["text"] for e in events) == text


def test_a_flush_takes_no_more_bytes_than_an_item_holds() -> None:
    progress = Progress(1_000, after=0)
    for _ in range(60):
        progress.line("漢" * MOST_TEXT, "stdout")
    batch = progress.peek()
    assert 0 < sum(len(e["text"].encode()) for e in batch) <= MOST_BATCH
    assert progress.peek() == batch, "it stays until it is dropped"


def test_progress_is_between_nothing_and_all() -> None:
    progress = Progress(10, after=0)
    for given in (-1.0, 0.25, 7.0):
        progress.report(given, "m")
    assert [e["fraction"] for e in progress.take_all()] == [0.0, 0.25, 1.0]
    assert progress.fraction == {"fraction": 1.0, "message": "m"}


def test_an_interrupt_waits_until_the_buffer_is_left() -> None:
    class Interrupted(BaseException):
        pass

    progress = Progress(10, after=0)
    with progress._shielded():
        progress.interrupt(Interrupted())
        try:
            progress.line("whole", "stdout")
        except Interrupted:
            raise AssertionError("in the middle of it") from None
        outcome = "later"
        try:
            pass
        finally:
            progress._pending = None
    assert outcome == "later"
    assert [e["text"] for e in progress.take_all()] == ["whole"]
