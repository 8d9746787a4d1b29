"""What a serial or a lot says, and where a unit goes."""

from datetime import date

import pytest

from counterflow.core.inventory import (
    OPERATIONS,
    KnownSerial,
    lot_verdict,
    operation_for,
    serial_verdict,
)
from counterflow.core.policy.vocabulary import COLUMNS, TABLES, Choice, Word

ELSEWHERE = {
    "B7": KnownSerial("phone", sale_ref="shop:order:2"),
    "B8": KnownSerial("phone"),
    "A2": KnownSerial("phone", sale_ref="shop:order:2"),
    "C1": KnownSerial("phone", sale_ref="shop:order:1", returned_in="rc_1"),
    "D1": KnownSerial("phone", sale_ref="shop:order:2", returned_in="rc_2"),
    "C2": KnownSerial("phone", sale_ref="shop:order:1"),
}


@pytest.mark.parametrize(
    ("scanned", "sold", "word", "linked", "blocks"),
    [
        ("A1", ("A1",), "ok", "", False),
        ("a-1 ", ("A1",), "ok", "", False),
        ("Z9", ("A1",), "mismatch", "", True),  # edge case 18
        ("B7", ("A1",), "sold_to_other", "shop:order:2", True),
        ("B8", ("A1",), "mismatch", "", True),
        ("B8", (), "mismatch", "", True),
        ("A2", ("A2",), "sold_to_other", "shop:order:2", True),  # edge case 19: sold twice
        ("R1", ("R1",), "already_returned", "shop:order:1", True),
        ("C1", ("C1",), "already_returned", "rc_1", True),
        ("C2", (), "ok", "", False),
        ("D1", ("D1",), "ok", "", False),  # came back from another customer and was sold again
        ("Z9", (), "unknown", "", False),
        ("", ("A1",), "missing", "", False),  # edge case 20
        (" - ", ("A1",), "missing", "", False),
    ],
)
def test_edge_018_to_020_serials(scanned: str, sold: tuple[str, ...], word: str, linked: str, blocks: bool) -> None:
    verdict = serial_verdict(scanned, sold, returned=("R1",), elsewhere=ELSEWHERE, sale_ref="shop:order:1")
    assert (verdict.word, verdict.linked_ref, verdict.blocks_refund) == (word, linked, blocks)
    assert verdict.because


def test_edge_021_another_lot_than_delivered_is_a_swap_and_forces_nothing() -> None:
    verdict = lot_verdict("L9", ("L2", "L1"))
    assert (verdict.word, verdict.swap_with, verdict.disposition("restock")) == ("unexpected", "L1", "restock")
    assert lot_verdict("L1", ("L1", "L2")).word == lot_verdict("", ("L1",)).word == "ok"


def test_edge_022_a_recalled_lot_forces_the_disposition_and_the_refund() -> None:
    verdict = lot_verdict("L1", ("L1",), recalled=("L1",))
    assert verdict.refund_regardless
    assert verdict.disposition("restock") == "hold"
    assert verdict.disposition("return_to_vendor") == "return_to_vendor"


def test_edge_022_a_lot_is_expired_from_the_day_after() -> None:
    end = date(2026, 3, 31)
    assert lot_verdict("L1", expires_on=end, today=end).word == "ok"
    late = lot_verdict("L1", expires_on=end, today=date(2026, 4, 1))
    assert (late.word, late.disposition("restock"), late.refund_regardless) == ("expired", "scrap", False)


def test_every_disposition_of_the_policies_has_its_operation_and_no_other() -> None:
    answer = TABLES["disposition"]["disposition"]
    assert isinstance(answer, Word)
    assert set(answer.words) == set(OPERATIONS)


def test_every_serial_verdict_is_a_word_of_the_policies_or_counts_as_a_mismatch() -> None:
    column = COLUMNS["serial_result"]
    assert isinstance(column, Choice)
    words = {
        serial_verdict(s, ("A1",), elsewhere=ELSEWHERE, returned=("R1",)).policy_word for s in ("A1", "B7", "R1", "")
    }
    assert words == {"ok", "mismatch", "already_returned", "missing"}
    assert words <= set(column.words)


def test_d4_only_restock_reaches_sellable_stock() -> None:
    assert [word for word, op in OPERATIONS.items() if op.location_class == "sellable"] == ["restock"]
    assert {word for word, op in OPERATIONS.items() if not op.final} == {"hold", "quarantine"}


def test_edge_024_a_data_bearing_unit_without_its_wipe_reaches_nobody() -> None:
    assert operation_for("restock", ("data_bearing",)).location_class == "quarantine"
    assert operation_for("donate", ("data_bearing",)).location_class == "quarantine"
    assert operation_for("restock", ("data_bearing", "wiped")).location_class == "sellable"
    assert operation_for("send_back", ("data_bearing",)).location_class == "customer"


def test_an_unknown_disposition_names_the_known_ones() -> None:
    with pytest.raises(ValueError, match="choose one of restock, refurbish"):
        operation_for("burn")
