"""The pages with a thousand tasks and ten thousand runs in the table."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from chalicelib.domain.clock import now_ms
from chalicelib.domain.model import Catalog
from tests.browser.seed import past_fires, seed
from tests.stack.conftest import make_project, make_stack

TASKS, RUNS, TIMES = 1_000, 10_000, 7
MOST_MS, MOST_BYTES = 300, 150_000
YAML = """\
  - id: task_{n}
    title: Task number {n}
    description: Does the thing number {n} that somebody needs now and then
    category: category {category}
    tags: [tag{tag}]
    schedule: "{schedule}"
    pipeline: only
"""


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, list[str]]]:
    folder = tmp_path_factory.mktemp("crowded")
    tasks = folder / "tasks"
    tasks.mkdir()
    (tasks / "__init__.py").write_text('"""Many."""\n')
    lines = ["pipelines:", "  - name: only", "    processors: [{echo: {message: hello}}]", "tasks:\n"]
    text = "\n".join(lines)
    for n in range(TASKS):
        schedule = f"*/{5 + n % 3 * 5} * * * *" if n % 100 == 0 else f"{n % 60} {n % 24} * * {'*' if n % 3 else 'MON-FRI'}"
        text += YAML.format(n=n, category=n % 12, tag=n % 30, schedule=schedule)
    (tasks / "many.yaml").write_text(text)
    project = make_project(folder / "project", tasks)
    with make_stack(project, folder / "data", hook="chalicelib.cli.project:compile_for_stack", ready_seconds=120) as stack:
        assert stack.ask("status")["error"] is None, stack.console()
        catalog, now = Catalog.model_validate_json(Path(project / "catalog.json").read_bytes()), now_ms()
        yield stack, seed(stack, past_fires(catalog, "UTC", now, 14, RUNS), now)


def test_each_page_answers_quickly_and_is_small(crowded: tuple[Any, list[str]]) -> None:
    stack, runs = crowded
    headers = stack.auth | {"accept": "text/html", "accept-encoding": "gzip"}
    slow = {}
    with httpx.Client(base_url=stack.url, headers=headers, timeout=60) as http:
        paths = ["/admin/task", "/admin/task?all=1", "/admin/task?all=2", "/admin/task?q=number+77", "/admin/task/task_3", "/admin/runs",
                 "/admin/runs?task=task_100&status=failed", f"/admin/run/{runs[-1]}", "/admin/schedule",
                 "/admin/schedule?task=task_3", "/admin/stats", "/admin/stats?days=90", "/tasks", "/stats"]  # fmt: skip
        for path in paths:
            took = []
            for _ in range(TIMES):
                began = time.perf_counter()
                answer = http.get(path)
                took.append(1000 * (time.perf_counter() - began))
                assert answer.status_code == 200, answer.text[:300]
            size, middle = int(answer.headers["content-length"]), statistics.median(took[1:])
            print(f"{path:44} first {took[0]:5.0f} ms, then {middle:5.0f} ms, {size / 1000:6.1f} kB")
            if middle > MOST_MS or size > MOST_BYTES:
                slow[path] = (round(middle), size)
    assert slow == {}
