"""The processor `send_alert`."""

from __future__ import annotations

import json
import os
from typing import Any, Literal

from pydantic import Field

from chalicelib.catalog.decorators import processor
from chalicelib.domain.errors import StepError, TransientError
from chalicelib.domain.handle import RunHandle
from chalicelib.processors import clients
from chalicelib.processors.base import Processor
from chalicelib.processors.failures import said_plainly

_WEBHOOK_TIMEOUT = 10.0  # seconds


@processor("send_alert")
class SendAlert(Processor):
    """Tells people how the run went: by an SNS topic, a webhook, or the run's own log.

    Without `topic` it takes the topic in NIGHTSHIFT_TOPIC_ARN; the log has the alert in any case.
    """

    condition: Literal["failure", "success", "always"] = Field(
        "always", description="When to send: if a step before it failed, if none did, or both"
    )
    message: str | None = Field(None, description="What to say; default: how the run went")
    topic: str | None = Field(None, pattern=r"^arn:aws[a-z-]*:sns:[^:]+:\d{12}:[^:]+$", description="ARN of an SNS topic")
    webhook: str | None = Field(
        None,
        pattern=r"^https?://[^\s/]+",
        description="URL that gets the alert as JSON: text, task_id, run_id, status, error",
    )

    def applies(self, failed: bool) -> bool:
        """As `condition` says."""
        return self.condition == "always" or (self.condition == "failure") == failed

    def __call__(self, run: RunHandle) -> dict[str, Any]:
        """Output: message, sent_to (a list of: log, the topic's ARN, webhook)."""
        text = self._text(run)
        run.log(text, level="error" if run.failure else "info")
        sent_to = ["log"]
        topic = self.topic or os.environ.get("NIGHTSHIFT_TOPIC_ARN")
        if topic:
            with said_plainly(f"publishing to {topic}"):
                clients.client("sns").publish(TopicArn=topic, Subject=_subject(run), Message=text)
            sent_to.append(topic)
        if self.webhook:
            self._post(self.webhook, run, text)
            sent_to.append("webhook")
        return {"message": text, "sent_to": sent_to}

    def _text(self, run: RunHandle) -> str:
        how = _outcome(run)
        return f"{self.message} ({how})" if self.message and run.failure else self.message or how

    def _post(self, url: str, run: RunHandle, text: str) -> None:
        import urllib.error
        import urllib.request

        body = {
            "text": text,
            "task_id": run.task_id,
            "run_id": run.id,
            "status": "failed" if run.failure else "completed",
            "error": run.failure,
        }
        request = urllib.request.Request(
            url, json.dumps(body).encode(), {"Content-Type": "application/json", "User-Agent": "nightshift"}
        )
        host = request.host  # the path of a webhook is often its password: no message shows it
        try:
            with urllib.request.urlopen(request, timeout=_WEBHOOK_TIMEOUT):
                pass
        except urllib.error.HTTPError as error:
            kind = TransientError if error.code >= 500 or error.code == 429 else StepError
            raise kind(f"the webhook at {host} answered {error.code} {error.reason}") from None
        except OSError as error:
            raise TransientError(f"the webhook at {host} does not answer: {error}") from None


def _outcome(run: RunHandle) -> str:
    if not run.failure:
        return f"{run.task_id}: run {run.id} is well"
    step = run.failure.get("step")
    return f"{run.task_id}: run {run.id} failed" + (f" at {step}" if step else "") + f": {run.failure.get('message', '')}"


def _subject(run: RunHandle) -> str:
    """SNS takes 100 ASCII characters at most."""
    text = f"{run.task_id} {'failed' if run.failure else 'is well'}"
    return text.encode("ascii", "replace").decode()[:100]
