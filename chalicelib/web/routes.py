"""Every page and form of the web. app.py registers them beside the routes of the REST API."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Page:
    """One route of the pages: `handler` is `module:function` in chalicelib.web.pages, imported when it is first called."""

    method: str
    path: str
    handler: str
    public: bool = False


PAGES = (
    Page("GET", "/", "entry:home", public=True),
    Page("GET", "/admin", "entry:home", public=True),
    Page("POST", "/admin/login", "entry:login", public=True),
    Page("POST", "/admin/logout", "entry:logout", public=True),
    Page("GET", "/admin/task", "tasks:show"),
    Page("GET", "/admin/task/{key}", "task:show"),
    Page("POST", "/admin/task/{key}/start", "start:start"),
    Page("POST", "/admin/task/{key}/run", "start:run"),
    Page("POST", "/admin/task/{key}/stop", "task:stop"),
    Page("POST", "/admin/task/{key}/enabled", "task:enable"),
    Page("POST", "/admin/task/{key}/edit", "task:edit"),
    Page("GET", "/admin/run/{run_id}", "run:show"),
    Page("POST", "/admin/run/{run_id}/stop", "run:stop"),
    Page("POST", "/admin/run/{run_id}/retry", "run:retry"),
    Page("GET", "/admin/runs", "runs:show"),
    Page("GET", "/admin/schedule", "schedule:show"),
    Page("POST", "/admin/schedule/paused", "schedule:pause"),
    Page("GET", "/admin/stats", "stats:show"),
    Page("GET", "/static/{version}/{name}", "assets:show", public=True),
)
