"""What the pages promise, asked without a browser."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import urljoin

import pytest

from chalicelib.api.http import Reply
from chalicelib.domain.run import RunRecord
from chalicelib.engine.services import Services
from chalicelib.store import runs
from chalicelib.store.codec import to_json
from chalicelib.store.records import run_key, run_of
from tests.unit.web.conftest import HOSTILE, TOKEN, Ask

PATHS: list[tuple[str, dict[str, str]]] = [
    ("/admin/task", {}),
    ("/admin/task/{key}", {"key": "ask"}),
    ("/admin/task/{key}", {"key": "drop"}),
    ("/admin/task/{key}", {"key": "copy_files"}),
    ("/admin/task/{key}", {"key": "hostile"}),
    ("/admin/runs", {}),
    ("/admin/schedule", {}),
    ("/admin/stats", {}),
]


def put_run(services: Services, **more: Any) -> RunRecord:
    """A finished run as the table holds it."""
    now = services.now()
    values: dict[str, Any] = {
        "id": "01M80QNX75B8MCMJF4EX5Y5G53",
        "task_id": "hostile",
        "status": "failed",
        "trigger": "manual",
        "created_at": now - 5000,
        "started_at": now - 4000,
        "finished_at": now - 1000,
    }
    values |= more
    runs.put_new_run(services.table, RunRecord(**values))
    ended = {name: to_json(more[name]) for name in ("result", "error") if name in more}
    change = "SET finished_at = :at" + "".join(f", #{name} = :{name}" for name in ended)
    return run_of(services.table.update(run_key(values["id"]), change, at=now - 1000, **ended))


@pytest.mark.parametrize(("path", "params"), PATHS)
def test_each_page_has_a_strict_policy_and_nothing_inline(ask: Ask, path: str, params: dict[str, str]) -> None:
    reply = ask("GET", path, params)
    assert reply.status == 200
    policy = reply.headers["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert "wss://sockets.example" in policy
    assert reply.headers["X-Content-Type-Options"] == "nosniff"
    assert reply.headers["Cache-Control"] == "no-store"
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=", reply.body)
    assert HOSTILE not in reply.body


@pytest.mark.parametrize(("path", "params"), PATHS)
def test_each_page_answers_json(ask: Ask, path: str, params: dict[str, str]) -> None:
    reply = ask("GET", path, params, accept="application/json")
    assert reply.headers["Content-Type"] == "application/json"
    assert json.loads(reply.body).keys() & {"tasks", "task", "runs", "days"}


@pytest.mark.parametrize(("prefix", "slash"), [("", ""), ("/api", ""), ("/api", "/"), ("/deep/base/path", "")])
@pytest.mark.parametrize(("path", "params"), PATHS)
def test_links_hold_below_any_stage(ask: Ask, path: str, params: dict[str, str], prefix: str, slash: str) -> None:
    body = ask("GET", path, params, prefix=prefix, slash=slash).body
    here = "https://here.example" + prefix + path.format(**params) + slash
    links = [link.replace("&amp;", "&") for link in re.findall(r'(?:href|src|action|hx-get)="([^"#][^"]*)"', body)]
    assert len(links) > 5
    wrong = [link for link in links if not urljoin(here, link).startswith(f"https://here.example{prefix}/")]
    assert wrong == []
    assert {urljoin(here, link).removeprefix(f"https://here.example{prefix}").split("/")[1] for link in links} <= {
        "admin", "static", "uploads"}  # fmt: skip


def test_root_leads_to_the_tasks(ask: Ask) -> None:
    reply = ask("GET", "/", cookie=None, query={"token": TOKEN})
    assert (reply.status, reply.headers["Location"]) == (303, f"./admin/task?token={TOKEN}")


def test_token_in_the_address_becomes_a_cookie(ask: Ask) -> None:
    reply = ask(
        "GET", "/admin/task/{key}", {"key": "ask"}, cookie=None, query={"token": TOKEN, "from": "x"}, x_forwarded_proto="https"
    )
    assert (reply.status, reply.headers["Location"]) == (303, "../../admin/task/ask?from=x")
    cookie = reply.headers["Set-Cookie"]
    assert cookie.startswith(f"nightshift_token={TOKEN};")
    assert {"HttpOnly", "SameSite=Lax", "Secure", "Path=/"} <= {part.strip() for part in cookie.split(";")}


@pytest.mark.parametrize("query", [{}, {"token": "wrong"}])
def test_strangers_see_the_login_and_nothing_else(ask: Ask, query: dict[str, str]) -> None:
    reply = ask("GET", "/admin/task/{key}", {"key": "ask"}, cookie=None, query=query)
    assert reply.status == 401
    assert "Log in" in reply.body
    assert "Set-Cookie" not in reply.headers
    assert ask("GET", "/admin/task", cookie="wrong", accept="application/json").status == 401


def test_login_goes_only_to_pages_of_ours(ask: Ask) -> None:
    for asked, place in [
        ("admin/run/X", "../admin/run/X"),
        ("//evil.example", "../admin/task"),
        ("admin/../..//evil", "../admin/task"),
    ]:
        reply = ask("POST", "/admin/login", form={"token": TOKEN, "asked": asked}, cookie=None)
        assert (reply.status, reply.headers["Location"]) == (303, place)


@pytest.mark.parametrize(
    "headers",
    [{"origin": "https://evil.example"}, {"origin": "null"}, {"sec_fetch_site": "cross-site"}, {"sec_fetch_site": "same-site"}],
)
def test_forms_of_other_sites_change_nothing(ask: Ask, services: Services, headers: dict[str, str]) -> None:
    reply = ask("POST", "/admin/task/{key}/start", {"key": "copy_files"}, form={}, **headers)
    assert reply.status == 403
    assert _runs(ask) == []


def test_wrong_fields_come_back_with_their_messages(ask: Ask) -> None:
    form = {"arg.word": HOSTILE, "arg.count": "9", "arg.password": "hush", "arg.other": "1"}
    reply = ask("POST", "/admin/task/{key}/start", {"key": "ask"}, form=form)
    assert reply.status == 422
    assert "has at most 5 characters" in reply.body
    assert "is at most 3, not 9" in reply.body
    assert "is not a parameter" in reply.body
    assert 'value="9"' in reply.body
    assert 'id="field-really" name="arg.really" value="true" checked' not in reply.body, "an unticked box stays so"
    assert HOSTILE not in reply.body
    assert "hush" not in reply.body
    assert _runs(ask) == []


def test_a_form_starts_one_run_however_often_it_is_sent(ask: Ask, services: Services, invoked: list[Any]) -> None:
    form = {"arg.word": "abc", "arg.count": "3", "arg.really": "true", "nonce": "N1"}
    replies = [ask("POST", "/admin/task/{key}/start", {"key": "ask"}, form=form) for _ in range(2)]
    assert [r.status for r in replies] == [303, 303]
    assert replies[0].headers["Location"] == replies[1].headers["Location"]
    (run,) = _runs(ask)
    assert (run["trigger"], run["args"]) == ("manual", {"word": "abc", "count": 3, "really": True})
    changed = ask("POST", "/admin/task/{key}/start", {"key": "ask"}, form=form | {"arg.word": "xyz"})
    assert changed.headers["Location"] != replies[0].headers["Location"]


def test_a_form_without_scripts_carries_its_file(ask: Ask, services: Services) -> None:
    def send(content: str) -> Reply:
        parts = "".join(f'--B\r\nContent-Disposition: form-data; name="{n}"\r\n\r\n{v}\r\n' for n, v in [("arg.word", "ab")])
        parts += f'--B\r\nContent-Disposition: form-data; name="arg.paper"; filename="a b.txt"\r\nContent-Type: text/plain\r\n\r\n{content}\r\n--B--\r\n'
        kind = {"content_type": "multipart/form-data; boundary=B"}
        return ask("POST", "/admin/task/{key}/start", {"key": "ask"}, body=parts.encode(), **kind)

    assert "has at most 10 bytes" in send("much too long").body
    assert send("short\r\n!").status == 303
    (run,) = _runs(ask)
    assert run["args"]["paper"]["name"] == "a b.txt"
    stored = services.s3().get_object(Bucket="the-bucket", Key=run["args"]["paper"]["key"])["Body"].read()
    assert stored == b"short\r\n!"


def test_danger_wants_the_id(ask: Ask) -> None:
    for typed, status in [("", 422), ("dro", 422), ("drop", 303)]:
        assert ask("POST", "/admin/task/{key}/start", {"key": "drop"}, form={"confirm": typed}).status == status
    assert len(_runs(ask)) == 1


def test_a_dangerous_run_again_goes_through_its_form(ask: Ask, services: Services) -> None:
    run = put_run(services, task_id="drop")
    reply = ask("POST", "/admin/run/{run_id}/retry", {"run_id": run.id}, form={})
    assert reply.headers["Location"] == f"../../../admin/task/drop?from={run.id}"


def test_programs_start_with_json(ask: Ask) -> None:
    reply = ask(
        "POST", "/admin/task/{key}/start", {"key": "ask"}, body=b'{"args": {"word": "ab"}}',
        content_type="application/json", accept="application/json",
    )  # fmt: skip
    assert (reply.status, json.loads(reply.body)["status"]) == (202, "queued")
    reply = ask(
        "POST", "/admin/task/{key}/start", {"key": "ask"}, body=b"{}", content_type="application/json", accept="application/json"
    )
    assert (reply.status, json.loads(reply.body)["errors"]) == (422, [{"field": "word", "message": "is required"}])


def test_pausing_and_editing(ask: Ask) -> None:
    where = {"key": "copy_files"}
    assert ask("POST", "/admin/task/{key}/enabled", where, form={"enabled": "false"}).status == 303
    assert "is paused" in ask("GET", "/admin/task/{key}", where).body
    assert ask("POST", "/admin/task/{key}/start", where, form={}).status == 409
    edits = {"schedule": "61 * * * *", "time_zone": "", "timeout": "2m", "retry_count": "1"}
    reply = ask("POST", "/admin/task/{key}/edit", where, form=edits)
    assert reply.status == 422
    assert "61" in reply.body
    assert ask("POST", "/admin/task/{key}/edit", where, form=edits | {"schedule": "5 * * * *"}).status == 303
    shown = json.loads(ask("GET", "/admin/task/{key}", where, accept="application/json").body)["task"]
    assert (shown["schedule"], shown["time_zone"], shown["timeout"], shown["retry_count"]) == ("5 * * * *", "UTC", "2m", 1)


def test_a_run_shows_hostile_results_and_errors_as_text(ask: Ask, services: Services) -> None:
    result = {HOSTILE: HOSTILE, "rows": [{HOSTILE: HOSTILE, "n": 1}], "deep": [{"a": [HOSTILE, None, True]}, 3]}
    line = {"seq": 1, "at": "2026-01-01T00:00:00.000Z", "type": "line", "stream": "stdout", "text": f"\x1b[31m{HOSTILE}\x1b[0m"}
    error = {"type": HOSTILE, "message": HOSTILE, "step": HOSTILE, "traceback": HOSTILE}
    run = put_run(services, result=result, error=error, args={"file": {"name": HOSTILE, "key": "uploads/x"}}, seq=1, tail=[line])
    body = ask("GET", "/admin/run/{run_id}", {"run_id": run.id}).body
    assert HOSTILE not in body
    assert body.count("&lt;script&gt;") > 8
    assert '<span class="stdout">&lt;script&gt;' in body, "lines are read without colours"


def test_filters_narrow_the_lists(ask: Ask, services: Services) -> None:
    put_run(services)
    assert _ids(ask, q="COPY") == ["copy_files"]
    assert _ids(ask, trigger="schedule") == ["copy_files"]
    assert _ids(ask, tag="files", status="failed") == []
    assert ask("GET", "/admin/runs", query={"status": "failed", "since": "day", "task": ""}).body.count("data-row") == 1
    assert "No run fits" in ask("GET", "/admin/runs", query={"status": "completed"}).body
    assert ask("GET", "/admin/runs", query={"status": "odd"}).status == 400
    assert ask("GET", "/admin/runs", query={"cursor": "odd"}).status == 400


def test_unknown_things_are_404(ask: Ask) -> None:
    assert ask("GET", "/admin/task/{key}", {"key": "nope"}).status == 404
    assert ask("GET", "/admin/run/{run_id}", {"run_id": "nope"}).status == 404
    assert ask("GET", "/static/{version}/{name}", {"version": "x", "name": "../serve.py"}).status == 404


def test_static_files_are_kept_for_ever_under_their_version_only(ask: Ask) -> None:
    version = re.search(r"static/(\w+)/app\.css", ask("GET", "/admin/task").body)
    assert version
    current = ask("GET", "/static/{version}/{name}", {"version": version[1], "name": "app.css"}, cookie=None)
    assert "immutable" in current.headers["Cache-Control"]
    other = ask("GET", "/static/{version}/{name}", {"version": "old", "name": "app.css"}, cookie=None)
    assert other.headers["Cache-Control"] == "no-cache"


def _runs(ask: Ask) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(ask("GET", "/admin/runs", accept="application/json").body)["runs"]
    return found


def _ids(ask: Ask, **query: str) -> list[str]:
    found = json.loads(ask("GET", "/admin/task", query=query, accept="application/json").body)["tasks"]
    return [task["id"] for task in found]


def test_history_of_a_task_is_filtered(ask: Ask, services: Services) -> None:
    put_run(services, task_id="ask")
    where = {"key": "ask"}
    assert ask("GET", "/admin/task/{key}", where, query={"status": "failed", "since": "week"}).body.count("data-row") == 1
    part = ask("GET", "/admin/task/{key}", where, query={"status": "completed"}, x_fragment="history").body
    assert "No run fits" in part
    assert "<html" not in part
    assert ask("GET", "/admin/task/{key}", where, query={"status": "odd"}).status == 400


def test_dependencies_are_drawn_on_both_sides(ask: Ask, services: Services) -> None:
    for name, before in (("ask", ["copy_files"]), ("hostile", ["ask"])):
        services.catalog.tasks[name] = services.catalog.tasks[name].model_copy(update={"depends_on": before})
    body = ask("GET", "/admin/task/{key}", {"key": "ask"}).body
    assert 'aria-label="1 before it, 1 after it"' in body
    assert body.count('class="arrow"') == 2
    assert HOSTILE not in body
    shown = json.loads(ask("GET", "/admin/task/{key}", {"key": "ask"}, accept="application/json").body)
    assert (shown["upstream"], shown["downstream"]) == (["copy_files"], ["hostile"])
    assert set(_ids(ask, trigger="dependency")) == {"ask", "hostile"}
