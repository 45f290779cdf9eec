"""One method per thing the API does. Shapes are those of `/openapi.json`, as plain dictionaries."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

from chalicelib.client.errors import InvalidAnswer
from chalicelib.client.follow import follow
from chalicelib.client.session import find_session
from chalicelib.client.transport import TIMEOUT, Response, Transport
from chalicelib.domain.run import Event

PAGE = 100

JSON = dict[str, Any]


class Client:
    """A Nightshift server.

    `url` and `token` default to NIGHTSHIFT_URL and NIGHTSHIFT_TOKEN, then to the `.nightshift/session.json` that a
    running `nightshift up` keeps in the project folder, then to `http://127.0.0.1:8400`. Making a client sends nothing.

    Every method raises `ProblemError` when the server refuses and `Unreachable` when there is none.
    """

    def __init__(self, url: str | None = None, token: str | None = None, agent: str = "nightshift-client") -> None:
        self.url, self.token = find_session(url, token)
        self._http = Transport(self.url, self.token, agent=agent)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close kept-alive connections."""
        self._http.close()

    # Tasks

    def tasks(
        self, q: str | None = None, category: str | None = None, tag: str | None = None, status: str | None = None
    ) -> list[JSON]:
        """Every task that matches all filters; `q` searches text."""
        query = {"q": q, "category": category, "tag": tag, "status": status}
        return list(self._pages("/tasks/", "tasks", query))

    def task(self, id: str) -> JSON:
        """Definition and state of one task."""
        return self._object(self._http.request("GET", _path("task", id)))

    def start(self, id: str, args: Mapping[str, Any] | None = None, idempotency_key: str | None = None) -> JSON:
        """Start a run and return at once: `{run_id, status, url, websocket_url}`.

        A key is made up when none is given, so a start whose answer got lost is asked again and still starts one run.
        """
        return self._object(self._start(id, "_start", args, idempotency_key))

    def run(self, id: str, args: Mapping[str, Any] | None = None, idempotency_key: str | None = None) -> JSON:
        """Start a run and return it finished, however long it takes (and whether it completed or not: see `status`)."""
        response = self._start(id, "_run", args, idempotency_key)
        answer = self._object(response)
        if response.status != 202:
            return answer
        run_id = str(answer.get("run_id") or answer["id"])
        for _ in self.follow(run_id):
            pass
        return self.get_run(run_id)

    def stop(self, id: str) -> list[str]:
        """Stop every active run of a task; the ids of those told to stop. 409 when there is none."""
        answer = self._object(self._http.request("POST", _path("task", id, "_stop")))
        return [str(run_id) for run_id in answer.get("stopped", [])]

    # Runs

    def pause(self, id: str | None = None) -> JSON:
        """Skip the fires of a task, or of all tasks, until resumed. Runs at work go on."""
        return self._pause(id, True)

    def resume(self, id: str | None = None) -> JSON:
        """Take fires again."""
        return self._pause(id, False)

    def runs(
        self, task: str | None = None, status: str | None = None, since: str | None = None, limit: int | None = None
    ) -> Iterator[JSON]:
        """Runs, newest first, page after page as they are consumed. `since` is an ISO 8601 instant."""
        path = _path("task", task, "runs") if task else "/runs"
        return self._pages(path, "runs", {"status": status, "since": since}, limit)

    def get_run(self, run_id: str) -> JSON:
        """One run: status, progress, result, error."""
        return self._object(self._http.request("GET", _path("run", run_id)))

    def stop_run(self, run_id: str) -> JSON:
        """Tell one run to stop; it ends as `stopped` once its work has been interrupted."""
        return self._object(self._http.request("POST", _path("run", run_id, "_stop")))

    def retry(self, run_id: str) -> JSON:
        """Start a new run with the arguments of a finished one: `{run_id, status, url, websocket_url}`."""
        return self._object(self._http.request("POST", _path("run", run_id, "_retry")))

    def log(self, run_id: str, after: int = 0) -> Iterator[Event]:
        """The events recorded so far with `seq > after`, in order. Does not wait for more: `follow` does."""
        while True:
            page = self._object(self._http.request("GET", _path("run", run_id, "log"), query={"after": after}))
            events = _rows(page, "events")
            yield from events
            if not events or not page.get("next_cursor"):
                return
            after = int(events[-1]["seq"])

    def result(self, run_id: str, format: str = "json") -> Any:
        """What the run returned: parsed for `json`, the text of the document for `yaml` and `csv`."""
        response = self._http.request("GET", _path("run", run_id, "result"), query={"format": format})
        return response.json() if format == "json" else response.body.decode()

    def trace(self, run_id: str) -> JSON:
        """The run as a trace in OpenTelemetry's JSON: its waits, attempts and steps as spans."""
        return self._object(self._http.request("GET", _path("run", run_id, "trace")))

    def artifacts(self, run_id: str) -> list[JSON]:
        """The files that a run keeps: `{name, path, bytes, content_type, sha256, url}` each."""
        return list(self._pages(_path("run", run_id, "artifacts"), "artifacts", {}))

    def download(self, run_id: str, name: str, to: Path | str) -> Path:
        """Save one of them to a file, or into a folder under its name; where it is. It is there whole or not at all."""
        import shutil
        from urllib.request import urlopen

        link = self._object(self._http.request("GET", _path("run", run_id, "artifacts", name)))["url"]
        target = Path(to) / name if Path(to).is_dir() else Path(to)
        partial = target.with_name(f".{target.name}.part")
        # The link carries its own leave, and goes to the bucket: no token along with it.
        with urlopen(link, timeout=TIMEOUT) as answer, partial.open("wb") as file:
            shutil.copyfileobj(answer, file)
        return partial.replace(target)

    def follow(self, run_id: str, after: int = 0) -> Iterator[Event]:
        """The run's events from `after` on, live, each once and in order, ending with `done`. Starts nothing."""
        return follow(self, run_id, after)

    # Catalog

    def schedule(self, days: int = 7, task: str | None = None) -> JSON:
        """Fires to come and their conflicts."""
        query = {"days": str(days), "task": task}
        return self._object(self._http.request("GET", "/schedule", query={k: v for k, v in query.items() if v is not None}))

    def stats(self, days: int = 7, task: str | None = None) -> JSON:
        """Finished runs by day and by task: outcomes, durations, cost; and the slots in use."""
        query = {"days": str(days), "task": task}
        return self._object(self._http.request("GET", "/stats", query={k: v for k, v in query.items() if v is not None}))

    def processors(self) -> list[JSON]:
        """Every kind of step, with the JSON Schema of its configuration."""
        return list(self._pages("/processors", "processors", {}))

    def pipelines(self) -> list[JSON]:
        """Every pipeline with its steps."""
        return list(self._pages("/pipelines", "pipelines", {}))

    def _pause(self, id: str | None, wanted: bool) -> JSON:
        if id is None:
            return self._object(self._http.request("POST", "/_pause" if wanted else "/_resume"))
        return self._object(self._http.request("PATCH", _path("task", id), body={"paused": wanted}))

    def _start(self, id: str, verb: str, args: Mapping[str, Any] | None, key: str | None) -> Response:
        headers = {"Idempotency-Key": key or uuid.uuid4().hex}
        body = {"args": dict(args or {})}
        return self._http.request("POST", _path("task", id, verb), body=body, headers=headers, idempotent=True)

    def _pages(self, path: str, key: str, query: Mapping[str, Any], limit: int | None = None) -> Iterator[JSON]:
        """Rows of every page, at most `limit`; a page is asked for when its first row is wanted."""
        cursor, left = None, limit
        while left is None or left > 0:
            size = None if left is None else min(left, PAGE)
            page = self._object(self._http.request("GET", path, query={**query, "limit": size, "cursor": cursor}))
            rows = _rows(page, key)[:left]
            yield from rows
            left = None if left is None else left - len(rows)
            cursor = page.get("next_cursor")
            if not cursor:
                return

    def _object(self, response: Response) -> JSON:
        answer = response.json()
        if not isinstance(answer, dict):
            raise InvalidAnswer(f"{self.url} answers, but not like a Nightshift")
        return answer


def _rows(page: JSON, key: str) -> list[JSON]:
    rows = page.get(key)
    if not isinstance(rows, list):
        raise InvalidAnswer(f"expected a list of {key}; is the URL that of a Nightshift?")
    return rows


def _path(*parts: str) -> str:
    return "".join("/" + quote(part, safe="") for part in parts)
