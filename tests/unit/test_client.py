import json
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from chalicelib.client import Client, ClientError, InvalidAnswer, ProblemError, Unreachable
from chalicelib.client.programmatic import get_task_status, start_task, stop_task
from chalicelib.client.session import Session, find_session, write_session
from tests.unit.test_client_fake_server import TOKEN, FakeRun, FakeServer


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer() as server:
        server.tasks["backup"] = {"id": "backup", "title": "Backup", "status": "scheduled"}
        yield server


@pytest.fixture
def client(server: FakeServer) -> Iterator[Client]:
    with Client(server.url, TOKEN) as client:
        yield client


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NIGHTSHIFT_URL", raising=False)
    monkeypatch.delenv("NIGHTSHIFT_API_URL", raising=False)
    monkeypatch.delenv("NIGHTSHIFT_TOKEN", raising=False)
    return tmp_path


class OneShotServer:
    """Answers each connection with the next script: bytes to send after the request, or None to reset at once."""

    def __init__(self, *scripts: bytes | None) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.requests: list[str] = []
        self._scripts = scripts
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        for script in self._scripts:
            connection, _ = self._listener.accept()
            with connection:
                self.requests.append(_read_request(connection))
                if script is not None:
                    connection.sendall(script)


def _read_request(connection: socket.socket) -> str:
    received = b""
    while b"\r\n\r\n" not in received:
        received += connection.recv(65536)
    head, _, body = received.partition(b"\r\n\r\n")
    length = next((int(row[15:]) for row in head.lower().splitlines() if row.startswith(b"content-length:")), 0)
    while len(body) < length:
        body += connection.recv(65536)
    return (head + b"\r\n\r\n" + body).decode()


def answer(body: object, status: str = "200 OK") -> bytes:
    content = json.dumps(body).encode()
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status.encode(), len(content), content)


# Where the server is


def test_arguments_win_over_environment_and_session_file(folder: Path, monkeypatch: pytest.MonkeyPatch):
    write_session(folder / ".nightshift", Session("http://file:1", "file"))
    monkeypatch.setenv("NIGHTSHIFT_URL", "http://env:1/")
    monkeypatch.setenv("NIGHTSHIFT_TOKEN", "env")
    assert find_session("http://argument:1", "argument") == ("http://argument:1", "argument")
    assert find_session() == ("http://env:1", "env")


