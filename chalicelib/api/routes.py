"""Every route of the REST API. app.py registers them, /openapi.json and the documentation are made of them."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Route:
    """One route: `handler` is `module:function` in chalicelib.api, imported when it is first called."""

    method: str
    path: str
    handler: str
    summary: str
    query: dict[str, str] = field(default_factory=dict)
    body: str = ""
    answers: dict[int, str] = field(default_factory=dict)
    public: bool = False


WHOLE = {"limit": "how many at most (all)", "cursor": "next_cursor of the page before"}
PAGE = {"limit": "how many at most, 1 to 500 (50)", "cursor": "next_cursor of the page before"}
RUNS = PAGE | {"status": "only runs of this status", "since": "only runs made since this instant (ISO 8601)"}
START = (
    '{"args": {name: value}, "at": optional instant (ISO 8601)}; '
    'files as {"name", "key"} of an upload, or {"name", "content_base64"}'
)

ROUTES = (
    Route(
        "GET",
        "/tasks",
        "tasks:list_tasks",
        "All tasks with their status, last and next run",
        {"q": "words in id, title, description or tags", "category": "", "tag": "", "status": ""} | WHOLE,
        answers={200: "tasks"},
    ),
    Route("GET", "/task/{task_id}", "tasks:get_task", "One task: definition and state", answers={200: "task"}),
    Route(
        "PUT",
        "/task/{task_id}",
        "changes:put_task",
        "Make a task at run time out of a known pipeline",
        body="a task as in YAML, without its id",
        answers={201: "task", 200: "task"},
    ),
    Route(
        "PATCH",
        "/task/{task_id}",
        "changes:patch_task",
        "Change some of a task",
        body="the fields to change",
        answers={200: "task"},
    ),
    Route(
        "DELETE",
        "/task/{task_id}",
        "changes:delete_task",
        "Delete a task; one of the code stays hidden until it is PUT back",
        answers={204: ""},
    ),
    Route(
        "POST",
        "/task/{task_id}/_start",
        "tasks:start_task",
        "Start a run. The header Idempotency-Key makes a repeated request find the same run",
        body=START,
        answers={202: "started"},
    ),
    Route(
        "POST",
        "/task/{task_id}/_run",
        "tasks:run_task",
        "Start a run and wait for its end, 25 s at most",
        body=START,
        answers={200: "run", 202: "run"},
    ),
    Route("POST", "/task/{task_id}/_stop", "tasks:stop_task", "Stop a task's active runs", answers={202: "stopped"}),
    Route(
        "GET",
        "/task/{task_id}/fires",
        "schedule:list_fires",
        "What became of a task's fires, newest first",
        PAGE | {"since": "only fires since this instant (ISO 8601)"},
        answers={200: "fires"},
    ),
    Route("GET", "/task/{task_id}/runs", "runs:list_task_runs", "A task's runs, newest first", RUNS, answers={200: "runs"}),
    Route("GET", "/runs", "runs:list_all_runs", "All runs, newest first", RUNS, answers={200: "runs"}),
    Route("GET", "/run/{run_id}", "runs:get_run", "One run", answers={200: "run"}),
    Route(
        "GET",
        "/run/{run_id}/log",
        "runs:get_log",
        "What a run said",
        {"after": "only events with a greater seq (0)", "limit": "how many at most, 1 to 5000 (1000)", "format": "json or text"},
        answers={200: "events"},
    ),
    Route(
        "GET",
        "/run/{run_id}/result",
        "runs:get_result",
        "A finished run's result",
        {"format": "json, yaml or csv"},
        answers={200: "result"},
    ),
    Route(
        "GET",
        "/run/{run_id}/trace",
        "trace:get_trace",
        "A run as a trace: its waits, attempts and steps as spans, in OpenTelemetry's JSON",
        answers={200: "trace"},
    ),
    Route("GET", "/run/{run_id}/artifacts", "artifacts:list_artifacts", "The files that a run keeps", answers={200: "artifacts"}),
    Route(
        "GET",
        "/run/{run_id}/artifacts/{name}",
        "artifacts:get_artifact",
        "Download one of them: a redirect to a link that is good for five minutes",
        answers={302: "link"},
    ),
    Route("POST", "/run/{run_id}/_stop", "runs:stop_run", "Stop a run", answers={202: "stopped"}),
    Route("POST", "/run/{run_id}/_retry", "runs:retry_run", "Run again with the same arguments", answers={202: "started"}),
    Route(
        "GET",
        "/schedule",
        "schedule:get_schedule",
        "The fires to come, and where they would need more slots than there are",
        {"days": "how far ahead, 1 to 31 (7)", "task": "only this task's fires"},
        answers={200: "schedule"},
    ),
    Route(
        "GET",
        "/stats",
        "stats:get_stats",
        "Finished runs by day and by task: outcomes, durations, cost; and the slots in use",
        {"days": "how many days back, today included, 1 to 90 (7)", "task": "only this task's"},
        answers={200: "stats"},
    ),
    Route(
        "GET",
        "/metrics",
        "metrics:get_metrics",
        "Counters of every task, what is active and the slots in use, for Prometheus",
        answers={200: "metrics"},
    ),
    Route("POST", "/_pause", "schedule:pause_all", "Skip every fire of every task until resumed", answers={200: "paused"}),
    Route("POST", "/_resume", "schedule:resume_all", "Take fires again", answers={200: "paused"}),
    Route("GET", "/pipelines", "catalog:list_pipelines", "The pipelines and their steps", WHOLE, answers={200: "pipelines"}),
    Route(
        "GET",
        "/processors",
        "catalog:list_processors",
        "The processors with their configuration's JSON Schema",
        WHOLE,
        answers={200: "processors"},
    ),
    Route(
        "POST",
        "/uploads",
        "uploads:make_upload",
        "A form that puts one file into the bucket, for a file parameter",
        body='{"name", "size"}',
        answers={201: "upload"},
    ),
    Route("GET", "/healthz", "health:healthz", "Whether table and catalog are there", answers={200: "health"}, public=True),
    Route("GET", "/openapi.json", "openapi:openapi", "This API as OpenAPI 3", answers={200: "openapi"}, public=True),
)
