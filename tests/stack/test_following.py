"""Following runs by WebSocket, with a client that is not ours."""

from __future__ import annotations

import json
import random
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.stack.conftest import SLOW, Door, eventually, make_stack, whole
from tests.stack.following import Follower, follow


def ticket_of(url: str) -> str:
    return parse_qs(urlsplit(url).query)["ticket"][0]


def test_first_line_is_seen_within_a_second_of_the_start(door: Door, capsys: pytest.CaptureFixture[str]) -> None:
    times = []
    for _ in range(3):  # the best of three: this is about us, not about what else the machine does
        began = time.monotonic()
        follower = Follower(door.start("lines", count=5, every=0.1)["websocket_url"])
        follower.connect()
        assert follower.read(SLOW, until="line")
        times.append(time.monotonic() - began)
        assert follower.lines[0] == "line 1"
        assert follower.read(SLOW)
        follower.close()
    with capsys.disabled():
        print(f"\n  from start to first line: {', '.join(f'{t:.2f}' for t in times)} s")
    assert min(times) < 1


def test_all_events_come_once_in_order_and_end_with_done(door: Door) -> None:
    started = door.start("lines", count=30, every=0.05)
    follower = follow(started["websocket_url"])
    assert whole(follower.events)
    assert follower.lines == [f"line {n}" for n in range(1, 31)]
    assert follower.events[-1]["status"] == "completed"
    assert {"status", "step", "line", "progress", "done"} == {event["type"] for event in follower.events}
    assert follower.events == door.events(started["run_id"])


def test_twenty_cuts_at_any_moment_lose_and_double_nothing(door: Door, capsys: pytest.CaptureFixture[str]) -> None:
    chance = random.Random(20)
    started = door.start("lines", count=150, every=0.04)
    follower, cuts = Follower(started["websocket_url"]), 0
    while not follower.done and cuts < 20:
        follower.connect()
        follower.read(chance.uniform(0, 0.35))
        follower.cut()
        cuts += 1
    assert cuts == 20
    if not follower.done:
        follower.connect()
        assert follower.read(SLOW)
        follower.close()
    with capsys.disabled():
        print(f"\n  20 cuts: {follower.twice} events came twice, {follower.gaps} gaps were seen")
    assert whole(follower.events)
    assert follower.lines == [f"line {n}" for n in range(1, 151)]
    assert follower.events == door.events(started["run_id"])


def test_ten_thousand_lines_arrive_in_order(door: Door, capsys: pytest.CaptureFixture[str]) -> None:
    began = time.monotonic()
    started = door.start("lines", count=10_000)
    follower = follow(started["websocket_url"])
    with capsys.disabled():
        print(f"\n  10,000 lines in {time.monotonic() - began:.1f} s; {follower.twice} came twice, {follower.gaps} gaps")
    assert whole(follower.events)
    assert follower.lines == [f"line {n}" for n in range(1, 10_001)]
    assert door.events(started["run_id"]) == follower.events


def test_two_followers_both_get_everything(door: Door) -> None:
    started = door.start("lines", count=40, every=0.03)
    with ThreadPoolExecutor(2) as threads:
        first, second = threads.map(follow, [started["websocket_url"]] * 2)
    assert whole(first.events)
    assert first.events == second.events


def test_follower_of_a_finished_run_gets_all_of_it(door: Door) -> None:
    run = door.done("lines", count=5)
    follower = follow(run["websocket_url"])
    assert whole(follower.events)
    assert follower.events == door.events(run["id"])
    late = Follower(run["websocket_url"] + "&after=4")
    late.connect()
    assert late.socket is not None
    assert json.loads(late.socket.recv(SLOW))["events"][0]["seq"] == 5
    late.close()


def test_follow_again_unfollow_and_ping_on_one_connection(door: Door) -> None:
    run = door.done("lines", count=5)

    def ask(**said: Any) -> dict[str, Any]:
        socket.send(json.dumps(said))
        return dict(json.loads(socket.recv(SLOW)))

    last = run["seq"]
    with connect(f"{run['websocket_url']}&after={last}", open_timeout=20) as socket:
        assert ask(action="ping") == {"type": "pong"}
        assert [event["seq"] for event in ask(action="follow", run_id=run["id"], after=last - 2)["events"]] == [last - 1, last]
        socket.send(json.dumps({"action": "unfollow", "run_id": run["id"]}))
        assert ask(action="dance")["type"] == "error"
        assert ask(action="follow", run_id=run["id"], after=-1)["type"] == "error"
        socket.send("no JSON")
        assert json.loads(socket.recv(SLOW))["type"] == "error"


