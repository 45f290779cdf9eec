"""Statistics of finished runs: counters that add up, and what can be said from them.

Durations are counted in a histogram, so percentiles are estimates: exact to the bucket, interpolated within it.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

BUCKETS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400)
"""Upper bounds in seconds of the histogram's buckets; a last one holds what took longer."""

NAMES = (*(f"le_{bound:g}" for bound in BUCKETS), "le_more")
OUTCOMES = ("completed", "failed", "stopped")


def bucket_of(seconds: float) -> str:
    """The name of the bucket that a duration is counted in."""
    return NAMES[bisect_left(BUCKETS, seconds)]


@dataclass(frozen=True)
class Tally:
    """Finished runs of some task and time: how many ended how, how long they took in all, and the histogram of it."""

    completed: int = 0
    failed: int = 0
    stopped: int = 0
    seconds: float = 0.0
    buckets: tuple[int, ...] = (0,) * len(NAMES)

    @property
    def runs(self) -> int:
        """All of them."""
        return self.completed + self.failed + self.stopped

    @property
    def success_rate(self) -> float | None:
        """The share of completed runs among those that were not stopped, 0 to 1; None without any."""
        ended = self.completed + self.failed
        return self.completed / ended if ended else None

    @property
    def mean(self) -> float | None:
        """Seconds."""
        return self.seconds / self.runs if self.runs else None

    def percentile(self, share: float) -> float | None:
        """Seconds that this share (0.95) of the runs did not exceed: an estimate. Beyond the last bucket its lower bound."""
        total = sum(self.buckets)
        if not total:
            return None
        if self.runs == 1:
            return float(self.seconds)
        wanted = share * total
        below = 0
        for place, count in enumerate(self.buckets):
            if count and below + count >= wanted:
                return _within(place, (wanted - below) / count)
            below += count
        raise AssertionError("never reached")


def _within(place: int, share: float) -> float:
    """A point of a bucket. Durations spread over magnitudes, so its middle is the geometric one; the first begins at nothing."""
    if place == len(BUCKETS):
        return float(BUCKETS[-1])
    if place == 0:
        return BUCKETS[0] * share
    low, high = BUCKETS[place - 1], BUCKETS[place]
    return float(low * (high / low) ** share)


def add(tallies: Iterable[Tally]) -> Tally:
    """All of them as one."""
    found = list(tallies)
    if not found:
        return Tally()
    return Tally(
        sum(t.completed for t in found),
        sum(t.failed for t in found),
        sum(t.stopped for t in found),
        math.fsum(t.seconds for t in found),
        tuple(sum(counts) for counts in zip(*(t.buckets for t in found), strict=True)),
    )


def slots_over_time(spans: Sequence[tuple[int, int, int]], begin: int, end: int, points: int) -> list[tuple[int, int]]:
    """`(instant, most slots in use)` for so many equal stretches between two instants (epoch ms). A span is (from, to, slots)."""
    changes = sorted([(at, slots) for at, _to, slots in spans] + [(max(to, at + 1), -slots) for at, to, slots in spans])
    levels = list(accumulate((change for _at, change in changes), initial=0))
    found, place = [], 0
    for number in range(points):
        left = begin + (end - begin) * number // points
        right = begin + (end - begin) * (number + 1) // points
        while place < len(changes) and changes[place][0] <= left:
            place += 1
        first = place
        while place < len(changes) and changes[place][0] < right:
            place += 1
        found.append((left, max(levels[first : place + 1])))
    return found
