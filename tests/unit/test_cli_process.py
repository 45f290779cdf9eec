"""The command as a process of its own: signals, pipes, terminals."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chalicelib.cli.output import plain
from tests.unit.test_cli import BACKUP, only_run
from tests.unit.test_client_fake_server import TOKEN, FakeRun, FakeServer, cutting_proxy


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServer]:
    with FakeServer() as server:
        server.tasks["backup"] = dict(BACKUP)
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("NIGHTSHIFT_URL", server.url)
        monkeypatch.setenv("NIGHTSHIFT_TOKEN", TOKEN)
        yield server


def spawn(*args: str, **options: Any) -> subprocess.Popen[str]:
    """The command as a process of its own."""
    root = Path(__file__).parents[2]
    environment = os.environ | {"PYTHONPATH": str(root)} | options.pop("env", {})
    command = [sys.executable, "-m", "chalicelib.cli", *args]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
    # Whoever runs the tests in the background makes them, and all their children, deaf to Ctrl-C.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return subprocess.Popen(command, env=environment, text=True, **pipes)
    finally:
        signal.signal(signal.SIGINT, before)


def test_following_as_a_process_survives_twenty_cuts(server: FakeServer):
    server.chunk = lambda: 5
    with cutting_proxy(server.port, cuts=20, seed=3, least=1200) as proxy:
        server.websocket_port = proxy.port

        def speak(run: FakeRun) -> None:
            waiter = threading.Event()
            while proxy.cut < 20:
                run.say(25)
                waiter.wait(0.02)
            run.finish()

        server.on_start = lambda run: threading.Thread(target=speak, args=(run,), daemon=True).start()
        process = spawn("start", "backup", "--follow", "--json")
        stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stderr) == (0, "")
    seqs = [json.loads(row)["seq"] for row in stdout.splitlines()]
    assert seqs == list(range(1, len(only_run(server).events) + 1))


def test_ctrl_c_detaches_and_says_how_to_stop(server: FakeServer):
    server.on_start = lambda run: run.say(1)
    process = spawn("start", "backup", "--follow")
    assert process.stdout is not None
    assert process.stdout.readline() == "line 1\n"
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=20)
    assert process.returncode == 130
    run = only_run(server)
    assert (f"nightshift stop {run.id}" in stderr, "Traceback" in stderr, run.status) == (True, False, "running")


def test_a_reader_that_goes_away_is_no_traceback(server: FakeServer):
    server.on_start = lambda run: run.say(20_000)
    process = spawn("start", "backup", "--follow")
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == ""
    process.wait(20)


def in_terminal(*args: str, until: str, send: str = "", **env: str) -> tuple[str, int]:
    """Run on a pseudo terminal; type `send` once `until` shows. Returns everything shown, and the exit code."""
    leader, follower = pty.openpty()
    environment = {"TERM": "xterm-256color", "COLUMNS": "100"} | env
    process = spawn(*args, stdin=follower, stdout=follower, stderr=follower, env=environment)
    os.close(follower)
    shown, deadline = b"", time.monotonic() + 30
    while time.monotonic() < deadline:
        if not select.select([leader], [], [], 0.2)[0]:
            continue
        try:
            shown += os.read(leader, 65536)
        except OSError:
            break
        if send and until in shown.decode(errors="replace"):
            os.write(leader, send.encode())
            send = ""
    os.close(leader)
    return shown.decode(), process.wait(20)


def test_a_terminal_shows_colours_and_progress(server: FakeServer):
    def act(run: FakeRun) -> None:
        run.events += [
            {"seq": 1, "type": "status", "status": "running"},
            {"seq": 2, "type": "line", "text": "\x1b[32mgreen\x1b[0m [not markup]"},
            {"seq": 3, "type": "progress", "fraction": 0.4, "message": "tables"},
        ]
        threading.Timer(1.0, run.finish).start()

    server.on_start = act
    shown, code = in_terminal("start", "backup", "--follow", until="")
    assert code == 0, shown
    assert "\x1b[32mgreen\x1b[0m [not markup]" in shown
    assert "40%" in plain(shown)
    assert "tables" in plain(shown)
    assert "backup completed after 45s" in plain(shown)


def test_a_terminal_without_colours_shows_none(server: FakeServer):
    shown, _ = in_terminal("tasks", until="", NO_COLOR="1")
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]m", shown)
    assert "scheduled" in shown


@pytest.mark.parametrize(("reply", "code", "count"), [("y\n", 0, 1), ("n\n", 1, 0)])
def test_a_dangerous_task_asks_on_a_terminal(server: FakeServer, reply: str, code: int, count: int):
    server.tasks["backup"]["danger"] = "Locks the database"
    shown, exit_code = in_terminal("start", "backup", until="Start it?", send=reply)
    assert "Locks the database" in shown
    assert (exit_code, len(server.runs)) == (code, count)


def test_debug_shows_the_traceback(server: FakeServer):
    process = spawn("show", "nothing", env={"NIGHTSHIFT_DEBUG": "1"})
    assert "Traceback" in process.communicate(timeout=20)[1]
    assert process.returncode == 1
