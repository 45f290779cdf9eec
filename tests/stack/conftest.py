"""The product on this machine, with the tasks of tests/stack/project; and a way to talk to it over HTTP."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from infra.local.testing import LocalStack
from tests.support.calls import RecordedStack

ROOT = Path(__file__).resolve().parents[2]
OWN = Path(__file__).parent / "project"
TERMINAL = ("completed", "failed", "stopped")
SLOW = 30.0  # seconds that anything may take on a busy machine; what is promised sooner says so


def make_project(folder: Path, tasks: Path) -> Path:
    """A project of this code with other tasks."""
    ignored = shutil.ignore_patterns("__pycache__", "tasks", "catalog.json")
    shutil.copytree(ROOT / "chalicelib", folder / "chalicelib", ignore=ignored)
    shutil.copytree(tasks, folder / "chalicelib" / "tasks", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "app.py", folder)
    shutil.copy(OWN / "hooks.py", folder)
    return folder


def make_stack(project: Path, data: Path, hook: str = "hooks:compile_project", **more: Any) -> LocalStack:
    """A stack on a project, not started yet. `env` as for LocalStack."""
    env = {"NIGHTSHIFT_CATALOG": str(project / "catalog.json")} | more.pop("env", {})
    template = ROOT / "infra" / "resources.yaml"
    return RecordedStack(project, data_dir=data, template=template, before_load=hook, env=env, **more)


class Door:
    """The REST API of a stack, as a client that checks nothing sees it."""

    def __init__(self, stack: LocalStack) -> None:
        assert stack.ask("status")["error"] is None, stack.console()
        self.stack = stack
        self.http = httpx.Client(base_url=stack.url, headers=stack.auth, timeout=60)

    def get(self, path: str, **query: Any) -> Any:
        """The JSON of a 200."""
        answer = self.http.get(path, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def start(self, task: str, key: str | None = None, **args: Any) -> dict[str, Any]:
        """The JSON of the 202."""
        headers = {"Idempotency-Key": key} if key else {}
        answer = self.http.post(f"/task/{task}/_start", json={"args": args}, headers=headers)
        assert answer.status_code == 202, answer.text
        return dict(answer.json())

    def stop(self, run_id: str) -> None:
        answer = self.http.post(f"/run/{run_id}/_stop")
        assert answer.status_code == 202, answer.text

    def run(self, run_id: str) -> dict[str, Any]:
        return dict(self.get(f"/run/{run_id}"))

    def wait(self, run_id: str, *statuses: str, seconds: float = SLOW) -> dict[str, Any]:
        """The run once it has one of these statuses (default: it is over)."""
        found: dict[str, Any] = {}

        def there() -> bool:
            found.update(self.run(run_id))
            return found["status"] in (statuses or TERMINAL)

        eventually(there, seconds, lambda: f"run {run_id} is {found['status']}")
        return found

    def done(self, task: str, **args: Any) -> dict[str, Any]:
        """A new run once it is over."""
        return self.wait(self.start(task, **args)["run_id"])

    def events(self, run_id: str) -> list[dict[str, Any]]:
        """All events so far, however many pages."""
        events: list[dict[str, Any]] = []
        cursor: str | None = "0"
        while cursor is not None:
            page = self.get(f"/run/{run_id}/log", after=cursor, limit=5000)
            events += page["events"]
            cursor = page["next_cursor"]
        return events

    def lines(self, run_id: str) -> list[str]:
        return [event["text"] for event in self.events(run_id) if event["type"] == "line"]

    def says(self, run_id: str, text: str, seconds: float = SLOW) -> list[str]:
        """The run's lines once one of them contains the text."""
        return eventually(
            lambda: next(([*lines] for lines in [self.lines(run_id)] if any(text in line for line in lines)), None), seconds
        )

    def slots(self) -> set[str]:
        """Who holds a slot, as the table has it."""
        key = {"pk": {"S": "SEMAPHORE"}, "sk": {"S": "global"}}
        client = self.stack.client("dynamodb")
        item = client.get_item(TableName="nightshift-local", Key=key, ConsistentRead=True).get("Item", {})
        held = item.get("holders", {}).get("M", {})
        assert int(item.get("active", {"N": "0"})["N"]) == sum(int(h["M"]["slots"]["N"]) for h in held.values())
        return set(held)


def eventually(what: Callable[[], Any], seconds: float = SLOW, why: Callable[[], str] = lambda: "") -> Any:
    """The first true value of `what()`; fails after that many seconds."""
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline, f"it did not happen within {seconds} s: {why()}"
        time.sleep(0.05)
    return found


def alive(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def whole(events: list[dict[str, Any]]) -> bool:
    """Whether these are all events of a finished run, each once, in order."""
    return [event["seq"] for event in events] == list(range(1, len(events) + 1)) and events[-1]["type"] == "done"


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_project(tmp_path_factory.mktemp("stack") / "project", OWN / "tasks")


@pytest.fixture(scope="session")
def stack(project: Path) -> Iterator[LocalStack]:
    """The one that most tests share."""
    with make_stack(project, project.parent / "shared") as running:
        yield running


@pytest.fixture(scope="session")
def door(stack: LocalStack) -> Iterator[Door]:
    found = Door(stack)
    with found.http:
        yield found


@pytest.fixture(scope="session")
def narrow(project: Path) -> Iterator[Door]:
    """A stack with three slots, that tests use up one after another."""
    with make_stack(project, project.parent / "narrow", env={"TASK_MAX_CONCURRENT": "3"}) as running:
        found = Door(running)
        with found.http:
            yield found


@pytest.fixture(scope="session", autouse=True)
def outlasted(request: pytest.FixtureRequest) -> Callable[[], httpx.Response] | None:
    """A `_run` that outlasts the wait, begun before all else because it takes so long; call it for the answer."""
    if not any(item.name.startswith("test_run_that_outlasts_the_wait") for item in request.session.items):
        return None
    door: Door = request.getfixturevalue("door")
    answers: list[httpx.Response] = []

    def ask() -> None:
        with suppress(httpx.HTTPError):  # the session ended meanwhile
            answers.append(httpx.post(f"{door.stack.url}/task/outlasting/_run", headers=door.stack.auth, timeout=60))

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()

    def answer() -> httpx.Response:
        thread.join(60)
        return answers[0]

    return answer


@pytest.fixture(scope="session", autouse=True)
def long_runs(request: pytest.FixtureRequest) -> dict[str, str]:
    """Runs that outlive their Lambdas, begun before all else because they take so long: their ids by task."""
    if not any("test_legs" in item.nodeid for item in request.session.items):
        return {}
    door: Door = request.getfixturevalue("door")
    return {task: door.start(task)["run_id"] for task in ("relay", "unbroken")}
