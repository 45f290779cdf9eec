"""send_alert: who is told, how often, and what an error shows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from moto import mock_aws
from pydantic import ValidationError

from chalicelib.domain.errors import StepError, TransientError
from chalicelib.processors import clients
from chalicelib.processors.send_alert import SendAlert
from tests.support.http_server import HttpServer, http_server
from tests.unit.processors.recorder import Recorder

FAILURE = {"type": "StepError", "message": "disk is full", "step": "check_disk_space"}


@pytest.mark.parametrize(
    ("condition", "on_failure", "on_success"),
    [("failure", True, False), ("success", False, True), ("always", True, True)],
)
def test_alert_applies_as_its_condition_says(condition: Any, on_failure: bool, on_success: bool) -> None:
    alert = SendAlert(condition=condition)
    assert (alert.applies(failed=True), alert.applies(failed=False)) == (on_failure, on_success)


def test_alert_without_receiver_is_a_line_of_the_run(run: Recorder) -> None:
    assert SendAlert()(run)["sent_to"] == ["log"]
    run.failure = FAILURE
    SendAlert(condition="failure", message="look at it")(run)
    assert run.lines == [
        ("info", "some_task: run 01RUN is well"),
        ("error", "look at it (some_task: run 01RUN failed at check_disk_space: disk is full)"),
    ]


def test_alert_goes_to_the_topic_of_the_environment(run: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    with mock_aws():
        clients.hand_over(None)
        arn = clients.client("sns").create_topic(Name="alerts")["TopicArn"]
        monkeypatch.setenv("NIGHTSHIFT_TOPIC_ARN", arn)
        run.failure = FAILURE
        assert SendAlert()(run)["sent_to"] == ["log", arn]
        from moto.sns import sns_backends

        (sent,) = sns_backends["123456789012"]["eu-central-1"].topics[arn].sent_notifications
        assert sent[1] == "some_task: run 01RUN failed at check_disk_space: disk is full"
        with pytest.raises(StepError, match="publishing to arn:aws:sns"):
            SendAlert(topic="arn:aws:sns:eu-central-1:123456789012:missing")(run)
    clients.hand_over(None)


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[HttpServer]:
    """A webhook; what fails is tried again at once."""
    monkeypatch.setattr("chalicelib.processors.send_alert._FIRST_WAIT", 0.001)
    with http_server() as running:
        yield running


def test_alert_posts_to_a_webhook(run: Recorder, hook: HttpServer) -> None:
    run.failure = FAILURE
    assert SendAlert(webhook=f"{hook.url}/secret-path", dedupe_key="disk")(run)["sent_to"] == ["log", "webhook"]
    (asked,) = hook.asked
    body = json.loads(asked.body)
    assert body == {
        "text": "some_task: run 01RUN failed at check_disk_space: disk is full",
        **{"task_id": "some_task", "run_id": "01RUN", "status": "failed", "error": FAILURE, "dedupe_key": "disk"},
    }


@pytest.mark.parametrize(("status", "kind", "tries"), [(404, StepError, 1), (429, TransientError, 3), (503, TransientError, 3)])
def test_refusing_webhook_is_told_from_a_busy_one(
    run: Recorder, hook: HttpServer, status: int, kind: type[Exception], tries: int
) -> None:
    hook.answer = lambda asked: (status, {}, f"cannot POST {asked.path}".encode())
    with pytest.raises(kind, match=rf"the webhook at localhost:{hook.port} answered {status}") as caught:
        SendAlert(webhook=f"http://me:secret-word@localhost:{hook.port}/secret-path")(run)
    assert "secret" not in str(caught.value)
    assert len(hook.asked) == tries


def test_webhook_that_is_well_again_gets_the_alert_once(run: Recorder, hook: HttpServer) -> None:
    answers = iter([500, 502])
    hook.answer = lambda asked: (next(answers, 200), {}, b"")
    assert SendAlert(webhook=hook.url)(run)["sent_to"] == ["log", "webhook"]
    assert len(hook.asked) == 3


def test_alert_without_anybody_listening_is_worth_another_attempt(run: Recorder, hook: HttpServer) -> None:
    with http_server() as gone:
        url = gone.url
    with pytest.raises(TransientError, match=r"the webhook at localhost:\d+ does not answer: Connection refused"):
        SendAlert(webhook=url)(run)


@mock_aws
def test_one_receiver_that_fails_keeps_the_alert_from_no_other(run: Recorder, hook: HttpServer) -> None:
    clients.hand_over(None)
    run.failure = FAILURE
    with pytest.raises(StepError, match="publishing to arn:aws:sns:eu-central-1:123456789012:missing"):
        SendAlert(topic="arn:aws:sns:eu-central-1:123456789012:missing", webhook=hook.url)(run)
    assert len(hook.asked) == 1
    assert run.texts("error") == ["some_task: run 01RUN failed at check_disk_space: disk is full"]


def test_alerts_of_one_key_are_sent_once_while_they_are_fresh(
    run: Recorder, hook: HttpServer, s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NIGHTSHIFT_BUCKET", "backups")
    disk = SendAlert(webhook=hook.url, dedupe_key="disk")
    hook.answer = lambda asked: (404, {}, b"")
    with pytest.raises(StepError):
        disk(run)
    hook.answer = lambda asked: (200, {}, b"")
    assert [disk(run)["suppressed"] for _ in range(3)] == [False, True, True]
    assert not SendAlert(webhook=hook.url, dedupe_key="memory")(run)["suppressed"]
    assert not SendAlert(webhook=hook.url, dedupe_key="disk", dedupe_for=0.000001)(run)["suppressed"]


def test_alert_says_what_it_would_do_without_the_webhooks_secret(run: Recorder) -> None:
    alert = SendAlert(webhook="https://hooks.example.com/secret-path", condition="failure")
    assert alert.describe(run) == "sends an alert to the webhook if a step has failed"


@pytest.mark.parametrize("config", [{"condition": "never"}, {"topic": "alerts"}, {"webhook": "ftp://x"}, {"tpic": "x"}])
def test_alert_refuses_a_config_that_cannot_work(config: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        SendAlert.model_validate(config)
