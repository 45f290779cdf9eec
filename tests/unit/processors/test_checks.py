"""check_http and check_certificate: what is wrong is named."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chalicelib.domain.errors import StepError, TransientError
from chalicelib.processors.check_certificate import CheckCertificate
from chalicelib.processors.check_http import CheckHttp
from tests.support.certificates import Issued, issue
from tests.support.http_server import HttpServer, http_server
from tests.unit.processors.recorder import Recorder

HEALTH = (200, {"Content-Type": "application/json"}, b'{"status": "green", "nodes": [{"alive": true}], "count": 3}')


@pytest.fixture
def server() -> Iterator[HttpServer]:
    with http_server() as running:
        running.answer = lambda asked: HEALTH
        yield running


def check(**config: Any) -> CheckHttp:
    return CheckHttp.model_validate(config)


def test_server_that_is_well_passes(run: Recorder, server: HttpServer) -> None:
    values = {"status": "green", "nodes.0.alive": True, "count": 3}
    output = check(url=server.url, contains="green", lacks=["red"], json=values, max_latency="5s", status=200)(run)
    assert (output["status"], output["bytes"]) == (200, 59)
    assert run.texts("info")[0].startswith(f"{server.url}: 200 OK in")


def test_everything_that_is_wrong_is_said_at_once(run: Recorder, server: HttpServer) -> None:
    config = check(
        url=server.url, contains=["blue"], lacks="green", json={"count": 4, "nodes.1": 1, "nodes.0.alive": 1}, max_latency=0.000001
    )
    with pytest.raises(StepError) as caught:
        config(run)
    for problem in (
        "the answer does not hold 'blue'",
        "the answer holds 'green'",
        "'count' is 3, not 4",
        "the answer has no 'nodes.1'",
        "'nodes.0.alive' is true, not 1",
        "at most 1e-06 s are allowed",
    ):
        assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("status", "wanted", "kind"), [(404, "2xx", StepError), (503, "2xx", TransientError), (200, "6xx", None), (404, 404, "well")]
)
def test_status_is_what_is_wanted_or_told(run: Recorder, server: HttpServer, status: int, wanted: Any, kind: Any) -> None:
    server.answer = lambda asked: (status, {}, b"")
    if kind == "well":
        assert check(url=server.url, status=wanted)(run)["status"] == status
    elif kind is None:
        with pytest.raises(ValueError, match="pattern"):
            check(url=server.url, status=wanted)
    else:
        with pytest.raises(kind, match=f"answered {status}"):
            check(url=server.url, status=wanted)(run)


def test_answer_that_is_no_json_is_told(run: Recorder, server: HttpServer) -> None:
    server.answer = lambda asked: (200, {}, b"<html>")
    with pytest.raises(StepError, match="the answer is no JSON"):
        check(url=server.url, json={"a": 1})(run)


def test_certificate_of_a_url_is_looked_at_if_asked_for(run: Recorder, tmp_path: Path, server: HttpServer) -> None:
    own = issue(tmp_path, "localhost", days=20)
    with http_server(own.context()) as secure:
        assert check(url=secure.url, trusted=str(own.alone), certificate_days=20)(run)["certificate_days"] == 20
        with pytest.raises(StepError, match="its certificate expires in 20 days, on 2"):
            check(url=secure.url, trusted=str(own.alone), certificate_days=21)(run)
    with pytest.raises(StepError, match="no certificate without https"):
        check(url=server.url, certificate_days=1)(run)


# ---- check_certificate ----


def look(server: HttpServer, **config: Any) -> CheckCertificate:
    return CheckCertificate.model_validate({"host": "localhost", "port": server.port, **config})


def test_good_certificate_is_described(run: Recorder, tmp_path: Path) -> None:
    authority = issue(tmp_path, "authority")
    own = issue(tmp_path, "localhost", days=40, issuer=authority)
    with http_server(own.context()) as server:
        output = look(server, trusted=str(authority.alone), days_left=40)(run)
        assert (output["days_left"], output["names"], output["issuer"]) == (40, ["localhost"], "Common Name: authority")
        assert output["expires_at"].endswith("Z")
        with pytest.raises(StepError, match="it expires in 40 days"):
            look(server, trusted=str(authority.alone), days_left=41)(run)


@pytest.mark.parametrize(
    ("name", "days", "trust", "says"),
    [
        ("localhost", 90, None, "it is self-signed: name it in `trusted`"),
        ("localhost", 90, "own", None),
        ("other.example", 90, "own", "it is for other.example, not for localhost"),
        ("localhost", -3, "own", r"it expired on 2\d\d\d-"),
        ("localhost", 90, "issuer", "its issuer Common Name: authority is unknown"),
    ],
)
def test_what_is_wrong_with_a_certificate_is_named(
    run: Recorder, tmp_path: Path, name: str, days: float, trust: str | None, says: str | None
) -> None:
    authority: Issued | None = issue(tmp_path, "authority") if trust == "issuer" else None
    own = issue(tmp_path, name, days, authority)
    with http_server(own.context()) as server:
        step = look(server, trusted=str(own.alone) if trust == "own" else None)
        if says is None:
            assert step(run)["days_left"] == days
        else:
            with pytest.raises(StepError, match=rf"the certificate of localhost:\d+ is not good: {says}"):
                step(run)


def test_server_may_have_another_name(run: Recorder, tmp_path: Path) -> None:
    own = issue(tmp_path, "other.example")
    with http_server(own.context()) as server:
        assert look(server, trusted=str(own.alone), server_name="other.example")(run)["names"] == ["other.example"]


def test_certificate_of_nobody_plain_http_and_silence_is_worth_another_attempt(run: Recorder, server: HttpServer) -> None:
    with pytest.raises(TransientError, match="does not answer: it does not speak TLS"):
        look(server)(run)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        with pytest.raises(TransientError, match="it takes too long"):
            CheckCertificate(host="127.0.0.1", port=silent.getsockname()[1], timeout="200ms")(run)  # type: ignore[arg-type]
        assert time.monotonic() - began < 3
        port = silent.getsockname()[1]
    with pytest.raises(TransientError, match="Connection refused"):
        CheckCertificate(host="127.0.0.1", port=port)(run)


def test_trusted_file_that_holds_no_certificate_is_told(run: Recorder, tmp_path: Path) -> None:
    (run.workspace / "no.pem").write_text("nothing")
    own = issue(tmp_path, "localhost")
    with http_server(own.context()) as server, pytest.raises(StepError, match="holds no certificates in PEM form"):
        look(server, trusted="./no.pem")(run)