def test_connection_cannot_follow_a_run_that_its_ticket_is_not_for(door: Door) -> None:
    mine, other = door.done("lines", count=2), door.done("secretive", password="open sesame")
    with connect(f"{mine['websocket_url']}&after={mine['seq']}", open_timeout=20) as socket:
        asked = {"action": "follow", "run_id": other["id"], "after": 0}
        for ticket in ({}, {"ticket": "nonsense"}, {"ticket": ticket_of(mine["websocket_url"])}):
            socket.send(json.dumps(asked | ticket))
            said = json.loads(socket.recv(SLOW))
            assert said.get("type") == "error", said
        socket.send(json.dumps(asked | {"ticket": ticket_of(other["websocket_url"])}))
        assert json.loads(socket.recv(SLOW))["events"][0]["seq"] == 1


def test_connecting_starts_nothing(door: Door) -> None:
    run = door.done("hello")
    before = [entry["id"] for entry in door.get("/runs", limit=500)["runs"]]
    invoked = door.stack.marker()
    for _ in range(3):
        follow(run["websocket_url"])
    assert [entry["id"] for entry in door.get("/runs", limit=500)["runs"]] == before
    assert door.run(run["id"])["attempts"] == run["attempts"]
    tasks = [r for r in door.stack.requests(invoked)["requests"] if r["function"].endswith("-task_hello")]
    assert tasks == []


def test_queued_run_shows_that_it_waits(narrow: Door) -> None:
    holders = [narrow.start("sleeper")["run_id"] for _ in range(3)]
    waits = narrow.start("hello")
    follower = Follower(waits["websocket_url"])
    follower.connect()
    assert follower.read(SLOW, until="status")
    assert follower.events[0]["status"] == "queued"
    assert not follower.read(1.0, until="line")
    waiting = narrow.run(waits["run_id"])["waiting_for"]
    assert (waiting["limit"], waiting["active"], waiting["ahead"]) == (3, 3, 0)
    assert set(waiting["holders"]) == set(holders)
    for holder in holders:
        narrow.stop(holder)
    assert follower.read(SLOW)
    follower.close()
    assert whole(follower.events)
    assert follower.lines == ["hello world"]
    eventually(lambda: not narrow.slots())


@pytest.mark.parametrize("after", ["x", "-1", "²", "1" * 5000])
def test_odd_place_to_begin_is_refused(door: Door, after: str) -> None:
    with pytest.raises(InvalidStatus) as refused, connect(f"{door.done('hello')['websocket_url']}&after={quote(after)}"):
        pass
    assert refused.value.response.status_code == 400


@pytest.mark.parametrize("ticket", [None, "", "nonsense", "another's"])
def test_only_the_runs_own_ticket_lets_in(door: Door, ticket: str | None) -> None:
    run, other = door.done("hello"), door.done("hello")
    url = f"{door.stack.ws_url}/ws/task/{run['id']}"
    given = ticket_of(other["websocket_url"]) if ticket == "another's" else ticket
    with pytest.raises(InvalidStatus) as refused, connect(url + (f"?ticket={given}" if given is not None else "")):
        pass
    assert refused.value.response.status_code == (403 if ticket == "another's" else 401)


def test_ticket_of_a_run_that_is_not_there_is_refused(door: Door) -> None:
    run = door.done("hello")
    url = f"{door.stack.ws_url}/ws/task/01ARZ3NDEKTSV4RRFFQ69G5FAV?ticket={ticket_of(run['websocket_url'])}"
    with pytest.raises(InvalidStatus) as refused, connect(url):
        pass
    assert refused.value.response.status_code in (401, 403, 404)


def test_without_websockets_polling_tells_the_same(project: Path, tmp_path: Path) -> None:
    with make_stack(project, tmp_path / "data", env={"TASK_WEBSOCKET_ENABLED": "false"}) as stack:
        door = Door(stack)
        started = door.start("lines", count=20, every=0.05)
        assert started["websocket_url"] is None
        events: list[dict[str, Any]] = []

        def ended() -> bool:
            page = door.get(f"/run/{started['run_id']}/log", after=len(events))
            events.extend(page["events"])
            return bool(events) and events[-1]["type"] == "done"

        eventually(ended)
        assert whole(events)
        assert [event["text"] for event in events if event["type"] == "line"] == [f"line {n}" for n in range(1, 21)]
        with pytest.raises(InvalidStatus) as refused, connect(f"{stack.ws_url}/ws/task/{started['run_id']}?ticket=x"):
            pass
        assert refused.value.response.status_code == 403
        door.http.close()
