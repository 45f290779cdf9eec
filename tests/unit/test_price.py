"""What runs cost."""

from __future__ import annotations

import pytest

from chalicelib.domain.price import MILLION, Usage, gb_seconds, messages_of, month, price, usage_of_runs


def test_each_kind_has_its_list_price() -> None:
    assert price(Usage(write_units=MILLION)) == pytest.approx(0.625)
    assert price(Usage(read_units=MILLION)) == pytest.approx(0.125)
    assert price(Usage(invocations=MILLION)) == pytest.approx(0.20)
    assert price(Usage(gb_seconds=MILLION)) == pytest.approx(16.6667)
    assert price(Usage(messages=MILLION)) == pytest.approx(1.00)


def test_usages_add_up() -> None:
    one, other = Usage(1, 2, 3, 4, 5), Usage(10, 20, 30, 40, 50)
    assert one + other == Usage(11, 22, 33, 44, 55)
    assert price(one + other) == pytest.approx(price(one) + price(other))


def test_lambda_bills_the_started_millisecond() -> None:
    assert gb_seconds(512, 0.2001) == pytest.approx(0.5 * 0.201)


@pytest.mark.parametrize(("size", "messages"), [(0, 1), (1, 1), (32_768, 1), (32_769, 2), (100_000, 4)])
def test_a_message_is_billed_by_32_kb(size: int, messages: int) -> None:
    assert messages_of(size) == messages


def test_a_month_is_its_runs_and_the_sweeps() -> None:
    nothing, one, million = (month(runs, 0.2, 512) for runs in (0, 1, MILLION))
    assert 0.01 < nothing < 0.20
    assert one - nothing == pytest.approx((million - nothing) / MILLION)
    assert million == pytest.approx(nothing + price(usage_of_runs(MILLION, 0.2 * MILLION, 512)))
