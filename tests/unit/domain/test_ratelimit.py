"""Rates as people write them."""

from __future__ import annotations

import pytest

from chalicelib.domain.ratelimit import parse_rate


@pytest.mark.parametrize(
    ("text", "expected"),
    [("10/minute", (10, 60)), ("1/second", (1, 1)), (" 5 / Hours ", (5, 3600)), ("1000/day", (1000, 86400))],
)
def test_rate_is_count_and_seconds(text: str, expected: tuple[int, int]) -> None:
    assert parse_rate(text) == expected


@pytest.mark.parametrize(
    "text", ["", "10", "10/", "/minute", "0/minute", "-1/minute", "1.5/hour", "10/week", "ten/minute", "10 per minute"]
)
def test_what_is_no_rate_is_refused_with_one_that_is(text: str) -> None:
    with pytest.raises(ValueError, match="write it like 10/minute"):
        parse_rate(text)
