"""The laptop refuses what AWS would: each function makes the calls that its policy allows, and no others."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chalicelib.domain.clock import now_ms
from chalicelib.domain.model import FUNCTION_KEYS
from tests.stack.conftest import SLOW, Door, eventually, make_project, make_stack
from tests.stack.following import Follower
from tests.stack.test_timetable import move, sweep

TASKS = Path(__file__).parent / "project" / "tasks"
ARN = "arn:aws:{}:us-east-1:123456789012:nightshift-local-{}"
BUCKET = "nightshift-local-files"


@pytest.fixture(scope="module")
def clock(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("clock") / "offset"
    file.write_text("0")
    return file


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory, clock: Path) -> Iterator[Door]:
    """A stack that has all that a deployment has: a topic for what fails, a queue for what is lost."""
    folder = tmp_path_factory.mktemp("permissions")
    project = make_project(folder / "project", TASKS)
    env = {
        "NIGHTSHIFT_CLOCK_FILE": str(clock),
        "NIGHTSHIFT_TOPIC_ARN": ARN.format("sns", "alerts"),
        "NIGHTSHIFT_DEAD_LETTERS_ARN": ARN.format("sqs", "dead-letters"),
    }
    with make_stack(project, folder / "data", "chalicelib.cli.project:compile_for_stack", env=env) as stack:
        found = Door(stack)
        sweep(stack)
        yield found
        found.http.close()


@pytest.fixture
def refused(door: Door) -> Iterator[list[list[str]]]:
    """What was refused meanwhile, filled at the end of the test's own list."""
    before = door.stack.permissions()["refused"]
    found: list[list[str]] = []
    yield found
    now = [refusal for refusal in door.stack.permissions()["refused"] if refusal not in before]
    assert now == found


def followed(door: Door, started: dict[str, Any]) -> Follower:
    """A follower that the run knows of."""
    follower = Follower(started["websocket_url"])
    follower.connect()
    key = {"pk": {"S": f"RUN#{started['run_id']}"}, "sk": {"S": "RUN"}}
    table = door.stack.client("dynamodb")
    eventually(lambda: table.get_item(TableName="nightshift-local", Key=key, ConsistentRead=True)["Item"].get("followers"))
    return follower


def test_a_killed_run_is_closed_told_and_handed_on(door: Door, refused: list[list[str]]) -> None:
    running, waiting = door.start("victim"), door.start("victim", seconds=0.1)
    door.says(running["run_id"], "waiting")
    follower = followed(door, running)
    worker = next(worker for worker in door.stack.workers("task_victim") if worker["busy"])
    os.kill(worker["pid"], signal.SIGKILL)
    assert follower.read(SLOW)
    follower.close()
    assert door.wait(running["run_id"])["status"] == "failed"
    assert door.wait(waiting["run_id"])["status"] == "completed"
    assert refused == []


def test_a_run_that_waits_is_stopped_while_followed(door: Door, refused: list[list[str]]) -> None:
    running, waiting = door.start("victim"), door.start("victim")
    follower = followed(door, waiting)
    door.stop(waiting["run_id"])
    assert follower.read(SLOW)
    follower.close()
    door.stop(running["run_id"])
    assert door.wait(running["run_id"])["status"] == "stopped"
    assert refused == []


def test_a_fire_looks_and_replaces(door: Door, clock: Path, refused: list[list[str]]) -> None:
    running, waiting = door.start("replaced", seconds=60), door.start("replaced", seconds=60)
    door.says(running["run_id"], "waiting")
    follower = followed(door, waiting)
    move(clock, 60_000 - now_ms() % 60_000 + 500)  # half a second into the next minute
    answer = door.stack.client("lambda").invoke(FunctionName="nightshift-local-dispatcher", Payload=b"{}")
    assert "FunctionError" not in answer, answer["Payload"].read()
    assert follower.read(SLOW)
    follower.close()
    assert door.wait(waiting["run_id"])["status"] == "stopped"
    assert door.wait(running["run_id"])["status"] == "stopped"
    assert refused == []


