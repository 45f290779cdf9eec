"""The page of a run: what it shows of files, warnings, steps and attempts, and why it waits."""

from __future__ import annotations

import re

import pytest

from chalicelib.api import runs as run_api
from chalicelib.api.http import Reply, Request
from chalicelib.domain.run import RunRecord
from chalicelib.engine.services import Services
from chalicelib.store import runs, semaphores
from tests.unit.web.conftest import HOSTILE, Ask
from tests.unit.web.test_pages import put_run


def test_a_run_shows_its_files_warnings_and_steps_within_steps(
    ask: Ask, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = put_run(services, status="completed")
    whole = run_api.get_run(Request(services, {"run_id": run.id})).body
    steps = [
        {"index": 0, "name": "all", "processor": "for_each", "status": "completed", "seconds": 4, "duration": "4s", "depth": 0,
         "began": "2026-01-01T00:00:00.000Z"},
        {"index": 0, "name": "all/0/copy", "processor": "copy", "status": "failed", "seconds": 2, "duration": "2s", "depth": 1,
         "began": "2026-01-01T00:00:02.000Z"},
    ]  # fmt: skip
    more = {
        "steps": steps, "partial": True, "warnings": [{"step": HOSTILE, "message": HOSTILE}],
        "artifacts": [{"name": "out/a b.csv", "bytes": 2048, "content_type": "text/csv"}],
        "attempts": [
            {"attempt": n, "status": status, "started_at": f"2026-01-01T00:00:{n}0Z", "finished_at": f"2026-01-01T00:00:{n}5Z", "error": None}
            for n, status in ((1, "failed"), (2, "completed"))
        ],
    }  # fmt: skip
    monkeypatch.setattr(run_api, "get_run", lambda request: Reply(whole | more))
    body = ask("GET", "/admin/run/{run_id}", {"run_id": run.id}).body
    assert "It completed in part" in body
    assert f'href="../../run/{run.id}/artifacts/out%2Fa%20b.csv" download="a b.csv"' in body
    assert '<li class="deep-1">' in body
    assert 'class="failed" x="500" y="0" width="500"' in body
    assert 'class="completed" x="667" y="0" width="333"' in body, "the second attempt, after a wait"
    assert HOSTILE not in body


def test_a_run_that_waits_says_for_what_and_for_whom(ask: Ask, services: Services) -> None:
    semaphores.acquire(services.table, "global", "01M80QNX75B8MCMJF4EX5Y5G99", 100, 100, services.now())
    run = RunRecord("01M80QNX75B8MCMJF4EX5Y5G53", "ask", "queued", "manual", services.now())
    runs.put_new_run(services.table, run)
    body = ask("GET", "/admin/run/{run_id}", {"run_id": run.id}).body
    assert re.search(r"Waiting for a slot of <code>global</code>: 100 of 100 taken, 0 ahead of it", body)
    assert 'href="../../admin/run/01M80QNX75B8MCMJF4EX5Y5G99"' in body
