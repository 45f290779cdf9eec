import random
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from chalicelib.client import Client, ProblemError, Unreachable
from chalicelib.client import follow as following
from tests.unit.test_client_fake_server import TOKEN, FakeRun, FakeServer, cutting_proxy

RUN = "01JABCDEFGHJKMNPQRSTVWXYZ0"


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer() as server:
        yield server


@pytest.fixture
def client(server: FakeServer) -> Iterator[Client]:
    with Client(server.url, TOKEN) as client:
        yield client


def live_run(
    server: FakeServer, lines: int, batch: int = 25, pause: float = 0.02, until: Callable[[], bool] = lambda: True
) -> FakeRun:
    """A run that speaks while it is watched: so many lines, and on until the condition holds."""
    run = server.runs[RUN] = FakeRun(RUN, "chatty")

    def speak() -> None:
        waiter = threading.Event()
        while len(run.events) < lines or not until():
            run.say(batch)
            waiter.wait(pause)
        run.finish()

    threading.Thread(target=speak, daemon=True).start()
    return run


def finished_run(server: FakeServer, lines: int) -> FakeRun:
    run = server.runs[RUN] = FakeRun(RUN, "chatty")
    run.say(lines)
    run.finish()
    return run


def seqs(events: Any) -> list[int]:
    return [event["seq"] for event in events]


@pytest.mark.parametrize("seed", range(2))
def test_each_event_comes_exactly_once_over_twenty_cut_connections(server: FakeServer, client: Client, seed: int):
    chance = random.Random(seed)
    server.chunk = lambda: chance.randint(1, 5)
    with cutting_proxy(server.port, cuts=20, seed=seed, least=1200) as proxy:
        run = live_run(server, 1000, until=lambda: proxy.cut == 20)
        server.websocket_port = proxy.port
        events = list(client.follow(RUN))
    assert seqs(events) == list(range(1, len(run.events) + 1))
    assert events[-1]["type"] == "done"


