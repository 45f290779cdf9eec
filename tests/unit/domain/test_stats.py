"""Counters of runs: adding up, percentiles, slots over time."""

from __future__ import annotations

import random

import pytest

from chalicelib.domain.stats import BUCKETS, NAMES, Tally, add, bucket_of, slots_over_time


def tally_of(durations: list[float], **outcomes: int) -> Tally:
    """The tally of completed runs that took so long."""
    counts = [0] * len(NAMES)
    for seconds in durations:
        counts[NAMES.index(bucket_of(seconds))] += 1
    return Tally(outcomes.get("completed", len(durations)), outcomes.get("failed", 0), outcomes.get("stopped", 0),
                 sum(durations), tuple(counts))  # fmt: skip


@pytest.mark.parametrize(
    ("seconds", "name"), [(0, "le_0.1"), (0.1, "le_0.1"), (0.11, "le_0.2"), (1, "le_1"), (14400, "le_14400"), (14400.1, "le_more")]
)
def test_a_bucket_holds_its_upper_bound(seconds: float, name: str) -> None:
    assert bucket_of(seconds) == name


@pytest.mark.parametrize("share", [0.5, 0.95])
@pytest.mark.parametrize("scale", [0.3, 4, 90, 2000])
def test_a_percentile_is_within_the_true_ones_bucket(share: float, scale: float) -> None:
    chance = random.Random(f"{share} {scale}")
    durations = sorted(chance.lognormvariate(0, 0.8) * scale for _ in range(500))
    true = durations[round(share * 500) - 1]
    estimated = tally_of(durations).percentile(share)
    assert estimated is not None
    assert bucket_of(estimated) == bucket_of(true)
    assert true / 1.6 < estimated < true * 1.6


def test_percentiles_at_the_edges() -> None:
    assert Tally().percentile(0.5) is None
    assert tally_of([0.03]).percentile(0.95) == 0.03, "one run is known exactly"
    assert tally_of([0.05, 0.05]).percentile(0.5) == 0.05
    assert tally_of([99_999, 99_999]).percentile(0.95) == BUCKETS[-1]
    assert tally_of([1, 1, 1, 50]).percentile(0.75) == 1


def test_what_was_stopped_counts_neither_as_success_nor_as_failure() -> None:
    assert Tally(completed=3, failed=1, stopped=6).success_rate == 0.75
    assert Tally(stopped=2).success_rate is None
    assert Tally(completed=3, failed=1, stopped=6).runs == 10


def test_tallies_add_up() -> None:
    whole = add([tally_of([1, 2], failed=1), tally_of([3], stopped=2), Tally()])
    assert (whole.completed, whole.failed, whole.stopped, whole.seconds, sum(whole.buckets)) == (3, 1, 2, 6, 3)
    assert add([]) == Tally()


def test_slots_over_time_are_the_most_of_each_stretch() -> None:
    spans = [(0, 50, 1), (10, 20, 2), (15, 16, 1), (20, 35, 1), (90, 500, 3)]
    assert slots_over_time(spans, 0, 100, 10) == [
        (0, 1), (10, 4), (20, 2), (30, 2), (40, 1), (50, 0), (60, 0), (70, 0), (80, 0), (90, 3)]  # fmt: skip


def test_what_began_before_the_first_stretch_is_counted_in_it() -> None:
    assert slots_over_time([(-500, 5, 2), (-500, -400, 9)], 0, 10, 2) == [(0, 2), (5, 0)]
    assert slots_over_time([], 0, 10, 2) == [(0, 0), (5, 0)]
