"""Legal periods, by the calendar."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from counterflow.core.policy.periods import (
    guarantee_end,
    is_working_day,
    period_end,
    refund_due_on,
    withdrawal_deadline,
)

EASTER = {date(2026, 4, 3), date(2026, 4, 6)}  # Good Friday, Easter Monday


@pytest.mark.parametrize(
    ("delivered", "holidays", "last"),
    [
        (date(2026, 3, 2), (), date(2026, 3, 16)),  # Monday to Monday
        (date(2026, 3, 7), (), date(2026, 3, 23)),  # the 21st is a Saturday
        (date(2026, 3, 8), (), date(2026, 3, 23)),  # the 22nd is a Sunday
        (date(2026, 3, 20), EASTER, date(2026, 4, 7)),  # Good Friday, weekend, Easter Monday
    ],
)
def test_the_last_day_to_withdraw_moves_to_the_next_working_day(delivered, holidays, last):
    assert withdrawal_deadline(delivered, delivered, holidays) == last


def test_without_information_there_are_twelve_months_more_and_late_information_gives_fourteen_days():
    delivered = date(2026, 3, 2)
    assert withdrawal_deadline(delivered, None) == date(2027, 3, 16)
    assert withdrawal_deadline(delivered, date(2026, 6, 1)) == date(2026, 6, 15)
    assert withdrawal_deadline(delivered, date(2026, 3, 3)) == date(2026, 3, 17)
    assert withdrawal_deadline(delivered, date(2028, 1, 1)) == date(2027, 3, 16)


def test_a_refund_is_due_in_fourteen_days_and_may_wait_for_the_goods_or_proof_of_dispatch():
    declared = date(2026, 3, 2)
    assert refund_due_on(declared, None, None) is None
    assert refund_due_on(declared, date(2026, 3, 5), None) == date(2026, 3, 16)
    assert refund_due_on(declared, date(2026, 3, 30), None) == date(2026, 3, 30)
    assert refund_due_on(declared, date(2026, 3, 30), date(2026, 3, 20)) == date(2026, 3, 20)
    assert refund_due_on(declared, None, None, trader_collects=True) == date(2026, 3, 16)


def test_months_end_on_the_same_day_or_the_last_of_the_month():
    assert period_end(date(2026, 1, 30), months=1) == date(2026, 3, 2)  # 28 February is a Saturday
    assert guarantee_end(date(2024, 2, 29)) == date(2026, 3, 2)  # 28 February again
    assert guarantee_end(date(2024, 3, 5)) == date(2026, 3, 5)


def test_two_days_hold_two_working_days_and_one_day_only_itself():
    friday = date(2026, 3, 6)
    assert period_end(friday, days=2) == date(2026, 3, 10)
    assert period_end(friday, days=1) == date(2026, 3, 9)


@pytest.mark.parametrize("wrong", [{}, {"days": 1, "months": 1}, {"days": -1}, {"days": 3, "months": -1}])
def test_a_period_is_either_days_or_months(wrong):
    with pytest.raises(ValueError, match="either days or months"):
        period_end(date(2026, 1, 1), **wrong)


@given(st.dates(date(2000, 1, 1), date(2100, 1, 1)), st.integers(2, 400), st.frozensets(st.integers(0, 30), max_size=6))
def test_a_period_never_ends_early_and_always_on_a_working_day(start, days, offsets):
    holidays = {start + timedelta(days + offset) for offset in offsets}
    end = period_end(start, days=days, holidays=holidays)
    assert end >= start + timedelta(days) and is_working_day(end, holidays)
    between = [start + timedelta(n) for n in range(1, (end - start).days)]
    assert any(is_working_day(day, holidays) for day in between)
