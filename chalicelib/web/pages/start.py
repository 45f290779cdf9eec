"""Starting a task from its form: arguments checked, danger confirmed, files put into the bucket."""

from __future__ import annotations

import hashlib
import re
import time
from base64 import b64decode
from typing import Any

from chalicelib.api.http import Reply
from chalicelib.api.tasks import WAIT_SECONDS
from chalicelib.api.views import run_view, started_view
from chalicelib.domain.arguments import UPLOADS, validate_arguments
from chalicelib.domain.errors import (
    ConflictError,
    FieldError,
    InvalidArgumentsError,
    InvalidError,
    NightshiftError,
    RateLimitedError,
)
from chalicelib.domain.ids import new_run_id
from chalicelib.domain.model import CatalogTask
from chalicelib.domain.run import RunRecord
from chalicelib.engine import starter
from chalicelib.store.codec import to_json
from chalicelib.store.runs import get_run
from chalicelib.web.forms import Form, read_form
from chalicelib.web.pages.task import task_page
from chalicelib.web.visit import View, Visit, redirect


def start(visit: Visit) -> Reply | View:
    """Start, and go to the run's page. Wrong fields: the form again, 422."""
    return _started(visit, wait=False)


def run(visit: Visit) -> Reply | View:
    """The same, waiting for the run's end, 25 s at most."""
    return _started(visit, wait=True)


def _started(visit: Visit, *, wait: bool) -> Reply | View:
    services = visit.services
    task = services.registry.task(visit.request.params["key"])
    form = read_form(visit.request)
    given = form.arguments(task.parameters)
    try:
        args = _checked(task, form, given)
        stored = {name: _stored(visit, value) for name, value in args.items()}
        key, who = _key(form, stored), visit.request.who
        made = starter.start(services, task.id, stored, trigger="manual", idempotency_key=key, by=who)
    except (InvalidError, ConflictError, RateLimitedError) as error:
        if visit.wants_json:
            raise
        return _form_again(visit, task, given, error)
    if wait:
        made = _ended(visit, made)
    if visit.wants_json:
        body = run_view(services, made) if wait else started_view(services, made)
        return Reply(to_json(body), 200 if made.terminal else 202, {"Content-Type": "application/json"})
    return redirect(visit, f"/admin/run/{made.id}")


def _checked(task: CatalogTask, form: Form, given: dict[str, Any]) -> dict[str, Any]:
    """The arguments as the task gets them. Raises InvalidArgumentsError for wrong ones and for a danger that is not confirmed."""
    args: dict[str, Any] = {}
    errors: list[FieldError] = []
    try:
        args = validate_arguments(task.parameters, given)
    except InvalidArgumentsError as error:
        errors += error.errors
    if task.danger and form.text("confirm") != task.id:
        errors.append(FieldError("confirm", f"type {task.id} to confirm"))
    if errors:
        count = len(errors)
        raise InvalidArgumentsError(f"{count} field{'s need' if count > 1 else ' needs'} another look", errors)
    return args


def _form_again(visit: Visit, task: CatalogTask, given: dict[str, Any], error: NightshiftError) -> View:
    by_name = {e.field: e.message for e in error.errors}
    return task_page(visit, task, given, by_name, error)


def _stored(visit: Visit, value: Any) -> Any:
    """A file that came inside the form goes into the bucket: a run remembers where it lies, not what it holds."""
    if not isinstance(value, dict) or "content_base64" not in value:
        return value
    safe = re.sub(r"[^A-Za-z0-9._-]", "_", value["name"])[-100:] or "file"
    key = f"{UPLOADS}{new_run_id()}/{safe}"
    visit.services.s3().put_object(Bucket=visit.services.settings.bucket, Key=key, Body=b64decode(value["content_base64"]))
    return {"name": value["name"], "key": key}


def _key(form: Form, args: dict[str, Any]) -> str | None:
    """One key per form and arguments: pressed twice it is one run, changed and sent again another."""
    nonce = form.text("nonce")
    said = to_json({k: v["name"] if isinstance(v, dict) else v for k, v in args.items()})
    return f"{nonce[:64]}-{hashlib.sha256(said.encode()).hexdigest()[:16]}" if nonce else None


def _ended(visit: Visit, run: RunRecord) -> RunRecord:
    started, pause = time.monotonic(), 0.05
    while not run.terminal and time.monotonic() - started < WAIT_SECONDS:
        time.sleep(pause)
        pause = min(pause * 1.5, 0.5)
        run = get_run(visit.services.table, run.id)
    return run
