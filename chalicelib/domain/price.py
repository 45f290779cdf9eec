"""What runs cost: US dollars at AWS's list prices of us-east-1, on demand, without the free tier, as of January 2025.

Storage, logs and data out are not counted: they depend on what a task keeps and says.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

MILLION = 1_000_000

LAMBDA_REQUEST = 0.20 / MILLION
LAMBDA_GB_SECOND = 0.0000166667  # x86
WRITE_UNIT = 0.625 / MILLION  # 1 KB written; within a transaction it costs two, an index another
READ_UNIT = 0.125 / MILLION  # 4 KB read consistently
WEBSOCKET_MESSAGE = 1.00 / MILLION  # of up to 32 KB
WEBSOCKET_MESSAGE_BYTES = 32 * 1024

PLAIN_WRITES, PLAIN_READS = 20, 4  # units of a short run with a little output, as the tests count them
PLAIN_INVOCATIONS = 2  # of what starts it, and of its own function

MEMORY = 512  # MB, of a task that is gone

SWEEP_READS, SWEEP_SECONDS, SWEEP_MB = 8.0, 0.15, 256  # of a sweep that finds nothing to do


@dataclass(frozen=True)
class Usage:
    """What something used: DynamoDB units, Lambda invocations and gigabyte-seconds, WebSocket messages of 32 KB."""

    write_units: float = 0.0
    read_units: float = 0.0
    invocations: int = 0
    gb_seconds: float = 0.0
    messages: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.write_units + other.write_units,
            self.read_units + other.read_units,
            self.invocations + other.invocations,
            self.gb_seconds + other.gb_seconds,
            self.messages + other.messages,
        )


def price(usage: Usage) -> float:
    """US dollars."""
    return (
        usage.write_units * WRITE_UNIT
        + usage.read_units * READ_UNIT
        + usage.invocations * LAMBDA_REQUEST
        + usage.gb_seconds * LAMBDA_GB_SECOND
        + usage.messages * WEBSOCKET_MESSAGE
    )


def usage_of_runs(runs: int, seconds: float, memory_mb: int) -> Usage:
    """An estimate for so many runs that took so many seconds in all."""
    return Usage(PLAIN_WRITES * runs, PLAIN_READS * runs, PLAIN_INVOCATIONS * runs, gb_seconds(memory_mb, seconds))


def month(runs: int, seconds: float, memory_mb: int) -> float:
    """US dollars for 30 days: so many scheduled runs of so many seconds each, and the sweep of each minute."""
    sweeps = 30 * 24 * 60
    idle = Usage(read_units=SWEEP_READS * sweeps, invocations=sweeps, gb_seconds=sweeps * gb_seconds(SWEEP_MB, SWEEP_SECONDS))
    return price(idle + usage_of_runs(runs, runs * seconds, memory_mb))


def gb_seconds(memory_mb: int, seconds: float) -> float:
    """Of one invocation; Lambda bills by the started millisecond."""
    return memory_mb / 1024 * math.ceil(seconds * 1000) / 1000


def messages_of(size: int) -> int:
    """WebSocket messages that one of this many bytes is billed as."""
    return max(1, math.ceil(size / WEBSOCKET_MESSAGE_BYTES))