def test_session_file_is_found_from_a_folder_below(folder: Path, monkeypatch: pytest.MonkeyPatch):
    write_session(folder / ".nightshift", Session("http://127.0.0.1:8401", "local"))
    (folder / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(folder / "a" / "b")
    assert find_session() == ("http://127.0.0.1:8401", "local")


def test_the_local_token_is_not_shown_to_another_server(folder: Path):
    write_session(folder / ".nightshift", Session("http://127.0.0.1:8400", "local"))
    assert find_session("https://elsewhere.example") == ("https://elsewhere.example", "")
    assert find_session("http://127.0.0.1:8400/") == ("http://127.0.0.1:8400", "local")


def test_without_anything_it_is_the_default_port(folder: Path):
    assert find_session() == ("http://127.0.0.1:8400", "")


def test_a_damaged_session_file_is_ignored(folder: Path):
    write_session(folder / ".nightshift", Session("http://x", "y")).write_text("[")
    assert find_session().url == "http://127.0.0.1:8400"


def test_only_the_owner_reads_the_session_file(folder: Path):
    path = write_session(folder / ".nightshift", Session("http://x", "y"))
    write_session(folder / ".nightshift", Session("http://x", "z"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["session.json"]


# Requests


def test_filters_of_tasks_are_sent_and_others_left_out():
    server = OneShotServer(answer({"tasks": [{"id": "a"}], "next_cursor": None}))
    assert Client(server.url, TOKEN).tasks(q="b&c", tag="db") == [{"id": "a"}]
    assert server.requests[0].startswith("GET /tasks/?q=b%26c&tag=db HTTP/1.1\r\n")


def test_a_base_path_is_kept_and_ids_are_quoted():
    server = OneShotServer(answer({"id": "a/b"}))
    Client(server.url + "/api/", TOKEN).task("a/b ü")
    assert server.requests[0].startswith("GET /api/task/a%2Fb%20%C3%BC HTTP/1.1\r\n")


def test_runs_pages_through_all_of_them(server: FakeServer, client: Client):
    server.page = 3
    for number in range(8):
        server.runs[f"R{number}"] = FakeRun(f"R{number}", "backup")
    assert [run["id"] for run in client.runs()] == [f"R{number}" for number in range(7, -1, -1)]


def test_runs_asks_for_no_more_pages_than_its_limit_needs(server: FakeServer, client: Client):
    server.page = 3
    for number in range(8):
        server.runs[f"R{number}"] = FakeRun(f"R{number}", "backup")
    assert len(list(client.runs("backup", limit=4))) == 4
    assert server.requests == ["GET /task/backup/runs"] * 2


def test_log_reads_every_page(server: FakeServer, client: Client):
    run = server.runs["R"] = FakeRun("R", "backup")
    run.say(120)
    assert [event["seq"] for event in client.log("R", after=5)] == list(range(6, 121))


def test_connections_are_kept(server: FakeServer, client: Client):
    for _ in range(3):
        client.task("backup")
    assert len(client._http._idle) == 1


def test_run_waits_for_the_end_of_a_run_that_outlasts_the_request(server: FakeServer, client: Client):
    def finish_later(run: FakeRun) -> None:
        run.say(1)
        threading.Timer(0.2, run.finish).start()

    server.on_start = finish_later
    assert client.run("backup", {"a": 1})["status"] == "completed"


def test_run_returns_a_run_that_was_quick(server: FakeServer, client: Client):
    finished = client.run("backup", {"a": 1})
    assert (finished["status"], finished["args"]) == ("completed", {"a": 1})
    assert server.requests == ["POST /task/backup/_run"]


def test_stop_names_the_runs(server: FakeServer, client: Client):
    server.runs["R"] = FakeRun("R", "backup")
    assert client.stop("backup") == ["R"]


def test_results_come_parsed_or_as_text(server: FakeServer, client: Client):
    server.runs["R"] = FakeRun("R", "backup")
    assert client.result("R") == {"data": {"a": 1}}
    assert client.result("R", "csv") == "a,b\n"


def test_python_code_starts_stops_and_asks(server: FakeServer, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("NIGHTSHIFT_URL", server.url)
    monkeypatch.setenv("NIGHTSHIFT_TOKEN", TOKEN)
    server.on_start = lambda run: None
    run_id = start_task("backup", database="shop")
    assert server.runs[run_id].args == {"database": "shop"}
    assert stop_task("backup") == [run_id]
    assert get_task_status("backup") == "scheduled"


# What goes wrong


def test_a_lost_answer_to_a_start_is_asked_for_again_with_the_same_key():
    server = OneShotServer(None, answer({"run_id": "R"}, "202 Accepted"))
    assert Client(server.url, TOKEN).start("backup")["run_id"] == "R"
    first, second = server.requests
    assert "idempotency-key: " in first.lower()
    assert first == second


def test_the_callers_key_is_used():
    server = OneShotServer(answer({"run_id": "R"}, "202 Accepted"))
    Client(server.url, TOKEN).start("backup", idempotency_key="mine")
    assert "Idempotency-Key: mine\r\n" in server.requests[0]


def test_a_reset_is_tried_once_more_and_no_more():
    server = OneShotServer(None, None, answer({"id": "a"}))
    with pytest.raises(Unreachable):
        Client(server.url, TOKEN).task("a")
    assert len(server.requests) == 2


def test_a_request_that_must_not_come_twice_is_not_repeated():
    server = OneShotServer(None, answer({}))
    with pytest.raises(Unreachable):
        Client(server.url, TOKEN).retry("R")
    assert len(server.requests) == 1


def test_a_problem_carries_its_fields(server: FakeServer, client: Client):
    server.start_problem = (422, "Invalid arguments", "", [{"field": "format", "message": "one of sql, tar"}])
    with pytest.raises(ProblemError) as caught:
        client.start("backup", {"format": "zip"})
    assert caught.value.status == 422
    assert caught.value.errors == [{"field": "format", "message": "one of sql, tar"}]
    assert str(caught.value) == "Invalid arguments (format: one of sql, tar)"


def test_a_wrong_token_says_how_to_give_one(server: FakeServer):
    with pytest.raises(ProblemError, match="NIGHTSHIFT_TOKEN"):
        Client(server.url, "wrong").tasks()


@pytest.mark.parametrize(
    ("body", "detail"),
    [(b'{"message": "Forbidden"}', "Forbidden"), (b"<html>502</html>", ""), (b"plain", "plain"), (b"[1]", "")],
)
def test_answers_of_gateways_are_problems_too(body: bytes, detail: str):
    error = ProblemError.from_response(502, "Bad Gateway", body)
    assert (error.title, error.detail) == ("Bad Gateway", detail)


def test_nobody_there_says_what_to_do():
    with pytest.raises(Unreachable, match=r"cannot reach http://127.0.0.1:9 .*is `nightshift up` running"):
        Client("http://127.0.0.1:9", TOKEN).tasks()


@pytest.mark.parametrize("url", ["localhost:8400", "ftp://x", "http://"])
def test_a_url_that_is_none_is_refused(url: str):
    with pytest.raises(ClientError, match="not a URL"):
        Client(url)


def test_another_server_behind_the_url_is_told_apart():
    server = OneShotServer(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>")
    with pytest.raises(InvalidAnswer, match="expected JSON"):
        Client(server.url, TOKEN).tasks()


def test_importing_the_client_loads_no_foreign_package():
    program = (
        "import sys; import chalicelib.client; "
        "print([name for name in ('boto3', 'httpx', 'requests', 'rich', 'websockets') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
