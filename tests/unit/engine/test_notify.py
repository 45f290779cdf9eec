"""Failed runs are told to the topic and to the log, and no run is worse for it."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest

from chalicelib.engine import sweeper
from tests.unit.engine.conftest import Engine


class Log:
    """Keeps what is logged."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, Any]]] = []

    def error(self, text: str, extra: dict[str, Any]) -> None:
        self.lines.append((text, extra))

    exception = warning = info = error


class Topic:
    """A topic, and the messages that a subscriber got."""

    def __init__(self, engine: Engine) -> None:
        sns, sqs = boto3.client("sns"), boto3.client("sqs")
        self.arn = sns.create_topic(Name="alerts")["TopicArn"]
        self.sqs, self.queue = sqs, sqs.create_queue(QueueName="subscriber")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=self.queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        sns.subscribe(TopicArn=self.arn, Protocol="sqs", Endpoint=arn)
        engine.settings |= {"topic_arn": self.arn, "stage": "prod", "api_url": "https://x/api"}
        engine.services = engine.make()
        self.watch(engine)

    def watch(self, engine: Engine) -> None:
        engine.services.clients = boto3.client
        engine.services.log = self.log = Log()

    def told(self) -> list[dict[str, Any]]:
        answer = self.sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10)
        return [json.loads(message["Body"]) for message in answer.get("Messages", [])]


@pytest.fixture
def topic(engine: Engine) -> Topic:
    return Topic(engine)


def fail(run: Any) -> None:
    raise ValueError("the disk is full")


def run(engine: Engine, topic: Topic, name: str, behaviour: Any, **values: Any) -> Any:
    engine.task(name, behaviour, **values)
    topic.watch(engine)
    engine.start(name)
    return engine.deliver()


def test_a_failed_run_is_told_with_its_error_and_where_to_look(engine: Engine, topic: Topic) -> None:
    failed = run(engine, topic, "nightly", fail)
    (told,) = topic.told()
    assert told["Subject"] == "nightly failed (prod)"
    assert "nightly failed: ValueError: the disk is full" in told["Message"]
    assert f"https://x/api/admin/run/{failed.id}" in told["Message"]
    assert told["MessageAttributes"]["task_id"]["Value"] == "nightly"


def test_a_failed_run_is_a_point_of_the_metric_that_the_alarm_watches(engine: Engine, topic: Topic) -> None:
    from infra.local.template import Template
    from tests.support.template import TEMPLATE

    run(engine, topic, "nightly", fail)
    ((_, extra),) = topic.log.lines
    (said,) = extra["_aws"]["CloudWatchMetrics"]
    (alarm,) = [
        a for a in Template(TEMPLATE, {"Stage": "prod"}).resources("AWS::CloudWatch::Alarm") if a.get("Namespace") == "Nightshift"
    ]
    assert (said["Namespace"], said["Metrics"][0]["Name"]) == (alarm["Namespace"], alarm["MetricName"])
    assert said["Dimensions"] == [[d["Name"] for d in alarm["Dimensions"]]]
    assert [extra[d["Name"]] for d in alarm["Dimensions"]] == [d["Value"] for d in alarm["Dimensions"]]
    assert extra[alarm["MetricName"]] == 1


@pytest.mark.usefixtures("quick_retries")
def test_only_what_fails_for_good_is_told(engine: Engine, topic: Topic) -> None:
    def second_time_lucky(run: Any) -> None:
        if run.attempt == 1:
            raise OSError("not yet")

    run(engine, topic, "well", lambda run: None)
    run(engine, topic, "lucky", second_time_lucky, retry_count=1)
    assert topic.told() == []
    assert topic.log.lines == []


def test_a_run_whose_process_died_is_told_by_the_sweeper(engine: Engine, topic: Topic) -> None:
    engine.task("dies", fail)
    topic.watch(engine)
    started = engine.start("dies")
    error = {"type": "Crashed", "message": "Runtime exited", "step": None, "traceback": ""}
    sweeper.attempt_crashed(engine.services, started.id, 1, error)
    (told,) = topic.told()
    assert "Crashed: Runtime exited" in told["Message"]


def test_a_topic_that_cannot_be_told_makes_the_run_no_worse(engine: Engine, topic: Topic) -> None:
    boto3.client("sns").delete_topic(TopicArn=topic.arn)
    failed = run(engine, topic, "nightly", fail)
    assert failed.status == "failed"
    assert engine.holders() == {}
    assert [text for text, _ in topic.log.lines] == ["a run failed", "could not tell of a failed run"]
