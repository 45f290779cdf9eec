"""Schedule expressions against a second implementation."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from pyawscron import AWSCron

from infra.local.awscron import due


@pytest.mark.parametrize(
    "expression",
    [
        "0 12 * * ? *", "0/15 * * * ? *", "5,35 8-10 ? * MON-FRI *", "0 2 L * ? *", "0 9 15W * ? *", "30 6 ? * 6L *",
        "0 10 ? * 2#1 *", "0 0 1 1,7 ? *", "59 23 28 * ? 2026-2027", "10 0/6 ? JAN-MAR SUN *",
    ],
)  # fmt: skip
def test_cron_fires_when_it_should(expression: str) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    at, found = start, []
    for _ in range(60 * 24 * 95):
        if due(f"cron({expression})", at):
            found.append(at)
        at += timedelta(minutes=1)
    expected, cron = [], AWSCron(expression)
    moment = cron.occurrence(start - timedelta(minutes=1)).next()
    while moment is not None and moment < at:
        expected.append(moment)
        moment = cron.occurrence(moment).next()
    assert found == expected


def test_rates_count_whole_minutes() -> None:
    minutes = [datetime(2026, 1, 1, 0, m, tzinfo=UTC) for m in range(10)]
    assert [m.minute for m in minutes if due("rate(5 minutes)", m)] == [0, 5]
    assert all(due("rate(1 minute)", m) for m in minutes)
    assert [m.minute for m in minutes if due("rate(1 hour)", m)] == [0]


@pytest.mark.parametrize("expression", ["rate(0 minutes)", "rate(x)", "cron(* * *)", "cron(61 * * * ? *)", "often"])
def test_nonsense_is_an_error(expression: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        due(expression, datetime(2026, 1, 1, tzinfo=UTC))
