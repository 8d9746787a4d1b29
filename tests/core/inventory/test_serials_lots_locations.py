"""What a serial says, and where a unit goes."""

import pytest

from counterflow.core.inventory import OPERATIONS, operation_for, policy_word, serial_word
from counterflow.core.policy.vocabulary import COLUMNS, TABLES, Choice, Word


@pytest.mark.parametrize(
    ("scanned", "sold", "elsewhere", "word"),
    [
        ("A1", ("A1",), False, "ok"),
        ("a-1 ", ("A1",), False, "ok"),
        ("Z9", ("A1",), False, "mismatch"),  # edge case 18
        ("B7", ("A1",), True, "sold_to_other"),
        ("B8", (), True, "sold_to_other"),
        ("A2", ("A2",), True, "sold_to_other"),  # edge case 19: sold twice
        ("Z9", (), False, "unknown"),
        ("", ("A1",), False, "missing"),  # edge case 20
        (" - ", ("A1",), True, "missing"),
    ],
)
def test_edge_018_to_020_serials(scanned: str, sold: tuple[str, ...], elsewhere: bool, word: str) -> None:
    assert serial_word(scanned, sold, elsewhere) == word


def test_every_disposition_of_the_policies_has_its_operation_and_no_other() -> None:
    answer = TABLES["disposition"]["disposition"]
    assert isinstance(answer, Word)
    assert set(answer.words) == set(OPERATIONS)


def test_every_serial_verdict_is_a_word_of_the_policies_or_counts_as_a_mismatch() -> None:
    column = COLUMNS["serial_result"]
    assert isinstance(column, Choice)
    words = {policy_word(serial_word(*each)) for each in (("A1", ("A1",)), ("B7", (), True), ("Z9", ()), ("", ()))}
    assert words == {"ok", "mismatch", "unknown", "missing"}
    assert words <= set(column.words)


def test_d4_only_restock_reaches_sellable_stock() -> None:
    assert [word for word, op in OPERATIONS.items() if op.location_class == "sellable"] == ["restock"]


def test_edge_024_a_data_bearing_unit_without_its_wipe_reaches_nobody() -> None:
    assert operation_for("restock", ("data_bearing",)).location_class == "quarantine"
    assert operation_for("donate", ("data_bearing",)).location_class == "quarantine"
    assert operation_for("restock", ("data_bearing", "wiped")).location_class == "sellable"
    assert operation_for("send_back", ("data_bearing",)).location_class == "customer"


def test_an_unknown_disposition_names_the_known_ones() -> None:
    with pytest.raises(ValueError, match="choose one of restock, refurbish"):
        operation_for("burn")
