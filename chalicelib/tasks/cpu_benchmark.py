"""How fast the machine is that a task gets."""

from __future__ import annotations

import time
from math import isqrt
from typing import Annotated, Any

from chalicelib import Param, Run, task

SEGMENT = 1 << 18


@task(title="CPU benchmark", category="admin", icon="cpu", tags=["capacity"], timeout="10m", memory=1769)
def cpu_benchmark(
    run: Run,
    limit: Annotated[int, Param(ge=1_000, le=500_000_000, help="Count the primes below this number")] = 20_000_000,
) -> dict[str, Any]:
    """Counts primes with a segmented sieve: the same work anywhere, so that the times of two machines can be compared.

    Lambda gives CPU by memory; with 1769 MB a function has one whole core.
    """
    started = time.perf_counter()
    base = _primes_up_to(isqrt(limit - 1))
    count = 0
    for low in range(0, limit, SEGMENT):
        high = min(low + SEGMENT, limit)
        count += _count_between(low, high, base)
        run.progress(high / limit, f"{count:,} primes below {high:,}")
    seconds = time.perf_counter() - started
    print(f"{count:,} primes below {limit:,} in {seconds:.2f} s")
    return {"primes": count, "limit": limit, "seconds": round(seconds, 3), "numbers_per_second": round(limit / seconds)}


def _primes_up_to(limit: int) -> list[int]:
    sieve = bytearray([1]) * (limit + 1)
    sieve[:2] = b"\0\0"[: len(sieve)]
    for n in range(2, isqrt(limit) + 1):
        if sieve[n]:
            sieve[n * n :: n] = bytes(len(range(n * n, limit + 1, n)))
    return [n for n, is_prime in enumerate(sieve) if is_prime]


def _count_between(low: int, high: int, base: list[int]) -> int:
    sieve = bytearray([1]) * (high - low)
    if low == 0:
        sieve[:2] = b"\0\0"
    for prime in base:
        first = max(prime * prime, -(-low // prime) * prime)
        if first < high:
            sieve[first - low :: prime] = bytes(len(range(first, high, prime)))
    return sieve.count(1)
