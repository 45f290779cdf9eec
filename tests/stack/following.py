"""A foreign WebSocket client: nothing but the `websockets` package and what the documentation says."""

from __future__ import annotations

import json
import socket
import time
from contextlib import ExitStack
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect


class Follower:
    """Follows a run over as many connections as it takes: drops what it has seen, asks again when it sees a gap."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.events: list[dict[str, Any]] = []
        self.twice = self.gaps = 0
        self.socket: ClientConnection | None = None
        self.open = ExitStack()

    @property
    def last(self) -> int:
        return int(self.events[-1]["seq"]) if self.events else 0

    @property
    def lines(self) -> list[str]:
        return [event["text"] for event in self.events if event["type"] == "line"]

    @property
    def done(self) -> bool:
        return bool(self.events) and self.events[-1]["type"] == "done"

    def connect(self) -> None:
        after = f"&after={self.last}" if self.events else ""
        self.socket = self.open.enter_context(connect(self.url + after, open_timeout=20, max_size=None, compression=None))

    def cut(self) -> None:
        """End the connection as a pulled cable does: without a word."""
        assert self.socket is not None
        raw = self.socket.socket
        raw.shutdown(socket.SHUT_RDWR)
        self.open.close()

    def close(self) -> None:
        self.open.close()

    def read(self, seconds: float, *, until: str = "done") -> bool:
        """Read until an event of a type comes, or so many seconds have passed. Whether it came."""
        assert self.socket is not None
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            try:
                said = json.loads(self.socket.recv(left))
            except TimeoutError:
                return False
            except ConnectionClosed:
                return False
            if any(self._take(event, said["run_id"]) and event["type"] == until for event in said.get("events", [])):
                return True
        return False

    def _take(self, event: dict[str, Any], run_id: str) -> bool:
        if event["seq"] <= self.last:
            self.twice += 1
            return False
        if event["seq"] > self.last + 1:
            self.gaps += 1
            assert self.socket is not None
            self.socket.send(json.dumps({"action": "follow", "run_id": run_id, "after": self.last}))
            return False
        self.events.append(event)
        return True


def follow(url: str, seconds: float = 60.0) -> Follower:
    """All events of a run."""
    follower = Follower(url)
    follower.connect()
    assert follower.read(seconds), f"no end within {seconds} s; last was {follower.events[-1:]}"
    follower.close()
    return follower
