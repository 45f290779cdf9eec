"""Whether the deployed doors answer: the API, with and without a token, and the WebSocket."""

from __future__ import annotations

import time
from collections.abc import Callable

from .stage import DeployError

PATIENCE = 60.0  # seconds: a new API takes a moment until every edge knows it
TIMEOUT = 15.0


def check_doors(api_url: str, websocket_url: str, token: str, told: Callable[[str], None]) -> None:
    """Knock at each door that has an address. Raises DeployError that names the one that does not answer as it should."""
    _until_answered("the API", lambda: _healthz(api_url))
    told(f"{api_url}/healthz answers")
    if token:
        _until_answered("the API", lambda: _tasks(api_url, token))
        told(f"{api_url}/tasks/ answers the token")
    if websocket_url:
        _until_answered("the WebSocket", lambda: _websocket(websocket_url))
        told(f"{websocket_url} answers, and lets no stranger in")


def _until_answered(door: str, knock: Callable[[], str]) -> None:
    """Knock until it opens; `knock` returns what is wrong, or nothing."""
    deadline = time.monotonic() + PATIENCE
    while wrong := knock():
        if time.monotonic() > deadline:
            raise DeployError(f"{door} does not work: {wrong}. Its log groups tell more: aws logs tail /aws/lambda/…")
        time.sleep(2)


def _healthz(api_url: str) -> str:
    return _get(f"{api_url}/healthz", "", 200)


def _tasks(api_url: str, token: str) -> str:
    return _get(f"{api_url}/tasks/", token, 200)


def _get(url: str, token: str, wanted: int) -> str:
    import urllib.error
    import urllib.request

    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
            status = answer.status
    except urllib.error.HTTPError as error:
        status = error.code
    except OSError as error:
        return f"{url}: {error}"
    return "" if status == wanted else f"{url} answers {status}, not {wanted}"


def _websocket(url: str) -> str:
    """A client without a ticket is refused with 401 by our own code. API Gateway says 403 when there is nothing behind it."""
    from websockets.exceptions import InvalidStatus
    from websockets.sync.client import connect

    try:
        with connect(f"{url}?run=none&ticket=none", open_timeout=TIMEOUT):
            return f"{url} lets in whoever comes"
    except InvalidStatus as refused:
        status = refused.response.status_code
        return "" if status == 401 else f"{url} answers {status}, not 401"
    except OSError as error:
        return f"{url}: {error}"
