"""The set that ships is sound, keeps its agreements, and reads back from its own print."""

from dataclasses import replace

from counterflow.core.policy import NO_FLAGS, TABLES, Hit, check_set, evaluate, parse, print_toml, run_golden
from counterflow.policies import default


def test_the_shipped_set_has_all_tables_and_no_errors():
    policies = default()
    assert set(policies.tables) == set(TABLES)
    assert [problem for problem in check_set(policies) if problem.severity == "error"] == []


def test_its_golden_cases_hold_and_a_changed_agreement_is_noticed():
    policies = default()
    assert run_golden(policies) == []
    changed = replace(policies.golden[0], expect={"decision": "decline"})
    (failure,) = run_golden(replace(policies, golden=(changed, *policies.golden[1:])))
    assert "decision is approve, agreed was decline" in failure.what and failure.row == changed.name


def test_it_is_read_back_equal_from_its_print():
    assert parse(print_toml(default())) == default()


def disposition(**inputs) -> str:
    known = {
        **NO_FLAGS,
        **{"lot_status": "ok", "serial_result": "ok", "grade": "A", "category": "general"},
        **{"remedy": "refund", "reason": "changed_mind"},
    }
    hit = evaluate(default().tables["disposition"], {**known, **inputs})
    assert isinstance(hit, Hit)
    return str(hit.outputs["disposition"])


def test_the_branches_of_a_returned_unit():
    assert disposition() == "restock"
    assert disposition(grade="B") == "refurbish"
    assert disposition(grade="C") == "liquidate"
    assert disposition(grade="D") == "scrap"
    assert disposition(grade="D", category="electronics") == "recycle"
    assert disposition(lot_status="recalled") == "quarantine"
    assert disposition(serial_result="mismatch") == "quarantine"
    assert disposition(grade="C", reason="defective") == "return_to_vendor"
    assert disposition(data_bearing=True) == "hold"
    assert disposition(data_bearing=True, wiped=True) == "restock"
    assert disposition(hygiene=True, seal_broken=True) == "scrap"
    assert disposition(grade="not_graded") == "hold"


def eligibility(**inputs) -> tuple[str, str]:
    known = {
        **NO_FLAGS,
        **{"case_kind": "return", "reason": "changed_mind", "lot_status": "ok", "serial_result": "ok"},
        **{"regime": "consumer", "days_since_delivery": 7, "stated_condition": "unopened", "remedy": "refund"},
    }
    hit = evaluate(default().tables["eligibility"], {**known, **inputs})
    assert isinstance(hit, Hit)
    return str(hit.outputs["decision"]), str(hit.outputs["reason_code"])


def test_who_may_bring_what_back():
    assert eligibility() == ("approve", "in_window")
    assert eligibility(days_since_delivery=31) == ("decline", "window_over")
    assert eligibility(days_since_delivery=31, remedy="exchange") == ("approve", "goodwill")
    assert eligibility(final_sale=True) == ("decline", "final_sale")
    assert eligibility(final_sale=True, reason="defective") == ("approve", "seller_fault")
    assert eligibility(hygiene=True, seal_broken=True) == ("decline", "hygiene")
    assert eligibility(digital=True) == ("decline", "digital")
    assert eligibility(perishable=True) == ("decline", "perishable")
    assert eligibility(reason="defective", days_since_delivery=731) == ("decline", "guarantee_over")
    assert eligibility(regime="business", stated_condition="opened") == ("decline", "business_terms")


def test_edge_case_19_a_unit_that_came_back_already_is_blocked_even_when_its_lot_is_recalled():
    assert eligibility(serial_result="already_returned", lot_status="recalled") == ("review", "serial_already_returned")


def approval(**inputs) -> tuple[str, str]:
    known = {"case_kind": "return", "tender": "card", "currency": "EUR", "amount_minor": 1_000}
    hit = evaluate(default().tables["approvals"], {**known, **inputs})
    assert isinstance(hit, Hit)
    return str(hit.outputs["persons"]), str(hit.outputs["role"])


def test_the_larger_the_refund_the_more_people_sign_in_every_currency():
    assert [approval(amount_minor=amount)[0] for amount in (50_000, 50_001, 200_001)] == ["auto", "one", "two"]
    assert approval(currency="JPY", amount_minor=80_001) == ("one", "finance_controller")
    assert approval(currency="SEK", amount_minor=1) == ("one", "finance_controller")
    assert approval(case_kind="goodwill", currency="JPY") == ("two", "finance_controller")
    assert approval(case_kind="goodwill", amount_minor=2_001) == ("one", "cs_lead")
    assert approval(tender="cash", amount_minor=50_001) == ("two", "store_manager")
