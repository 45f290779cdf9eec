"""Requests to Elasticsearch and OpenSearch."""

from __future__ import annotations

import json
import random
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from chalicelib.domain.errors import StepError, TransientError
from chalicelib.domain.handle import RunHandle
from chalicelib.processors.bulk_batches import Batch, Document
from chalicelib.processors.credentials import Credentials
from chalicelib.processors.http_client import Request, ask, retry_after, shown_url
from chalicelib.processors.rows import Digits, json_text

_FIRST_WAIT, _MOST_WAIT = 0.5, 30.0  # seconds
_MOST_ANSWER = 200_000_000  # bytes
_TOO_LARGE = 413
_GONE = 404

Sent = list[tuple[Document, bytes]]


@dataclass
class Cluster:
    """One cluster, and how to speak to it; `retries` is for what it is too busy for."""

    url: str
    auth: Credentials | None
    trusted: str | None
    timeout: float
    retries: int

    def send(self, run: RunHandle, index: str, batch: Batch) -> None:
        """Send a batch, and note in it what became of each document.

        TransientError when the cluster stays too busy or away for a whole request; single documents are rejected then.
        """
        pending: list[Sent] = [batch.documents]
        while pending:
            part = pending.pop()
            try:
                again = self._once(run, index, part, batch)
            except _TooLarge as error:
                if len(part) == 1:
                    batch.rejected.append(part[0][0].rejection(_TOO_LARGE, "too_large", str(error)))
                else:
                    pending += [part[len(part) // 2 :], part[: len(part) // 2]]
                continue
            failures = 0
            while again:
                failures += 1
                if failures > self.retries:
                    batch.rejected += [document.rejection(status, kind, reason) for (document, _), status, kind, reason in again]
                    break
                self._wait(run, failures, None)
                batch.retried += len(again)
                again = self._once(run, index, [sent for sent, *_ in again], batch)

    def search(self, run: RunHandle, index: str, body: dict[str, Any]) -> dict[str, Any]:
        """The `hits` of a search: {total, hits}."""
        answer = self._asked(run, "POST", f"/{quote(index, safe=',*-')}/_search", body).get("hits")
        if not isinstance(answer, dict) or not isinstance(answer.get("hits"), list):
            raise StepError(f"{self._shown()} does not answer as a search does: is it Elasticsearch or OpenSearch?")
        return answer

    def refresh(self, run: RunHandle, index: str) -> None:
        """Let searches see what was sent."""
        self._asked(run, "POST", f"/{quote(index)}/_refresh", None)

    def _once(self, run: RunHandle, index: str, part: Sent, batch: Batch) -> list[tuple[tuple[Document, bytes], int, str, str]]:
        """Send once; what is to be sent again, with why."""
        content = b"".join(lines for _, lines in part)
        answer = self._asked(run, "POST", f"/{quote(index)}/_bulk", content)
        batch.bytes += len(content)
        items = answer.get("items")
        if not isinstance(items, list) or len(items) != len(part):
            raise StepError(f"{self._shown()} does not answer as a bulk API does: is it Elasticsearch or OpenSearch?")
        again = []
        for sent, item in zip(part, items, strict=True):
            ((action, result),) = item.items()
            status = int(result.get("status", 0))
            if status < 300 or (action == "delete" and status == _GONE):
                batch.indexed += 1
                continue
            kind, reason = _said(result.get("error"))
            if status == 429 or status >= 500:
                again.append((sent, status, kind, reason))
            else:
                batch.rejected.append(sent[0].rejection(status, kind, reason))
        return again

    def _asked(self, run: RunHandle, method: str, path: str, body: Any) -> dict[str, Any]:
        """The JSON that a request is answered with; what passes is tried again."""
        kind = "application/x-ndjson" if isinstance(body, bytes) else "application/json"
        content = body if isinstance(body, bytes) or body is None else json_text(body).encode()
        headers = {**(self.auth.headers() if self.auth else {}), "Accept": "application/json"}
        headers |= {"Content-Type": kind} if content is not None else {}
        url, _, query = self.url.partition("?")
        address = f"{url.rstrip('/')}{path}" + (f"{'&' if '?' in path else '?'}{query}" if query else "")
        failures = 0
        while True:
            asked_to_wait = None
            try:
                with ask(run, Request(method, address, headers, content, self.timeout, False, self.trusted)) as reply:
                    if reply.status == _TOO_LARGE:
                        raise _TooLarge(f"{self._shown()} takes no request of {len(content or b'')} bytes")
                    if reply.status >= 300:
                        asked_to_wait = retry_after(reply.headers)
                        raise reply.refused()
                    answer = reply.read(_MOST_ANSWER)
                return dict(json.loads(answer, parse_float=Digits))
            except TransientError:
                failures += 1
                if failures > self.retries:
                    raise
                self._wait(run, failures, asked_to_wait)
            except ValueError:
                raise StepError(f"{self._shown()} answers what is no JSON: is it Elasticsearch or OpenSearch?") from None

    def _wait(self, run: RunHandle, failures: int, asked: float | None) -> None:
        """Full jitter, so that several do not come back at once; longer when the cluster says so."""
        wait = random.uniform(0, min(_MOST_WAIT, _FIRST_WAIT * 2 ** (failures - 1)))
        until = time.monotonic() + max(wait, min(asked or 0.0, _MOST_WAIT))
        while (left := until - time.monotonic()) > 0:
            run.check_stopped()
            time.sleep(min(left, 0.1))

    def _shown(self) -> str:
        return shown_url(self.url)


class _TooLarge(Exception):
    """The request has more bytes than the cluster takes."""


def _said(error: Any) -> tuple[str, str]:
    """Type and reason of an item's error, with what caused it."""
    if not isinstance(error, dict):
        return "rejected", str(error or "without a reason")
    reason = str(error.get("reason", ""))
    cause = error.get("caused_by")
    if isinstance(cause, dict) and cause.get("reason"):
        reason += f" ({cause['reason']})"
    return str(error.get("type", "rejected")), reason
