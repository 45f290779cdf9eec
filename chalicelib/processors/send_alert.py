"""The processor `send_alert`."""

from __future__ import annotations

import hashlib
import json
import os
import random
import time
from collections.abc import Callable
from typing import Any, Literal

from pydantic import ConfigDict, Field

from chalicelib.catalog.decorators import processor
from chalicelib.domain.errors import StepError, TransientError
from chalicelib.domain.handle import RunHandle
from chalicelib.processors import clients
from chalicelib.processors.base import Duration, Processor
from chalicelib.processors.failures import said_plainly

_WEBHOOK_TIMEOUT = 10.0  # seconds
_TRIES = 3
_FIRST_WAIT = 0.5  # seconds


@processor("send_alert")
class SendAlert(Processor):
    """Tells people how the run went: by an SNS topic, a webhook, or the run's own log.

    Without `topic` it takes the topic in NIGHTSHIFT_TOPIC_ARN; the log has the alert in any case. Each receiver is tried three
    times, and none is left out because another one failed.
    """

    model_config = ConfigDict(hide_input_in_errors=True)

    condition: Literal["failure", "success", "always"] = Field(
        "always", description="When to send: if a step before it failed, if none did, or both"
    )
    message: str | None = Field(None, description="What to say; default: how the run went")
    topic: str | None = Field(None, pattern=r"^arn:aws[a-z-]*:sns:[^:]+:\d{12}:[^:]+$", description="ARN of an SNS topic")
    webhook: str | None = Field(
        None,
        pattern=r"^https?://[^\s/]+",
        description="URL that gets the alert as JSON: text, as Slack shows it, and task_id, run_id, status, error, dedupe_key",
    )
    dedupe_key: str | None = Field(
        None,
        min_length=1,
        description="While an alert of this key is fresh, no other of it is sent",
        examples=["disk-full"],
    )
    dedupe_for: Duration = Field(3600.0, gt=0, description="How long an alert is fresh; kept in the project's bucket")

    def applies(self, failed: bool) -> bool:
        """As `condition` says."""
        return self.condition == "always" or (self.condition == "failure") == failed

    def describe(self, run: RunHandle) -> str:
        """What it would do, in one sentence."""
        receivers = [self.topic or os.environ.get("NIGHTSHIFT_TOPIC_ARN"), "the webhook" if self.webhook else None]
        to = " and ".join(one for one in receivers if one) or "the log"
        when = {"failure": " if a step has failed", "success": " if no step has failed", "always": ""}[self.condition]
        return f"sends an alert to {to}{when}"

    def __call__(self, run: RunHandle) -> dict[str, Any]:
        """Output: message, sent_to (a list of: log, the topic's ARN, webhook), suppressed (as one like it is fresh)."""
        text = self._text(run)
        run.log(text, level="error" if run.failure else "info")
        receivers: dict[str, Callable[[], None]] = {}
        topic = self.topic or os.environ.get("NIGHTSHIFT_TOPIC_ARN")
        if topic:
            receivers[topic] = lambda: self._publish(topic, run, text)
        if self.webhook:
            url = self.webhook
            receivers["webhook"] = lambda: self._post(url, run, text)
        if self.dedupe_key and receivers and self._is_fresh():
            run.log(f"no alert is sent: one of '{self.dedupe_key}' was within {self.dedupe_for:g} s")
            return {"message": text, "sent_to": ["log"], "suppressed": True}
        sent_to, errors = ["log"], []
        for name, send in receivers.items():
            try:
                _tried(run, send)
                sent_to.append(name)
            except (StepError, TransientError) as error:
                errors.append(error)
        if self.dedupe_key and len(sent_to) > 1:
            self._remember(run)
        if errors:
            kind = TransientError if any(isinstance(error, TransientError) for error in errors) else StepError
            raise kind("; ".join(error.message for error in errors))
        return {"message": text, "sent_to": sent_to, "suppressed": False}

    def _text(self, run: RunHandle) -> str:
        how = _outcome(run)
        return f"{self.message} ({how})" if self.message and run.failure else self.message or how

    def _publish(self, topic: str, run: RunHandle, text: str) -> None:
        more = {}
        if topic.endswith(".fifo"):
            key = self.dedupe_key or run.id
            more = {"MessageGroupId": run.task_id, "MessageDeduplicationId": hashlib.sha256(key.encode()).hexdigest()}
        with said_plainly(f"publishing to {topic}"):
            clients.client("sns").publish(TopicArn=topic, Subject=_subject(run), Message=text, **more)

    def _post(self, url: str, run: RunHandle, text: str) -> None:
        from urllib.parse import urlsplit

        from chalicelib.processors.http_client import Request, ask, checked_url

        status = "failed" if run.failure else "completed"
        body = {"text": text, "task_id": run.task_id, "run_id": run.id, "status": status, "error": run.failure}
        body |= {"dedupe_key": self.dedupe_key} if self.dedupe_key else {}
        try:
            host = urlsplit(checked_url(url)).netloc.rpartition("@")[2]  # the path is often the password: no message shows it
        except ValueError as error:
            raise StepError(f"webhook: {error}") from None
        request = Request("POST", url, {"Content-Type": "application/json"}, json.dumps(body).encode(), _WEBHOOK_TIMEOUT)
        with ask(run, request, shown=f"the webhook at {host}") as reply:
            if reply.status >= 300:
                raise reply.refused(quote=False)  # servers like to repeat the path

    def _is_fresh(self) -> bool:
        """Whether an alert of this key was sent within `dedupe_for`; without a bucket nobody knows."""
        place = self._place()
        if place is None:
            return False
        from botocore.exceptions import ClientError

        bucket, key = place
        try:
            found = clients.client("s3").head_object(Bucket=bucket, Key=key)
        except ClientError:
            return False  # rather one alert too many
        return bool(time.time() - found["LastModified"].timestamp() < self.dedupe_for)

    def _remember(self, run: RunHandle) -> None:
        from botocore.exceptions import BotoCoreError, ClientError

        place = self._place()
        if place is None:
            return
        try:
            clients.client("s3").put_object(Bucket=place[0], Key=place[1], Body=run.id.encode())
        except (BotoCoreError, ClientError) as error:
            run.log(f"the alert is sent, but not remembered: {error}", level="warning")

    def _place(self) -> tuple[str, str] | None:
        bucket = os.environ.get("NIGHTSHIFT_BUCKET")
        return (bucket, f"alerts/{hashlib.sha256((self.dedupe_key or '').encode()).hexdigest()}") if bucket else None


def _tried(run: RunHandle, send: Callable[[], None]) -> None:
    """Three times, as long as the reason passes."""
    for number in range(1, _TRIES + 1):
        try:
            return send()
        except TransientError:
            if number == _TRIES:
                raise
        until = time.monotonic() + random.uniform(0.5, 1) * _FIRST_WAIT * 2 ** (number - 1)
        while (left := until - time.monotonic()) > 0:
            run.check_stopped()
            time.sleep(min(left, 0.1))
    return None


def _outcome(run: RunHandle) -> str:
    if not run.failure:
        return f"{run.task_id}: run {run.id} is well"
    step = run.failure.get("step")
    return f"{run.task_id}: run {run.id} failed" + (f" at {step}" if step else "") + f": {run.failure.get('message', '')}"


def _subject(run: RunHandle) -> str:
    """SNS takes 100 ASCII characters at most."""
    text = f"{run.task_id} {'failed' if run.failure else 'is well'}"
    return text.encode("ascii", "replace").decode()[:100]
