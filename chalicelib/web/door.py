"""The WebSocket door: following runs. Nothing here starts anything.

Connecting with `?run=` follows by itself, `{"action": "follow", "run_id", "after"}` follows (again), `{"action": "unfollow",
"run_id"}` leaves, `{"action": "ping"}` is answered. A run other than the connection's own is followed with its `ticket` alone.
Inside $connect nothing can be posted (API Gateway answers 410), so there the door asks the function `follow` to do it.

A follower gets every event once: those up to the run's seq at the moment it was noted from here, all later ones from the run
itself. The two may cross on the way, and a push may be lost: a client drops what it has seen, and asks again from its last seq when
it sees a gap.
"""

from __future__ import annotations

import json
import time
from typing import Any

from chalicelib.api.auth import check_ticket
from chalicelib.domain.errors import ForbiddenError, NightshiftError, UnauthorizedError, UnknownRunError
from chalicelib.engine.push import messages_of
from chalicelib.engine.services import Services
from chalicelib.store import connections, runs
from chalicelib.store.events import read_events

FOLLOW_FUNCTION = "follow"
MOST_DIGITS = 12
PAGE = 5_000  # events that are read and sent at a time
OPENING = (0.02, 0.05, 0.1, 0.2, 0.4)  # waits, in seconds, for a connection that is still being opened


def connect(services: Services, connection: str, query: dict[str, str]) -> int:
    """An HTTP status: 200 lets the client in. Each connection is for one run, whose ticket it brings."""
    run_id, ticket = query.get("run", ""), query.get("ticket", "")
    after = query.get("after", "0")
    if not services.settings.websocket_enabled:
        return 403
    if not (after.isascii() and after.isdigit() and len(after) < MOST_DIGITS):
        return 400
    try:
        check_ticket(services, ticket, run_id)
        runs.get_run(services.table, run_id)
    except UnauthorizedError:
        return 401
    except ForbiddenError:
        return 403
    except UnknownRunError:
        return 404
    connections.put_connection(services.table, connection, run_id, services.now())
    services.invoke(FOLLOW_FUNCTION, {"connection": connection, "run_id": run_id, "after": int(after)})
    return 200


def disconnect(services: Services, connection: str) -> None:
    """A connection is gone. Its runs forget it at their next push to it."""
    connections.forget_connection(services.table, connection)


def message(services: Services, connection: str, text: str) -> None:
    """Answer what a client says. What cannot be understood is answered with an error, in one message."""
    try:
        said = json.loads(text)
        action = said["action"]
    except (ValueError, TypeError, KeyError):
        _error(services, connection, 'say {"action": "follow" | "unfollow" | "ping"}')
        return
    if action == "ping":
        services.post(connection, json.dumps({"type": "pong"}))
    elif action == "follow":
        _follow_request(services, connection, said)
    elif action == "unfollow":
        runs.unfollow(services.table, str(said.get("run_id", "")), {connection})
    else:
        _error(services, connection, f"unknown action '{action}': say follow, unfollow or ping")


def follow(services: Services, connection: str, run_id: str, after: int) -> None:
    """Send what was said after a seq, and let the run itself send what it says from now on."""
    # First what there is, then note the follower, then the little that came meanwhile: so pushes seldom overtake.
    run = runs.get_run(services.table, run_id)
    sent = _send(services, connection, run, after)
    if sent is None or run.terminal:
        return
    run = runs.follow(services.table, run_id, connection)
    _send(services, connection, run, sent)


def _send(services: Services, connection: str, run: Any, after: int) -> int | None:
    """The last seq that was sent; None when the connection is gone."""
    while after < run.seq:
        events = read_events(services.table, run, after, PAGE)
        if not events:
            return after
        for text in messages_of(run.id, events):
            if not _post(services, connection, text):
                return None
        after = events[-1]["seq"]
    return after


def _post(services: Services, connection: str, text: str) -> bool:
    """Send; a connection that is not open yet is waited for, a moment."""
    for wait in OPENING:
        if services.post(connection, text):
            return True
        time.sleep(wait)
    return services.post(connection, text)


def _follow_request(services: Services, connection: str, said: dict[str, Any]) -> None:
    run_id, after = said.get("run_id"), said.get("after", 0)
    if not isinstance(run_id, str) or not isinstance(after, int) or after < 0:
        _error(services, connection, 'say {"action": "follow", "run_id": "…", "after": 0}')
        return
    try:
        if "ticket" in said:
            check_ticket(services, str(said["ticket"]), run_id)
        elif connections.run_of_connection(services.table, connection) != run_id:
            raise ForbiddenError("this connection was opened for another run: send that run's ticket along")
        follow(services, connection, run_id, after)
    except NightshiftError as error:
        _error(services, connection, error.message)


def _error(services: Services, connection: str, detail: str) -> None:
    services.post(connection, json.dumps({"type": "error", "detail": detail}))
