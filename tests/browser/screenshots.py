"""Pictures of every page in both themes and at phone width: `make screenshots` puts them into build/screenshots."""

from __future__ import annotations

import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from chalicelib.domain.clock import now_ms
from chalicelib.domain.model import Catalog
from infra.local.testing import LocalStack
from tests.browser.chromium import browser
from tests.browser.seed import past_fires, seed
from tests.stack.conftest import Door

ROOT = Path(__file__).resolve().parents[2]
LOOKS: dict[str, dict[str, Any]] = {
    "light": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 390, "height": 844}, "color_scheme": "light", "device_scale_factor": 2},
}
HISTORY = (
    "cpu_benchmark",
    "disk_usage",
    "health_check",
    "log_rotation",
    "share_logs",
    "traffic_report",
    "flaky_import",
    "data_backup",
)


def take(folder: Path) -> None:
    """Start the sample project, give it some history, and photograph it."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as data:
        env = {"NIGHTSHIFT_CATALOG": f"{data}/catalog.json"}
        hook = "chalicelib.cli.project:compile_for_stack"
        with LocalStack(ROOT, data_dir=Path(data) / "stack", before_load=hook, env=env) as stack:
            _past(stack, Path(data) / "catalog.json")
            pages = _history(Door(stack))
            with browser() as chromium:
                for look, options in LOOKS.items():
                    _photograph(chromium.new_context(base_url=stack.url, **options), stack.token, pages, folder, look)


def _past(stack: LocalStack, catalog: Path) -> None:
    known, now = Catalog.model_validate_json(catalog.read_bytes()), now_ms()
    seed(stack, past_fires(known, "UTC", now, 30, 6_000), now)


def _history(door: Door) -> dict[str, str]:
    """Some runs, and the pages to show: name -> path."""
    started = [door.start(task)["run_id"] for _round in range(6) for task in HISTORY]
    done = {run["task_id"]: run["id"] for run in map(door.wait, started)}
    backup = door.done("backup")["id"]
    for task, title, before in (("nightly_digest", "Nightly digest", ["data_backup", "traffic_report"]),
                                ("tell_the_team", "Tell the team", ["nightly_digest"]), ("archive_digest", "Archive the digest", ["nightly_digest"])):  # fmt: skip
        answer = door.http.put(f"/task/{task}", json={"title": title, "pipeline": "health_check_pipeline", "depends_on": before})
        assert answer.status_code == 201, answer.text
    live = door.start("long_watch", seconds=600, interval=0.2)["run_id"]
    door.says(live, "memory")
    return {
        "tasks": "/admin/task",
        "search": "/admin/task?q=nothing+like+this",
        "task": "/admin/task/post_notice",
        "danger": "/admin/task/backup",
        "pipeline": "/admin/task/health_check",
        "dependencies": "/admin/task/nightly_digest",
        "runs": "/admin/runs",
        "schedule": "/admin/schedule",
        "schedule-day": f"/admin/schedule?day={datetime.now(UTC).date() + timedelta(days=1)}",
        "schedule-empty": "/admin/schedule?task=data_backup&week=1999-01-01",
        "stats": "/admin/stats?days=30",
        "stats-task": "/admin/stats?task=health_check",
        "stats-empty": "/admin/stats?task=post_notice",
        "run-live": f"/admin/run/{live}",
        "run-steps": f"/admin/run/{done['data_backup']}",
        "run-result": f"/admin/run/{done['traffic_report']}",
        "run-failed": f"/admin/run/{done['flaky_import']}",
        "run-backup": f"/admin/run/{backup}",
    }


def _photograph(context: Any, token: str, pages: dict[str, str], folder: Path, look: str) -> None:
    page = context.new_page()
    page.goto("/admin/task")
    page.screenshot(path=folder / f"login-{look}.png")
    page.goto(f"/admin/task?token={token}")
    for name, path in pages.items():
        page.goto(path)
        page.wait_for_load_state("networkidle") if "live" not in name else page.wait_for_timeout(1500)
        page.wait_for_timeout(400)
        page.screenshot(path=folder / f"{name}-{look}.png", full_page=name != "run-live")
    page.goto("/admin/task/post_notice")
    page.get_by_role("button", name="Start", exact=True).click()
    page.wait_for_selector(".notice.bad")
    page.screenshot(path=folder / f"refused-{look}.png", full_page=True)
    context.close()


if __name__ == "__main__":
    take(Path(sys.argv[1]))