def test_the_end_of_a_run_starts_those_that_waited_and_a_failure_is_told(door: Door, refused: list[list[str]]) -> None:
    assert door.done("first")["status"] == "completed"
    runs = eventually(lambda: door.get("/task/second/runs")["runs"])
    assert door.wait(runs[0]["id"])["status"] == "completed"
    assert door.done("failing")["status"] == "failed"
    assert refused == []


def test_a_task_keeps_files_in_the_projects_bucket(door: Door, refused: list[list[str]]) -> None:
    assert door.done("keeps", bucket=BUCKET)["status"] == "completed"
    assert refused == []


def test_a_bucket_that_nobody_named_is_refused_with_what_to_write(door: Door, refused: list[list[str]]) -> None:
    run = door.done("keeps", bucket="somebody-elses")
    assert run["status"] == "failed"
    assert run["error"]["type"] == "StepError"
    assert 'permissions: [{actions: ["s3:PutObject"], resources: ["s3://somebody-elses/kept/file"]}]' in run["error"]["message"]
    refused.append(["nightshift-local-task_keeps", "s3:PutObject", "arn:aws:s3:::somebody-elses/kept/file"])


def test_permissions_of_a_task_are_its_own(door: Door, refused: list[list[str]]) -> None:
    door.stack.client("s3").create_bucket(Bucket="granted")
    assert door.done("granted")["result"] == {"size": 10, "found": 1}
    assert door.done("keeps", bucket="granted")["status"] == "failed"
    assert door.done("granted", bucket="somebody-elses")["status"] == "failed"
    refused += [
        ["nightshift-local-task_granted", "s3:PutObject", "arn:aws:s3:::somebody-elses/kept/file"],
        ["nightshift-local-task_keeps", "s3:PutObject", "arn:aws:s3:::granted/kept/file"],
    ]


def test_a_task_has_its_own_variables_and_size(door: Door) -> None:
    assert door.done("moody")["result"] == {"MODE": "careful", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256"}


@pytest.mark.parametrize("key", sorted(FUNCTION_KEYS))
def test_a_task_made_at_run_time_has_no_function_of_its_own_to_set(door: Door, key: str) -> None:
    answer = door.http.put("/task/made", json={"pipeline": "python:first", key: None})
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [key]


def test_every_service_refuses_in_its_own_words(door: Door, refused: list[list[str]]) -> None:
    said = door.done("reaches")["result"]
    assert said.pop("sts") == "allowed"  # to know who one is
    assert {code.removesuffix("Exception") for code in said.values()} == {"AccessDenied"}
    refused += [
        ["nightshift-local-task_reaches", action, resource]
        for action, resource in (
            ("events:PutRule", "arn:aws:events:us-east-1:123456789012:rule/mine"),
            ("lambda:GetFunction", "arn:aws:lambda:us-east-1:123456789012:function:nightshift-local-sweeper"),
            ("secretsmanager:GetSecretValue", "arn:aws:secretsmanager:us-east-1:123456789012:secret:database-abc123"),
            ("sns:Publish", "arn:aws:sns:us-east-1:123456789012:others"),
            ("sqs:SendMessage", "arn:aws:sqs:us-east-1:123456789012:orders"),
            ("ssm:GetParameter", "arn:aws:ssm:us-east-1:123456789012:parameter/app/key"),
        )
    ]


@pytest.mark.parametrize("partition", ["TOKEN", "SECRET"])
def test_a_task_reads_no_tokens(door: Door, partition: str) -> None:
    run = door.done("snoops", partition=partition)
    assert run["status"] == "failed"
    assert "dynamodb:GetItem" in run["error"]["message"]


def test_a_call_that_no_function_needs_is_refused(door: Door, refused: list[list[str]]) -> None:
    run = door.done("scans")
    assert (run["status"], "dynamodb:Scan" in run["error"]["message"]) == ("failed", True)
    refused.append(
        ["nightshift-local-task_scans", "dynamodb:Scan", "arn:aws:dynamodb:us-east-1:123456789012:table/nightshift-local"]
    )
