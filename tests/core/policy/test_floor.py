"""The statutory floor: no row is harsher than the law, and the answer says which law."""

from datetime import date
from itertools import product

import pytest

from counterflow.core.money import Money
from counterflow.core.policy import NO_FLAGS, Hit, Review, check, evaluate
from counterflow.core.policy import floor as the_floor
from counterflow.core.policy.floor import Floored, apply, clocks, explain_floor
from counterflow.core.policy.vocabulary import TABLES, Word
from counterflow.policies import default

CUSTOMER = {
    **NO_FLAGS,
    "country": "DE",
    "regime": "consumer",
    "contract": "distance",
    "case_kind": "return",
    "remedy": "refund",
    "reason": "changed_mind",
    "lot_status": "ok",
    "serial_result": "ok",
    "grade": "B",
    "informed": True,
    "withdrawal_open": True,
    "guarantee_open": True,
}
LOSS = {"A": 0, "B": 100_000, "C": 300_000, "D": 600_000}


def kept(table, outputs, **inputs) -> Floored:
    result = apply(Hit(table, "harsh", "pv_test", outputs, (), {}), {**CUSTOMER, **inputs})
    assert isinstance(result, Floored)
    return result


def decision(**inputs) -> str:
    outputs = {"decision": "decline", "reason_code": "final_sale"}
    return str(kept("eligibility", outputs, **inputs).outputs["decision"])


def test_the_grounds_are_sound_tables_with_a_source_in_every_row():
    for table in the_floor.GROUNDS.values():
        assert [problem for problem in check(table, the_floor.ANSWERS) if problem.severity == "error"] == []
        assert all(row.note for row in table.rows)


def test_every_limit_names_a_ground_and_answers_that_its_table_has():
    for limit in the_floor.LIMITS:
        assert set(limit.grounds) <= set(the_floor.GROUNDS)
        output = TABLES[limit.table][limit.output]
        assert not limit.never or (
            isinstance(output, Word) and {*limit.never, *limit.never.values()} <= set(output.words)
        )
        assert limit.never or not isinstance(output, Word)


def test_a_consumer_in_time_may_withdraw_whatever_the_row_says_and_both_are_kept():
    result = kept("eligibility", {"decision": "decline", "reason_code": "final_sale"}, final_sale=True)
    assert result.outputs == {"decision": "approve", "reason_code": "statutory_withdrawal"}
    assert result.hit.outputs["decision"] == "decline"
    (override,) = result.overrides
    assert (override.was, override.now, override.grounds) == ("decline", "approve", ("withdrawal/consumer",))
    assert "2011/83/EU art. 9" in override.source
    assert explain_floor(result) == (
        "The law overrides row harsh: decision is approve and not decline "
        "(withdrawal/consumer: Directive 2011/83/EU art. 9, 10)."
    )


@pytest.mark.parametrize(
    "inputs",
    [
        {"withdrawal_open": False},
        {"regime": "business"},
        {"country": "US"},
        {"contract": "on_premises"},
        {"remedy": "exchange"},
        {"customised": True},
        {"perishable": True},
        {"digital": True},
        {"hygiene": True, "seal_broken": True},
        {"sealed_media": True, "seal_broken": True},
    ],
)
def test_where_there_is_no_right_to_withdraw_the_row_stands(inputs):
    assert decision(**inputs) == "decline"


def test_edge_case_25_hygiene_goods_with_their_seal_may_be_withdrawn_from():
    assert decision(hygiene=True) == decision(sealed_media=True) == "approve"


def test_edge_case_26_customised_and_final_sale_goods_are_claimable_when_defective():
    inputs = {"customised": True, "final_sale": True, "case_kind": "warranty_claim", "withdrawal_open": False}
    assert decision(**inputs, reason="defective") == "approve"
    assert decision(**inputs, reason="changed_mind") == "decline"
    assert decision(**inputs, reason="defective", guarantee_open=False) == "decline"


def test_a_missing_parcel_is_never_declined_without_a_person():
    assert decision(reason="not_received", withdrawal_open=False) == "review"


def test_edge_case_13_no_restocking_fee_on_the_sellers_fault_even_when_a_rule_says_so():
    share = {"restocking_fee_ppm": 150_000, "shipping_refund": "none", "promotion": "re_price", "value_loss_ppm": LOSS}
    result = kept("fees", share, reason="defective", contract="on_premises")
    assert result.outputs["restocking_fee_ppm"] == 0 and result.outputs["value_loss_ppm"] == dict.fromkeys("ABCD", 0)
    assert all("2019/771" in override.source for override in result.overrides)
    fixed = kept("fees", {"restocking_fee": Money("JPY", 500)}, reason="wrong_item", contract="on_premises")
    assert fixed.outputs["restocking_fee"] == Money("JPY", 0)


