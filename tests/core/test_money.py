"""Money as text and as numbers: exact both ways, and nothing finer than the currency is believed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from counterflow.core.money import MoneyError, exponent, number_to_minor, to_major, to_minor

CURRENCIES = st.sampled_from(["EUR", "JPY", "KWD", "CLF"])


@given(st.integers(-(10**11), 10**11), CURRENCIES)
def test_minor_units_come_back_from_text_and_from_a_number(minor: int, currency: str) -> None:
    assert to_minor(to_major(minor, currency), currency) == minor
    assert number_to_minor(minor / 10 ** exponent(currency), currency) == minor


@pytest.mark.parametrize(("value", "minor"), [(0.1 + 0.2, 30), (19.9, 1990), (1.1 * 3, 330), (-33.33, -3333)])
def test_the_noise_of_a_binary_fraction_is_no_fraction_of_a_cent(value: float, minor: int) -> None:
    assert number_to_minor(value, "EUR") == minor


@pytest.mark.parametrize(("value", "currency"), [(19.905, "EUR"), (19.90049, "EUR"), (0.5, "JPY"), (1.0005, "KWD")])
def test_what_is_finer_than_the_currency_is_refused_by_name(value: float, currency: str) -> None:
    with pytest.raises(MoneyError, match=currency):
        number_to_minor(value, currency)
