"""Which received thing is which sold piece."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from counterflow.core.inventory import Matching, Received, Slot, match

THREE_TEES = [Slot("l1", n, "tee") for n in range(3)]


def pairs(matching: Matching) -> list[tuple[str, int, str]]:
    return [(found.slot.line_ref, found.slot.piece, found.thing.serial) for found in matching.assigned]


def test_edge_028_the_fourth_of_three_is_over_and_not_refused() -> None:
    matching = match(THREE_TEES, [Received("tee", 4)])
    assert len(matching.assigned) == 3
    assert matching.over == (Received("tee"),)
    assert not matching.missing
    assert not matching.wrong


def test_edge_028_more_receipts_of_a_case_are_matched_together() -> None:
    matching = match(THREE_TEES, [Received("tee", 2, receipt_ref="r1"), Received("tee", 2, receipt_ref="r2")])
    assert [thing.receipt_ref for thing in matching.over] == ["r2"]


def test_edge_029_what_is_not_in_the_parcel_stays_missing() -> None:
    matching = match(THREE_TEES, [Received("tee", 2)])
    assert pairs(matching) == [("l1", 0, ""), ("l1", 1, "")]
    assert matching.missing == (THREE_TEES[2],)


def test_edge_030_a_foreign_thing_is_wrong_and_the_sold_piece_stays_missing() -> None:
    matching = match(THREE_TEES[:1], [Received("brick")])
    assert matching.wrong == (Received("brick"),)
    assert matching.missing == (THREE_TEES[0],)


def test_edge_018_another_serial_is_a_wrong_item() -> None:
    slots = [Slot("l1", 0, "phone", serial="AA-1"), Slot("l1", 1, "phone", serial="AA-2")]
    matching = match(slots, [Received("phone", serial="aa2"), Received("phone", serial="ZZ9")])
    assert pairs(matching) == [("l1", 1, "AA2")]
    assert [thing.serial for thing in matching.wrong] == ["ZZ9"]
    assert [slot.piece for slot in matching.missing] == [0]


def test_edge_019_the_same_serial_scanned_twice_fills_one_slot() -> None:
    slots = [Slot("l1", 0, "phone", serial="A1"), Slot("l1", 1, "phone", serial="A2")]
    matching = match(slots, [Received("phone", serial="A1")] * 2)
    assert pairs(matching) == [("l1", 0, "A1")]
    assert [thing.serial for thing in matching.wrong] == ["A1"]


def test_edge_020_a_torn_label_is_assigned_with_a_finding() -> None:
    (found,) = match([Slot("l1", 0, "phone", serial="A1")], [Received("phone")]).assigned
    assert found.finding == "serial_missing"


def test_edge_021_another_lot_is_assigned_with_a_finding_and_the_right_lot_goes_first() -> None:
    slots = [Slot("l1", 0, "pill", lot="L1"), Slot("l2", 0, "pill", lot="L2")]
    matching = match(slots, [Received("pill", lot="L3"), Received("pill", lot="L2")])
    assert [(found.thing.lot, found.finding) for found in matching.assigned] == [("L3", "lot_differs"), ("L2", "ok")]


def test_a_hint_decides_between_lines_of_one_sku_and_does_not_outweigh_the_sku() -> None:
    slots = [Slot("l1", 0, "tee"), Slot("l2", 0, "tee"), Slot("l3", 0, "cap")]
    matching = match(slots, [Received("tee", line_ref="l2")])
    assert pairs(matching) == [("l2", 0, "")]
    assert pairs(match(slots, [Received("tee", line_ref="l3")])) == [("l1", 0, "")]


def test_a_thing_with_a_serial_has_the_first_choice_of_pieces_without_one() -> None:
    slots = [Slot("l1", 0, "phone"), Slot("l1", 1, "phone", serial="A1")]
    matching = match(slots, [Received("phone"), Received("phone", serial="Z9")])
    assert pairs(matching) == [("l1", 0, "Z9"), ("l1", 1, "")]


def test_parts_of_kits_are_slots_of_their_own() -> None:
    slots = [Slot("kit", piece, "cap", part_sku="cap", part_piece=n) for piece in (0, 1) for n in (0, 1)]
    matching = match(slots, [Received("cap", 3)])
    assert [(s.piece, s.part_piece) for s in matching.missing] == [(1, 1)]


@pytest.mark.parametrize("thing", [Received("tee", 0), Received("tee", 2, serial="A1")])
def test_a_count_that_cannot_be_is_refused(thing: Received) -> None:
    with pytest.raises(ValueError, match="count one at least"):
        match(THREE_TEES, [thing])


SKUS = st.sampled_from(("tee", "cap"))
SERIALS = st.sampled_from(("", "", "A1", "A2", "A3"))
LINES = st.sampled_from(("", "l1", "l2"))
LOTS = st.sampled_from(("", "L1", "L2"))
SLOTS = st.lists(
    st.builds(Slot, st.sampled_from(("l1", "l2")), st.integers(0, 9), SKUS, SERIALS, LOTS),
    max_size=6,
    unique_by=lambda slot: (slot.line_ref, slot.piece),
)
THINGS = st.lists(
    st.builds(Received, SKUS | st.just("brick"), st.just(1), SERIALS, LOTS, LINES)
    | st.builds(Received, SKUS, st.integers(1, 3)),
    max_size=6,
)


@given(st.data(), SLOTS, THINGS)
def test_everything_is_accounted_for_once_whatever_the_order(
    data: st.DataObject, slots: list[Slot], things: list[Received]
) -> None:
    matching = match(slots, things)
    assert len(matching.assigned) + len(matching.missing) == len(slots)
    counted = len(matching.assigned) + len(matching.over) + len(matching.wrong)
    assert counted == sum(thing.quantity for thing in things)
    for found in matching.assigned:
        assert found.slot.sku == found.thing.sku
        assert found.slot.serial in ("", found.thing.serial) or not found.thing.serial
    for slot in matching.missing:  # nothing that would fit was left over
        for thing in matching.over + matching.wrong:
            assert slot.sku != thing.sku or (slot.serial and thing.serial and slot.serial != thing.serial)
    assert match(data.draw(st.permutations(slots)), data.draw(st.permutations(things))) == matching