def test_edge_case_14_a_withdrawal_gets_the_standard_outbound_delivery_back():
    assert kept("fees", {"shipping_refund": "none"}).outputs["shipping_refund"] == "standard"
    assert kept("fees", {"shipping_refund": "full"}).outputs["shipping_refund"] == "full"
    assert kept("fees", {"shipping_refund": "none"}, country="US").outputs["shipping_refund"] == "none"


def test_edge_case_1_a_partial_withdrawal_may_be_re_priced_but_not_refused():
    assert kept("fees", {"promotion": "deny_partial"}).outputs["promotion"] == "re_price"
    assert kept("fees", {"promotion": "keep_benefit"}).outputs["promotion"] == "keep_benefit"


@pytest.mark.parametrize(
    ("informed", "finding", "charged"), [(True, True, True), (True, False, False), (False, True, False)]
)
def test_edge_case_23_value_loss_needs_a_finding_beyond_testing_and_an_informed_consumer(informed, finding, charged):
    result = kept("fees", {"value_loss_ppm": LOSS}, informed=informed, used_beyond_testing=finding)
    assert (result.outputs["value_loss_ppm"] == LOSS) is charged


def test_edge_case_22_a_recalled_or_expired_lot_is_never_sold_again_and_comes_back_whatever_the_window():
    for status, chosen in product(
        ("recalled", "expired"), ("restock", "refurbish", "liquidate", "donate", "send_back")
    ):
        assert kept("disposition", {"disposition": chosen}, lot_status=status).outputs["disposition"] == "quarantine"
    assert decision(lot_status="recalled", withdrawal_open=False) == "approve"


def test_edge_cases_18_24_25_no_foreign_unwiped_unsealed_or_unseen_unit_goes_on_the_shelf():
    restock = {"disposition": "restock"}
    assert kept("disposition", restock, serial_result="mismatch").outputs["disposition"] == "quarantine"
    assert kept("disposition", restock, data_bearing=True).outputs["disposition"] == "hold"
    assert kept("disposition", restock, data_bearing=True, wiped=True).overrides == ()
    assert kept("disposition", restock, hygiene=True, seal_broken=True).outputs["disposition"] == "quarantine"
    assert kept("disposition", restock, grade="not_graded").outputs["disposition"] == "hold"
    assert kept("disposition", restock).outputs == restock


def test_an_answer_that_no_limit_touches_asks_for_nothing():
    hit = Hit("eligibility", "kind", "pv_test", {"decision": "approve", "reason_code": "in_window"}, (), {})
    assert apply(hit, {}) == Floored(hit, hit.outputs)


def test_a_harsh_answer_without_the_inputs_that_the_law_asks_for_needs_review():
    hit = Hit("eligibility", "harsh", "pv_test", {"decision": "decline", "reason_code": "window_over"}, (), {})
    known = {name: value for name, value in CUSTOMER.items() if name != "withdrawal_open"}
    result = apply(hit, known)
    assert isinstance(result, Review) and result.names == ("withdrawal_open",) and "harsh" in result.why


def test_the_clock_of_a_thing_that_was_never_delivered_has_not_begun():
    day = date(2026, 3, 16)
    assert clocks(day, day, day) == {"withdrawal_open": True, "guarantee_open": True}
    assert clocks(day, date(2026, 3, 15), None) == {"withdrawal_open": False, "guarantee_open": True}


def test_no_answer_of_the_shipped_policy_to_a_withdrawing_consumer_is_below_the_floor():
    policies = default()
    for reason, condition, grade, final_sale in product(
        ("changed_mind", "defective", "wrong_item"), ("unopened", "opened", "used"), "ABCD", (False, True)
    ):
        inputs = {
            **CUSTOMER,
            "reason": reason,
            "stated_condition": condition,
            "grade": grade,
            "final_sale": final_sale,
            "days_since_delivery": 9,
            "category": "electronics",
        }
        eligibility = evaluate(policies.tables["eligibility"], inputs)
        fees = evaluate(policies.tables["fees"], inputs)
        assert isinstance(eligibility, Hit) and isinstance(fees, Hit)
        decided, charged = apply(eligibility, inputs), apply(fees, inputs)
        assert isinstance(decided, Floored) and isinstance(charged, Floored)
        assert decided.outputs["decision"] == "approve"
        assert not charged.outputs.get("restocking_fee_ppm", 0)
        assert charged.outputs["shipping_refund"] in ("standard", "full")
        assert charged.outputs["value_loss_ppm" if "value_loss_ppm" in charged.outputs else "promotion"] in (
            dict.fromkeys("ABCD", 0),
            "keep_benefit",
        )
