"""Services on a table of their own, a catalog of fake tasks, and Lambda's part played by hand."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import pytest

from chalicelib.domain.model import Catalog, CatalogTask, Pipeline, ProcessorInfo, Step
from chalicelib.domain.run import RunRecord
from chalicelib.engine import runner, starter
from chalicelib.engine.services import Services
from chalicelib.settings import Settings
from chalicelib.store import runs
from chalicelib.store.events import read_events
from chalicelib.store.semaphores import read_semaphores
from chalicelib.store.table import Table

BEHAVIOURS: dict[str, Callable[[Any], Any]] = {}


class Behave:
    """The only step of every fake task: does what the test says."""

    @classmethod
    def model_validate(cls, config: dict[str, Any]) -> Behave:
        return cls()

    def __call__(self, run: Any) -> Any:
        return BEHAVIOURS[run.task_id](run)


class Lambda:
    """Async invocations, kept until they are delivered."""

    def __init__(self) -> None:
        self.inbox: list[dict[str, Any]] = []
        self.pushed: list[tuple[str, str]] = []

    def __call__(self, function: str, payload: dict[str, Any]) -> None:
        self.inbox.append(payload)

    def post(self, connection: str, text: str) -> bool:
        self.pushed.append((connection, text))
        return connection != "gone"


class Engine:
    """Start, deliver, look."""

    def __init__(self, table: Table, **settings: Any) -> None:
        self.aws = Lambda()
        self.settings = {"max_concurrent_tasks": 10} | settings
        self.table = table
        self.tasks: dict[str, CatalogTask] = {}
        self.s3: Callable[[], Any] = lambda: None
        self.sleep: Callable[[float], None] = lambda seconds: None
        self.services = self.make()

    def make(self) -> Services:
        module = importlib.import_module(__name__).__name__
        catalog = Catalog(
            tasks=self.tasks,
            pipelines={"behave": Pipeline(name="behave", steps=[Step(processor="behave")])},
            processors={"behave": ProcessorInfo(name="behave", module=module, qualname="Behave")},
        )
        settings = Settings(**self.settings)
        return Services(self.table, catalog, settings, self.aws, self.aws.post, self.s3, sleep=self.sleep)

    def task(self, task_id: str, behaviour: Callable[[Any], Any], **values: Any) -> str:
        BEHAVIOURS[task_id] = behaviour
        self.tasks[task_id] = CatalogTask(id=task_id, pipeline="behave", function="f", **values)
        self.services = self.make()
        return task_id

    def start(self, task_id: str, **args: Any) -> RunRecord:
        return starter.start(self.services, task_id, args)

    def hand(self, seconds_left: float = 60) -> str:
        """Lambda hands a message to its function; the run's id."""
        message = self.aws.inbox.pop(0)
        runner.run_task(self.services, message["run_id"], message["attempt"], seconds_left, message.get("leg", 1))
        return str(message["run_id"])

    def deliver(self, seconds_left: float = 60) -> RunRecord:
        """The same; the run as it is then."""
        return self.read(self.hand(seconds_left))

    def run(self, task_id: str, behaviour: Callable[[Any], Any], seconds_left: float = 60, **values: Any) -> RunRecord:
        """Start a task that behaves so, and deliver it."""
        self.task(task_id, behaviour, **values)
        self.start(task_id)
        return self.deliver(seconds_left)

    def read(self, run_id: str) -> RunRecord:
        return runs.get_run(self.table, run_id)

    def events(self, run: RunRecord) -> list[Any]:
        events = read_events(self.table, self.read(run.id), 0)
        assert [e["seq"] for e in events] == list(range(1, len(events) + 1))
        return events

    def lines(self, run: RunRecord) -> list[tuple[str, str]]:
        return [(e["stream"], e["text"]) for e in self.events(run) if e["type"] == "line"]

    def holders(self) -> dict[str, Any]:
        return {s.name: set(s.holders) for s in read_semaphores(self.table) if s.active or s.holders}


@pytest.fixture
def engine(moto_table: Any) -> Engine:
    """An engine on moto."""
    return Engine(Table(moto_table.client, moto_table.name))


@pytest.fixture
def both(table: Any) -> Engine:
    """An engine, the test once on each stand-in for DynamoDB."""
    return Engine(Table(table.client, table.name))


@pytest.fixture
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Backoffs of milliseconds."""
    monkeypatch.setattr(runner, "delay", lambda policy, failures: 0.01)


@pytest.fixture
def bucket(engine: Engine) -> Any:
    """The engine's bucket, on moto; a client of it."""
    import boto3

    client = boto3.client("s3")
    client.create_bucket(Bucket=engine.services.settings.bucket, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    engine.s3 = lambda: client
    engine.services = engine.make()
    return client


def keys_of(bucket: Any, prefix: str = "") -> list[str]:
    """What lies in it."""
    return [o["Key"] for o in bucket.list_objects_v2(Bucket="nightshift-dev-files", Prefix=prefix).get("Contents", [])]
