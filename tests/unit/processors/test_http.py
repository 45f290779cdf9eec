"""http: what is sent, what is made of the answer, and what errors say."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import time
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from chalicelib.domain.errors import StepError, StoppedError, TransientError
from chalicelib.processors.http import Http
from tests.support.certificates import issue
from tests.support.http_server import Asked, HttpServer, http_server
from tests.unit.processors.recorder import Recorder

JSON = {"Content-Type": "application/json; charset=utf-8"}


@pytest.fixture
def server() -> Iterator[HttpServer]:
    with http_server() as running:
        yield running


def http(**config: Any) -> Http:
    return Http.model_validate(config)


def test_json_goes_and_comes(run: Recorder, server: HttpServer) -> None:
    server.answer = lambda asked: (201, JSON | {"X-Id": "7", "Set-Cookie": "s3cret"}, b'{"made": [1, 2.5, null]}')
    output = http(url=f"{server.url}/a?x=1", method="POST", json={"n": "ü"}, params={"q": "a b&c", "tag": ["x", "y"]})(run)
    assert (output["status"], output["json"], output["headers"]["x-id"]) == (201, {"made": [1, 2.5, None]}, "7")
    assert "s3cret" not in str(output)
    (asked,) = server.asked
    assert (asked.path, json.loads(asked.body)) == ("/a?x=1&q=a+b%26c&tag=x&tag=y", {"n": "ü"})
    assert asked.headers["content-type"] == "application/json"
    assert run.texts("info") == [f"POST {server.url}/a?…: 201 Created, 24 B"]


@pytest.mark.parametrize(
    ("config", "body", "kind"),
    [
        ({"form": {"a": "x y", "b": 1}}, b"a=x+y&b=1", "application/x-www-form-urlencoded"),
        ({"body": "ü", "headers": {"Content-Type": "text/plain"}}, "ü".encode(), "text/plain"),
        ({"file": "in.bin"}, b"\x00\xff" * 50_000, "application/octet-stream"),
    ],
)
def test_body_is_sent(run: Recorder, server: HttpServer, config: dict[str, Any], body: bytes, kind: str) -> None:
    (run.workspace / "in.bin").write_bytes(b"\x00\xff" * 50_000)
    http(url=server.url, method="PUT", **config)(run)
    assert (server.asked[0].body, server.asked[0].headers["content-type"]) == (body, kind)


def test_file_of_s3_is_sent_and_saved(run: Recorder, server: HttpServer, s3: Any) -> None:
    s3.put_object(Bucket="backups", Key="in.bin", Body=b"from the bucket")
    server.answer = lambda asked: (200, {}, asked.body.upper())
    output = http(url=f"{server.url}/x.txt", method="POST", file="s3://backups/in.bin", save_to="s3://backups/out/")(run)
    assert (output["path"], output["bytes"]) == ("s3://backups/out/x.txt", 15)
    assert s3.get_object(Bucket="backups", Key="out/x.txt")["Body"].read() == b"FROM THE BUCKET"
    assert list(run.workspace.iterdir()) == []


@pytest.mark.parametrize(
    ("url", "auth", "sent"),
    [
        ("http://me:s3%40cret@localhost:{port}/", None, "Basic me:s3@cret"),
        ("http://localhost:{port}/", {"username": "me", "password": "s3:cret"}, "Basic me:s3:cret"),
        ("http://localhost:{port}/", {"bearer": "s3cret"}, "Bearer s3cret"),
        ("http://localhost:{port}/", {"api_key": "s3cret"}, "ApiKey s3cret"),
    ],
)
def test_credentials_are_sent_and_never_shown(run: Recorder, server: HttpServer, url: str, auth: Any, sent: str) -> None:
    server.answer = lambda asked: (403, {}, b"go away")
    with pytest.raises(StepError, match=r"http://localhost:\d+/\?… answered 403 Forbidden: go away") as caught:
        http(url=url.format(port=server.port) + "?key=s3cret", auth=auth)(run)
    kind, _, value = server.asked[0].headers["authorization"].partition(" ")
    assert f"{kind} {b64decode(value).decode() if kind == 'Basic' else value}" == sent
    assert "s3" not in str(caught.value)


def test_answer_is_saved_whole_and_unpacked(run: Recorder, server: HttpServer) -> None:
    content = bytes(range(256)) * 4000
    server.answer = lambda asked: (200, {"Content-Encoding": "gzip"}, gzip.compress(content))
    output = http(url=f"{server.url}/files/data.bin?v=1", save_to="./in/")(run)
    assert (output["path"], output["bytes"]) == (str(run.workspace / "in" / "data.bin"), len(content))
    assert (run.workspace / "in" / "data.bin").read_bytes() == content


@pytest.mark.parametrize(("save", "most"), [(None, 999), ("./x", 999)])
def test_longer_answer_than_allowed_leaves_nothing(run: Recorder, server: HttpServer, save: str | None, most: int) -> None:
    server.answer = lambda asked: (200, {}, b"x" * 1000)
    with pytest.raises(StepError, match="answered more than 999 bytes"):
        http(url=server.url, save_to=save, max_bytes=most)(run)
    assert list(run.workspace.iterdir()) == []


def test_answer_that_breaks_off_is_worth_another_attempt_and_leaves_nothing(run: Recorder, server: HttpServer) -> None:
    server.answer = lambda asked: (200, {"Content-Length": "1000", "Connection": "close"}, b"x" * 500)
    with pytest.raises(TransientError, match="broke off"):
        http(url=server.url, save_to="./x")(run)
    assert list(run.workspace.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "kind", "key", "value"),
    [
        (b"caf\xe9", "text/plain; charset=latin-1", "text", "café"),
        (b"caf\xe9", "image/png", "text", None),
        (b'{"a": 1}', "application/problem+json", "json", {"a": 1}),
        (b"", "application/json", "json", None),
    ],
)
def test_answer_is_read_as_what_it_says_it_is(
    run: Recorder, server: HttpServer, content: bytes, kind: str, key: str, value: Any
) -> None:
    server.answer = lambda asked: (200, {"Content-Type": kind}, content)
    assert http(url=server.url)(run).get(key) == value


def test_json_that_is_none_is_told(run: Recorder, server: HttpServer) -> None:
    server.answer = lambda asked: (200, JSON, b"<html>")
    with pytest.raises(StepError, match="what is no JSON, though it says so"):
        http(url=server.url)(run)


@pytest.mark.parametrize(
    ("status", "kind", "headers", "says"),
    [
        (404, StepError, {}, "404 Not Found"),
        (301, StepError, {}, "301 Moved"),
        (500, TransientError, {}, "500 Internal Server Error"),
        (503, TransientError, {"Retry-After": "30"}, r"asks to wait 30 s"),
        (429, TransientError, {"Retry-After": "Fri, 31 Dec 2100 23:59:59 GMT"}, r"asks to wait \d+"),
        (429, TransientError, {"Retry-After": "soon"}, "429 Too Many Requests$"),
    ],
)
def test_status_tells_whether_another_attempt_is_worth_it(
    run: Recorder, server: HttpServer, status: int, kind: type[Exception], headers: dict[str, str], says: str
) -> None:
    server.answer = lambda asked: (status, headers, b"")
    with pytest.raises(kind, match=says):
        http(url=server.url, follow_redirects=False)(run)
    assert http(url=server.url, follow_redirects=False, expect=[f"{status // 100}xx"])(run)["status"] == status
    assert http(url=server.url, follow_redirects=False, expect=[status])(run)["status"] == status


def test_redirects_are_followed_and_secrets_stay_with_their_host(run: Recorder, server: HttpServer) -> None:
    with http_server() as other:
        server.answer = lambda asked: (302, {"Location": "/b" if asked.path == "/a" else f"{other.url}/c?t=1"}, b"")
        other.answer = lambda asked: (200, {}, b"there")
        headers = {"X-Api-Key": "s3cret", "Accept": "text/plain"}
        output = http(url=f"{server.url}/a", headers=headers, auth={"bearer": "s3cret"})(run)
        assert (output["text"], output["url"]) == ("there", f"{other.url}/c?…")
        assert server.asked[1].headers["x-api-key"] == "s3cret"
        assert other.asked[0].headers["accept"] == "text/plain"
        assert "s3cret" not in str(other.asked[0].headers)


def test_redirects_in_a_circle_end(run: Recorder, server: HttpServer) -> None:
    server.answer = lambda asked: (302, {"Location": "/"}, b"")
    with pytest.raises(StepError, match="redirects more than 5 times"):
        http(url=server.url)(run)


def test_nobody_there_is_worth_another_attempt(run: Recorder) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(TransientError, match=rf"http://127.0.0.1:{port}/ does not answer: Connection refused"):
        http(url=f"http://me:s3cret@127.0.0.1:{port}/")(run)
    with pytest.raises(TransientError, match="its name is unknown"):
        http(url="http://nowhere.invalid/")(run)


def test_server_that_keeps_silent_or_drips_is_given_up(run: Recorder, server: HttpServer) -> None:
    over = threading.Event()

    def silent(asked: Asked) -> Any:
        over.wait(10)
        return 200, {}, b""

    server.answer = silent
    began = time.monotonic()
    with pytest.raises(TransientError, match="does not answer in time"):
        http(url=server.url, timeout="300ms")(run)
    over.set()

    def drip(connection: socket.socket) -> None:
        connection.recv(1000)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        try:
            while not ended.wait(0.05):
                connection.sendall(b"x")
        except OSError:
            pass

    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=lambda: drip(listening.accept()[0]))
        thread.start()
        with pytest.raises(TransientError, match="takes too long to send its answer"):
            http(url=f"http://127.0.0.1:{listening.getsockname()[1]}/", timeout="300ms")(run)
        ended.set()
        thread.join()
    assert time.monotonic() - began < 5


def test_stop_is_heard_while_an_answer_comes(run: Recorder, server: HttpServer) -> None:
    server.answer = lambda asked: (200, {}, b"x" * 10_000_000)
    run.stop_when = lambda: True
    with pytest.raises(StoppedError):
        http(url=server.url, save_to="./x")(run)
    assert list(run.workspace.iterdir()) == []


def test_certificate_is_verified(run: Recorder, tmp_path: Path) -> None:
    own = issue(tmp_path, "localhost")
    with http_server(own.context()) as server:
        with pytest.raises(StepError, match="has a certificate that is not trusted: self-signed certificate"):
            http(url=server.url)(run)
        assert http(url=server.url, trusted=str(own.alone))(run)["status"] == 200
        with pytest.raises(StepError, match=r"not valid for .127\.0\.0\.1"):
            http(url=f"https://127.0.0.1:{server.port}/", trusted=str(own.alone))(run)


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"url": "file:///etc/passwd"}, "a URL is wanted"),
        ({"url": "http://"}, "a URL is wanted"),
        ({"url": "http://h:99999/"}, "host or port is malformed"),
        ({"url": "http://h/a b\r\nX: s3cret"}, "a URL is wanted"),
        ({"url": "http://h/", "headers": {"X": "a\r\nY: s3cret"}}, "the header 'X' holds a line break"),
        ({"url": "http://h/", "headers": {"X: y": "s3cret"}}, "is no name of a header"),
        ({"url": "http://h/", "method": "POST", "body": "s3cret", "json": {}}, "give one of json, form, body, file"),
        ({"url": "http://h/", "json": {"a": "s3cret"}}, "GET carries no body"),
        ({"url": "http://h/", "method": "BREW"}, "Input should be"),
        ({"url": "http://h/", "auth": {"username": "s3cret"}}, "username and password go together"),
        ({"url": "http://h/", "auth": {"bearer": "x", "api_key": "s3cret"}}, "give one of"),
        ({"url": "http://h/", "auth": {"bearer": "a\ns3cret"}}, "one line of printable characters"),
        ({"url": "http://h/", "expect": ["6xx"]}, "String should match pattern"),
        ({"url": "http://h/", "timeout": 0}, "longer than nothing"),
        ({"url": "http://h/", "verify": False}, "Extra inputs are not permitted"),
    ],
)
def test_config_that_cannot_work_is_refused_without_repeating_secrets(config: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says) as caught:
        Http.model_validate(config)
    assert "s3cret" not in str(caught.value)
