"""Chalice entry: routes, WebSocket handlers, the functions of dispatcher and sweeper, and one Lambda per task.

Nothing but registration stands here, and nothing heavy is imported: each function imports what it needs when it is first called.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from chalice import Chalice, Rate, Response
from chalice.app import CloudWatchEvent, WebsocketEvent

from chalicelib.api.routes import ROUTES, Route
from chalicelib.web.routes import PAGES, Page

app = Chalice(app_name="nightshift", configure_logs=False)
app.experimental_feature_flags.update(["WEBSOCKETS"])
app.api.binary_types.append("multipart/form-data")

RESERVE_MS = 1_000  # of a Lambda's time, for its own end
BODIES = ["application/json", "application/x-www-form-urlencoded", "text/plain"]
# A form may carry files, which are binary, and Chalice deploys no route that names both kinds; the pages look for themselves.
ANY_BODY = ["*/*"]


def _request(params: dict[str, str]) -> Any:
    from chalicelib.api.http import Request
    from chalicelib.bootstrap import services

    asked = app.current_request
    return Request(
        services=services(),
        params=params,
        query={k: asked.query_params[k] for k in asked.query_params or {}},
        headers={k.lower(): v for k, v in asked.headers.items()},
        raw_body=asked.raw_body or b"",
    )


def _answer(route: Route, params: dict[str, str]) -> Response:
    from chalicelib.api.auth import check_origin, check_token
    from chalicelib.api.http import Reply, call, problem
    from chalicelib.domain.errors import NightshiftError

    try:
        request = _request(params)
        if not route.public:
            request.who = check_token(request.services, request.headers)
            check_origin(request.headers, route.method)
        reply: Reply = call(route.handler, request)
    except NightshiftError as error:
        reply = problem(error)
    return Response(reply.body, reply.headers, reply.status)


def _view(route: Route) -> Any:
    def view(**params: str) -> Response:
        return _answer(route, params)

    view.__name__ = route.handler.split(":")[1]
    return view


def _page(page: Page) -> Any:
    def view(**params: str) -> Response:
        from chalicelib.web.serve import serve

        request = _request(params)
        reply = serve(request.services, page, request, app.current_request.context)
        return Response(reply.body, reply.headers, reply.status)

    view.__name__ = "page_" + page.handler.replace(":", "_")
    return view


for _route in ROUTES:
    app.route(_route.path, methods=[_route.method], content_types=BODIES)(_view(_route))
for _site in PAGES:
    app.route(_site.path, methods=[_site.method], content_types=ANY_BODY)(_page(_site))


@app.on_ws_connect()
def websocket_connect(event: WebsocketEvent) -> dict[str, int]:
    """A client wants to follow."""
    from chalicelib.bootstrap import services
    from chalicelib.web.door import connect

    query = event.to_dict().get("queryStringParameters") or {}
    return {"statusCode": connect(services(), event.connection_id, query)}


@app.on_ws_message()
def websocket_message(event: WebsocketEvent) -> dict[str, int]:
    """A client says something; or our own $connect asks to follow on its behalf."""
    from chalicelib.bootstrap import services
    from chalicelib.web.door import message

    message(services(), event.connection_id, event.body or "")
    return {"statusCode": 200}


@app.on_ws_disconnect()
def websocket_disconnect(event: WebsocketEvent) -> dict[str, int]:
    """A client is gone."""
    from chalicelib.bootstrap import services
    from chalicelib.web.door import disconnect

    disconnect(services(), event.connection_id)
    return {"statusCode": 200}


@app.lambda_function(name="follow")
def follow(event: dict[str, Any], context: Any) -> None:
    """Begin to send a run's events to a connection that was just opened."""
    from chalicelib.bootstrap import services
    from chalicelib.web.door import follow as begin

    begin(services(), event["connection"], event["run_id"], event["after"])


@app.lambda_function(name="dispatcher")
def dispatcher(event: dict[str, Any], context: Any) -> None:
    """A cadence rule rang."""
    from chalicelib.bootstrap import services
    from chalicelib.engine.dispatcher import dispatch

    dispatch(services())


class SweeperEvent(CloudWatchEvent):
    """The clock's event, or Lambda's report of a process that ended badly, which has none of the clock's fields."""

    def _extract_attributes(self, event_dict: dict[str, Any]) -> None: ...


@app.schedule(Rate(1, unit=Rate.MINUTES), name="sweeper")
def sweeper(event: CloudWatchEvent) -> dict[str, Any]:
    """Once a minute, and whenever Lambda reports a task's process that ended badly."""
    from chalicelib.bootstrap import services
    from chalicelib.engine.functions import sweep_event

    return sweep_event(services(), event.to_dict())


sweeper.event_class = SweeperEvent


def _task_function(name: str) -> Any:
    def run(event: dict[str, Any], context: Any) -> None:
        from chalicelib.bootstrap import services
        from chalicelib.engine.functions import run_message

        run_message(services(), event, (context.get_remaining_time_in_millis() - RESERVE_MS) / 1000)

    # Chalice names the handler after the function, and Lambda looks it up in this module.
    run.__name__ = name
    return run


def _function_names() -> list[str]:
    """The functions of the compiled catalog; only their names, so that nothing has to be validated here."""
    path = os.environ.get("NIGHTSHIFT_CATALOG") or Path(__file__).parent / "chalicelib" / "catalog.json"
    tasks: dict[str, dict[str, Any]] = json.loads(Path(path).read_bytes())["tasks"]
    return sorted({task["function"] for task in tasks.values()})


for _name in [*_function_names(), "task_runtime"]:
    globals()[_name] = app.lambda_function(name=_name)(_task_function(_name))
