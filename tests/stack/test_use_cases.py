"""What tasks are for, built from YAML alone: backups, logs, health, synchronisation; run by the product."""

from __future__ import annotations

import gzip
import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.stack.conftest import Door, make_project, make_stack, whole
from tests.support.http_server import HttpServer, http_server
from tests.support.postgres import PASSWORD, Postgres
from tests.support.search_engine import SearchEngine, search_engine
from tests.support.shop import ROWS, SCHEMA

HOOK = "T0K3N-of-the-hook"
API_KEY = "k3y-of-the-engine"
HEALTHY = (200, {"Content-Type": "application/json"}, b'{"status": "green"}')

LONG = """
tasks:
  - {id: export, pipeline: export, timeout: 5m}
pipelines:
  - name: export
    processors:
      - dynamodb_export: {table: things, destination: ./things.jsonl, page: 5, rate: 1}
      - bulk_index:
          url: "${env.NIGHTSHIFT_CASE_SEARCH}"
          index: things
          source: ./things.jsonl
          id_field: pk
          batch: 5
"""


class World:
    """The systems around the stack: databases, logs, a service, a search engine."""

    def __init__(self, folder: Path, postgres: Postgres, service: HttpServer, engine: SearchEngine) -> None:
        self.folder, self.postgres, self.service, self.engine = folder, postgres, service, engine
        self.original, self.copy = postgres.database(*SCHEMA, *ROWS), postgres.database()
        self.sqlite, self.restored, self.logs = folder / "shop.sqlite", folder / "restored.sqlite", folder / "logs"
        with closing(sqlite3.connect(self.sqlite)) as database, database:
            database.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, a, b BLOB)")
            database.execute("INSERT INTO t VALUES (1, NULL, x'00ff'), (2, '', 0.1), (3, 'ü', NULL)")
        self.logs.mkdir()
        for name, size in {"web.log": 5000, "worker.log": 2000, "small.log": 10}.items():
            (self.logs / name).write_bytes(b"line\n" * (size // 5))
        service.answer = lambda asked: HEALTHY

    @property
    def secrets(self) -> dict[str, Any]:
        shop = {"original": self.postgres.url(self.original), "copy": self.postgres.url(self.copy), "password": PASSWORD}
        return {"shop": shop, "hook": HOOK, "search": API_KEY}

    @property
    def environment(self) -> dict[str, str]:
        named = {
            "SQLITE": self.sqlite,
            "RESTORED": self.restored,
            "LOGS": self.logs,
            "SERVICE": self.service.url,
            "SEARCH": self.engine.url,
            "PG_DUMP": self.postgres.program("pg_dump"),
            "DATABASE": f"postgresql://tester@127.0.0.1:{self.postgres.port}/{self.original}",
        }
        return {f"NIGHTSHIFT_CASE_{name}": str(value) for name, value in named.items()}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, postgres: Postgres) -> Iterator[World]:
    with http_server() as service, search_engine() as engine:
        yield World(tmp_path_factory.mktemp("world"), postgres, service, engine)


@pytest.fixture(scope="module")
def stack_of_use_cases(world: World) -> Iterator[Door]:
    project = make_project(world.folder / "project", Path(__file__).parent / "use_cases" / "tasks")
    secrets = world.folder / "secrets.yaml"
    secrets.write_text(json.dumps(world.secrets))
    env = {"NIGHTSHIFT_SECRETS_FILE": str(secrets), **world.environment}
    with make_stack(project, world.folder / "data", "chalicelib.cli.project:compile_for_stack", env=env) as stack:
        stack.client("s3").create_bucket(Bucket="backups", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
        door = Door(stack)
        with door.http:
            yield door


def completed(door: Door, task: str, **args: Any) -> dict[str, Any]:
    run = door.done(task, **args)
    assert run["status"] == "completed", (run["error"], door.lines(run["run_id"] if "run_id" in run else run["id"]))
    assert whole(door.events(run["id"]))
    return run


def test_databases_are_backed_up_and_restored_byte_for_byte(stack_of_use_cases: Door, world: World) -> None:
    door = stack_of_use_cases
    backup = completed(door, "back_up")["result"]
    assert backup["postgres"]["rows"] == 2505
    completed(door, "restore", archive=backup["upload"]["path"].rpartition("/")[2])
    assert world.postgres.dump(world.copy) == world.postgres.dump(world.original)
    assert world.restored.read_bytes() == world.sqlite.read_bytes()


def test_database_is_dumped_by_its_own_program(stack_of_use_cases: Door, world: World) -> None:
    completed(stack_of_use_cases, "dump_by_exec")
    found = stack_of_use_cases.stack.client("s3").get_object(Bucket="backups", Key="by-exec/shop.sql.gz")["Body"].read()
    assert gzip.decompress(found) == world.postgres.dump(world.original)


def test_logs_are_rotated_and_packed(stack_of_use_cases: Door, world: World) -> None:
    completed(stack_of_use_cases, "log_cleanup")
    assert [path.name for path in world.logs.glob("*.log")] == ["small.log"]
    archived = sorted((world.logs / "archive").iterdir())
    assert [path.name[:4] for path in archived] == ["web-", "work"]
    assert [len(gzip.decompress(path.read_bytes())) for path in archived] == [5000, 2000]


def test_alert_is_sent_on_failure_only(stack_of_use_cases: Door, world: World) -> None:
    door, service = stack_of_use_cases, world.service
    steps = {step["name"]: step["status"] for step in completed(door, "system_health")["steps"]}
    assert steps == {"check_disk_space": "completed", "check_http": "completed", "orders": "completed", "send_alert": "skipped"}
    assert [asked.path for asked in service.asked] == ["/health", "/orders?state=late"]
    service.asked.clear()
    service.answer = lambda asked: (200, {}, b'{"status": "red"}')
    run = door.done("system_health")
    assert run["status"] == "failed"
    assert run["error"]["message"] == f'{service.url}/health is not well: \'status\' is "red", not "green"'
    alert = service.asked[-1]
    assert [asked.path for asked in service.asked] == ["/health", f"/alerts/{HOOK}"]
    assert json.loads(alert.body)["error"]["step"] == "check_http"
    assert HOOK not in json.dumps([run, door.events(run["id"])])
    service.answer = lambda asked: (404, {}, b"") if asked.path.startswith("/alerts") else (200, {}, b'{"status": "red"}')
    silent = door.done("system_health")
    assert silent["error"]["step"] == "check_http"
    assert any("the webhook at localhost" in line and "answered 404" in line for line in door.lines(silent["id"]))


def test_index_is_synchronised_and_the_run_says_what_was_rejected(stack_of_use_cases: Door, world: World) -> None:
    door, engine = stack_of_use_cases, world.engine
    bad = {"type": "mapper_parsing_exception", "reason": "no such customer"}
    engine.judge = lambda action, key, source, number: (400, bad) if int(key) % 1000 == 0 else None
    sent = completed(door, "data_sync", on_rejected="continue")
    assert (sent["result"]["send"]["indexed"], len(engine.indices["orders"])) == (2498, 2498)
    told = {"status": 400, "type": "mapper_parsing_exception", "reason": "no such customer"}
    assert sent["result"]["send"]["rejected"] == [{"line": line, "id": str(line), **told} for line in (1000, 2000)]
    assert engine.server.asked[0].headers["authorization"] == f"ApiKey {API_KEY}"
    run = door.done("data_sync")
    assert run["status"] == "failed"
    assert run["error"]["message"].startswith("2 of 2500 documents were rejected, the others are kept: line 1000 (id 1000): mapper")
    assert "rejected: line 2000 (id 2000): mapper_parsing_exception: no such customer" in door.lines(run["id"])
    assert API_KEY not in json.dumps([run, door.events(run["id"])])


@pytest.mark.proof
def test_export_and_index_go_on_in_other_lambdas(tmp_path: Path) -> None:
    tasks = tmp_path / "tasks"
    tasks.mkdir()
    (tasks / "__init__.py").touch()
    (tasks / "long.yaml").write_text(LONG)
    with search_engine() as engine:
        quick = engine.server.answer
        engine.server.answer = lambda asked: time.sleep(0.25) or quick(asked)  # type: ignore[func-returns-value]
        env = {"NIGHTSHIFT_CASE_SEARCH": engine.url, "NIGHTSHIFT_LAMBDA_LIMIT": "12"}
        project = make_project(tmp_path / "project", tasks)
        with make_stack(project, tmp_path / "data", "chalicelib.cli.project:compile_for_stack", env=env) as stack:
            table = stack.client("dynamodb")
            key = {"AttributeName": "pk", "KeyType": "HASH"}
            attributes = [{"AttributeName": "pk", "AttributeType": "S"}]
            table.create_table(TableName="things", KeySchema=[key], AttributeDefinitions=attributes, BillingMode="PAY_PER_REQUEST")
            for number in range(120):
                table.put_item(TableName="things", Item={"pk": {"S": f"k{number:03}"}, "n": {"N": str(number)}})
            door = Door(stack)
            with door.http:
                run = door.wait(door.start("export")["run_id"], seconds=120)
                assert run["status"] == "completed", run["error"]
                assert run["attempts"][0]["legs"] > 2
                assert whole(door.events(run["id"]))
        assert len(engine.indices["things"]) == 120
        assert max(engine.tries.values()) == 1
