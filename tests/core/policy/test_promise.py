"""A later change of policy never worsens a running case."""

import pytest

from counterflow.core.money import Money
from counterflow.core.policy import Hit, never_worse

LOSS = {"A": 0, "B": 100_000, "C": 300_000, "D": 600_000}


def hit(table, version, **outputs) -> Hit:
    base = {"shipping_refund": "standard", "promotion": "re_price"} if table == "fees" else {}
    return Hit(table, "row", version, {**base, **outputs}, (), {})


@pytest.mark.parametrize(
    ("now", "at_sale", "counts"),
    [
        ({}, {}, "now"),
        ({"restocking_fee_ppm": 150_000}, {"restocking_fee_ppm": 100_000}, "sale"),
        ({"restocking_fee_ppm": 50_000}, {"restocking_fee_ppm": 100_000}, "now"),
        ({"restocking_fee_ppm": 1}, {}, "sale"),
        ({}, {"restocking_fee_ppm": 1}, "now"),
        ({"shipping_refund": "none"}, {}, "sale"),
        ({"shipping_refund": "full"}, {}, "now"),
        ({"promotion": "deny_partial"}, {}, "sale"),
        ({"value_loss_ppm": LOSS}, {"value_loss_ppm": {**LOSS, "B": 99_999, "D": 700_000}}, "sale"),
        ({"value_loss_ppm": LOSS}, {"value_loss_ppm": {**LOSS, "D": 700_000}}, "now"),
        ({"restocking_fee": Money("EUR", 500)}, {"restocking_fee": Money("EUR", 500)}, "now"),
        ({"restocking_fee": Money("EUR", 501)}, {"restocking_fee": Money("EUR", 500)}, "sale"),
        ({"restocking_fee": Money("EUR", 1)}, {"restocking_fee": Money("JPY", 500)}, "sale"),
        ({"restocking_fee": Money("EUR", 1)}, {"restocking_fee_ppm": 900_000}, "sale"),
    ],
)
def test_the_terms_of_the_sale_stand_where_the_new_ones_are_harsher_in_anything(now, at_sale, counts):
    assert never_worse(hit("fees", "now", **now), hit("fees", "sale", **at_sale)).version == counts


def test_a_promised_return_is_not_declined_later_and_a_kinder_answer_is_taken():
    approve, decline = ({"decision": word, "reason_code": "manual"} for word in ("approve", "decline"))
    assert never_worse(hit("eligibility", "now", **decline), hit("eligibility", "sale", **approve)).version == "sale"
    assert never_worse(hit("eligibility", "now", **approve), hit("eligibility", "sale", **decline)).version == "now"


def test_who_signs_is_the_shops_own_business():
    now, at_sale = ({"persons": word, "role": "cs_lead"} for word in ("two", "auto"))
    assert never_worse(hit("approvals", "now", **now), hit("approvals", "sale", **at_sale)).version == "now"


def test_answers_of_two_tables_are_not_compared():
    with pytest.raises(ValueError, match="one table"):
        never_worse(hit("fees", "now"), hit("approvals", "sale"))
