"""WebSocket clients and the @connections API."""

from __future__ import annotations

import json

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from infra.local.testing import LocalStack

from .conftest import eventually, note

pytestmark = pytest.mark.stack


def test_connecting_tells_the_run_and_posting_meanwhile_is_gone(stack: LocalStack) -> None:
    with connect(f"{stack.ws_url}/ws/task/run1?after=3") as client:
        told = note(stack, "connected")
        assert json.loads(told["query"]) == {"after": "3", "run": "run1"}
        assert told["early"] == "GoneException"
        api = stack.client("apigatewaymanagementapi")
        assert api.get_connection(ConnectionId=told["id"])["Identity"]["SourceIp"] == "127.0.0.1"
        api.post_to_connection(ConnectionId=told["id"], Data=b"hi")
        assert client.recv(5) == "hi"
    eventually(lambda: note(stack, "disconnected").get("id") == told["id"])
    with pytest.raises(api.exceptions.GoneException):
        api.post_to_connection(ConnectionId=told["id"], Data=b"hi")


def test_the_deployed_path_works_too(stack: LocalStack) -> None:
    with connect(f"{stack.ws_url}/api/?run=run2"):
        assert json.loads(note(stack, "connected")["query"]) == {"run": "run2"}


def test_messages_reach_the_function_and_answers_keep_their_order(stack: LocalStack) -> None:
    with connect(f"{stack.ws_url}/api/") as client:
        client.send(json.dumps({"action": "follow", "times": 100}))
        got = [json.loads(client.recv(5)) for _ in range(100)]
    assert [message["number"] for message in got] == list(range(100))
    assert got[0]["echo"] == {"action": "follow", "times": 100}
    assert got[0]["route"] == "$default"


def test_a_refused_connection_tells_its_status(stack: LocalStack) -> None:
    with pytest.raises(InvalidStatus) as error, connect(f"{stack.ws_url}/ws/task/run1?ticket=bad"):
        pass
    assert error.value.response.status_code == 401


def test_unknown_path_is_refused(stack: LocalStack) -> None:
    with pytest.raises(InvalidStatus) as error, connect(f"{stack.ws_url}/other"):
        pass
    assert error.value.response.status_code == 404


def test_too_large_a_post_is_refused(stack: LocalStack) -> None:
    api = stack.client("apigatewaymanagementapi")
    with connect(f"{stack.ws_url}/api/"):
        name = note(stack, "connected")["id"]
        with pytest.raises(api.exceptions.PayloadTooLargeException):
            api.post_to_connection(ConnectionId=name, Data=b"x" * (128 * 1024 + 1))


def test_a_connection_can_be_ended_from_the_server(stack: LocalStack) -> None:
    api = stack.client("apigatewaymanagementapi")
    with connect(f"{stack.ws_url}/api/") as client:
        api.delete_connection(ConnectionId=note(stack, "connected")["id"])
        assert list(client) == []


def test_a_slow_client_holds_nobody_up(stack: LocalStack) -> None:
    api = stack.client("apigatewaymanagementapi")
    with connect(f"{stack.ws_url}/api/", max_queue=1) as slow:
        name = note(stack, "connected")["id"]
        with connect(f"{stack.ws_url}/api/") as quick:
            dropped = False
            for _ in range(3000):
                try:
                    api.post_to_connection(ConnectionId=name, Data=b"x" * 100_000)
                except api.exceptions.GoneException:
                    dropped = True
                    break
            assert dropped
            quick.send("{}")
            assert json.loads(quick.recv(5))["number"] == 0
        slow.close()
