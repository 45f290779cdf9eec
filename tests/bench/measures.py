"""How times and processes are measured."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from infra.local.testing import LocalStack

TICKS = os.sysconf("SC_CLK_TCK")
CONTEXT = {"routeKey": "$disconnect", "eventType": "DISCONNECT", "connectionId": "x", "domainName": "x", "stage": "x", "apiId": "x"}
DISCONNECT = {"requestContext": CONTEXT}


def seconds(what: Callable[[], Any], times: int) -> list[float]:
    """How long each of so many calls took, sorted."""
    took = []
    for _ in range(times):
        began = time.perf_counter()
        what()
        took.append(time.perf_counter() - began)
    return sorted(took)


def at(sorted_values: list[float], share: float) -> float:
    """A percentile."""
    return sorted_values[min(len(sorted_values) - 1, int(len(sorted_values) * share))]


def ms(value: float) -> str:
    return f"{value * 1000:.1f} ms"


def bare_request(stack: LocalStack) -> float:
    """The median of one GetItem from here, in seconds."""
    client = stack.client("dynamodb")
    key = {"pk": {"S": "nothing"}, "sk": {"S": "nothing"}}
    return at(seconds(lambda: client.get_item(TableName="nightshift-local", Key=key), 100), 0.5)


def bare_call(stack: LocalStack) -> float:
    """The median of one call of a warm function that does nothing, in seconds."""
    client = stack.client("lambda")
    payload = json.dumps(DISCONNECT)

    def call() -> None:
        answer = client.invoke(FunctionName="websocket_disconnect", Payload=payload)
        assert "FunctionError" not in answer, answer["Payload"].read()

    call()
    return at(seconds(call, 50), 0.5)


def memory(pids: list[int]) -> float:
    """What these processes take together, shared pages counted once (PSS), in MB."""
    return sum(_pss(pid) for pid in pids) / 1024


def cpu(pids: list[int]) -> float:
    """CPU seconds that these processes have used, with their ended children."""
    return sum(_cpu(pid) for pid in pids)


def _pss(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))


def _cpu(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) / TICKS  # utime, stime, cutime, cstime