def test_frames_that_are_lost_doubled_and_shuffled_still_give_each_event_once(server: FakeServer, client: Client):
    chance = random.Random(7)

    def mangle(events: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
        half = len(events) // 2
        frames = [events[:half], events[half:], events[:half]]
        chance.shuffle(frames)
        return frames[: chance.randint(1, 3)]

    server.mangle = mangle
    live_run(server, 500)
    assert seqs(client.follow(RUN)) == list(range(1, 502))
    assert server.messages
    assert all(message["action"] == "follow" for message in server.messages)


def test_a_gap_asks_for_what_follows_the_last_event_seen(server: FakeServer, client: Client):
    run = server.runs[RUN] = FakeRun(RUN, "chatty")
    run.say(10)
    lost = [True]

    def lose_the_first_frame_after_three(events: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
        if lost[0] and len(events) == 10:
            lost[0] = False
            run.finish()
            return [events[:3], events[6:]]
        return [events]

    server.mangle = lose_the_first_frame_after_three
    assert seqs(client.follow(RUN)) == list(range(1, 12))
    assert server.messages[0] == {"action": "follow", "run_id": RUN, "after": 3}


def test_following_goes_on_after_the_event_named(server: FakeServer, client: Client):
    live_run(server, 100)
    assert seqs(client.follow(RUN, after=40)) == list(range(41, 102))


def test_a_finished_run_is_read_without_a_socket(server: FakeServer, client: Client):
    finished_run(server, 120)
    assert seqs(client.follow(RUN)) == list(range(1, 122))
    assert server.requests[:2] == [f"GET /run/{RUN}", f"GET /run/{RUN}/log"]
    assert server.messages == []


def test_following_a_finished_run_after_its_end_gives_nothing(server: FakeServer, client: Client):
    finished_run(server, 3)
    assert list(client.follow(RUN, after=4)) == []


def test_a_single_use_ticket_is_renewed_for_every_connection(server: FakeServer, client: Client):
    server.ticket_uses = 1
    with cutting_proxy(server.port, cuts=5, seed=1, least=2000) as proxy:
        server.websocket_port = proxy.port
        run = live_run(server, 500, until=lambda: proxy.cut == 5)
        assert seqs(client.follow(RUN)) == list(range(1, len(run.events) + 1))
    assert server.requests.count(f"GET /run/{RUN}") >= 6


def test_a_refused_ticket_is_replaced_by_a_fresh_one(server: FakeServer, client: Client):
    live_run(server, 200, pause=0.1)
    server.handshakes_to_refuse = 1
    assert seqs(client.follow(RUN)) == list(range(1, 202))
    assert f"GET /run/{RUN}/log" not in server.requests


def test_polling_takes_over_where_no_socket_connects(server: FakeServer, client: Client):
    live_run(server, 300)
    server.handshakes_to_refuse = 1_000_000
    assert seqs(client.follow(RUN)) == list(range(1, 302))
    assert server.requests.count(f"GET /run/{RUN}/log") > 0


def test_polling_where_sockets_are_off(server: FakeServer, client: Client):
    live_run(server, 300)
    server.sockets = False
    assert seqs(client.follow(RUN)) == list(range(1, 302))


def test_polling_where_websockets_is_not_installed(server: FakeServer, client: Client, monkeypatch: pytest.MonkeyPatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "websockets"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "websockets", None)
    live_run(server, 100)
    assert seqs(client.follow(RUN)) == list(range(1, 102))


def test_a_server_that_fails_for_a_moment_is_waited_for(server: FakeServer, client: Client):
    live_run(server, 200)
    server.sockets = False
    events = client.follow(RUN)
    first = next(events)
    server.unavailable = 3
    assert seqs([first, *events]) == list(range(1, 202))
    assert server.unavailable == 0


def test_a_server_that_stays_away_ends_the_patience(server: FakeServer, monkeypatch: pytest.MonkeyPatch):
    live_run(server, 10_000, pause=1)
    client = Client(server.url, TOKEN)
    events = client.follow(RUN)
    next(events)
    monkeypatch.setattr(following, "PATIENCE", 0.3)
    server.unavailable = 1_000_000
    server.sockets = False
    server.mangle = lambda events: 1 / 0  # ends the connection
    with pytest.raises(ProblemError) as caught:
        list(events)
    assert caught.value.status == 502


def test_silence_is_answered_by_pings_and_by_asking_again(server: FakeServer, client: Client, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(following, "IDLE", 0.05)
    run = server.runs[RUN] = FakeRun(RUN, "quiet")
    run.say(1)
    received: list[int] = []

    def watch() -> None:
        received.extend(seqs(client.follow(RUN)))

    watcher = threading.Thread(target=watch)
    watcher.start()
    waiter = threading.Event()
    while len(server.messages) < 3:
        waiter.wait(0.01)
    run.finish()
    watcher.join(10)
    assert received == [1, 2]
    assert server.messages[:3] == [
        {"action": "ping"},
        {"action": "follow", "run_id": RUN, "after": 1},
        {"action": "ping"},
    ]


def test_an_unknown_run_is_an_error_at_once(client: Client):
    with pytest.raises(ProblemError, match="there is no run"):
        next(client.follow("01JNOSUCHRUN"))


def test_no_server_is_an_error_at_once():
    with pytest.raises(Unreachable, match="is `nightshift up` running"):
        next(Client("http://127.0.0.1:9", TOKEN).follow(RUN))


def test_giving_up_in_the_middle_leaves_nothing_behind(server: FakeServer, client: Client):
    live_run(server, 500, pause=0.2)
    before = set(threading.enumerate())
    events = client.follow(RUN)
    assert seqs(next(events) for _ in range(5)) == [1, 2, 3, 4, 5]
    started = set(threading.enumerate()) - before
    assert started
    events.close()
    for thread in started:
        thread.join(5)
    assert [thread.name for thread in started if thread.is_alive()] == []


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("ws://h/ws/task/R?ticket=t", "ws://h/ws/task/R?ticket=t&after=7"),
        ("ws://h/ws/task/R?after=2&ticket=t", "ws://h/ws/task/R?ticket=t&after=7"),
        ("wss://h/api/?run=R&after=0&ticket=a%2Bb", "wss://h/api/?run=R&ticket=a%2Bb&after=7"),
    ],
)
def test_reconnecting_keeps_the_url_but_for_after(url: str, expected: str):
    assert following._with_after(url, 7) == expected
