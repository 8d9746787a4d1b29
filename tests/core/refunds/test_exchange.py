"""Exchanges: even, up, down, and everything that can come between."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from counterflow.core.refunds import ExchangeSettlement, exchange_difference, settle_exchange


def figures(settled: ExchangeSettlement) -> tuple[int, int, int, str]:
    return settled.offset_minor, settled.customer_pays_minor, settled.refund_minor, settled.outcome


@pytest.mark.parametrize(
    ("replacement", "expected"),
    [(5000, (5000, 0, 0, "even")), (6000, (5000, 1000, 0, "up")), (3500, (3500, 0, 1500, "down"))],
)
def test_even_up_down(replacement: int, expected: tuple[int, int, int, str]) -> None:
    assert figures(settle_exchange(5000, replacement)) == expected


@pytest.mark.parametrize("state", ["out_of_stock", "cancelled"])
def test_edge_063_a_replacement_that_falls_through_gives_the_whole_entitlement_back(state: str) -> None:
    settled = settle_exchange(5000, 6000, replacement=state)
    assert figures(settled) == (0, 0, 5000, "refund")
    assert state.replace("_", " ") in settled.because


def test_edge_065_an_upsell_that_is_not_paid_expires_to_a_refund() -> None:
    assert figures(settle_exchange(5000, 6000, replacement="unpaid")) == (0, 0, 5000, "refund")


def test_a_negative_amount_is_refused() -> None:
    with pytest.raises(ValueError, match="neither can be negative"):
        settle_exchange(-1, 5)


@given(st.integers(0, 10**9), st.integers(0, 10**9), st.sampled_from(("available", "cancelled")))
def test_nothing_is_lost_between_entitlement_and_replacement(entitled: int, price: int, state: str) -> None:
    settled = settle_exchange(entitled, price, replacement=state)
    assert settled.offset_minor + settled.refund_minor == entitled
    if state == "available":
        assert settled.offset_minor + settled.customer_pays_minor == price


@given(st.integers(1, 10**6), st.integers(0, 10**6), st.data())
def test_edge_060_exchange_differences_close_over_all_refunds(captured: int, settled: int, data: st.DataObject) -> None:
    first = data.draw(st.integers(0, captured))
    booked = [data.draw(st.integers(0, 10**6)) for _ in range(2)]
    losses = exchange_difference(captured, settled, 0, first, booked[0]) + exchange_difference(
        captured, settled, first, captured - first, booked[1]
    )
    assert losses == sum(booked) - settled


def test_edge_060_a_fallen_rate_is_a_gain_and_no_part_of_the_refund() -> None:
    assert exchange_difference(10_000, 10_500, 0, 5000, 5200) == -50
    with pytest.raises(ValueError, match="not within"):
        exchange_difference(10_000, 10_500, 6000, 5000, 5200)
