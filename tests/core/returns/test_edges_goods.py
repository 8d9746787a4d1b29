"""Edge cases of what arrives: serials, lots, too many, too few, the wrong thing, the wrong place."""

from datetime import timedelta

from counterflow.core.facts import (
    CasesLinked,
    Counted,
    DispositionChosen,
    DispositionExecuted,
    ItemsReceived,
    LotRecalled,
    MissingResolved,
    ReturnRequested,
)
from counterflow.core.returns.case import Place, Routes, Setting
from counterflow.core.sale import KitPart
from counterflow.policies import default
from tests.core.returns.telling import START, Story, line, sale, wanted

PHONE = line("L1", "PHONE", 40000, tracking="serial", serials=("SN-1",), category="electronics")
TWO_PHONES = line("L1", "PHONE", 40000, 2, tracking="serial", serials=("SN-1", "SN-2"), category="electronics")
MILK = line("L1", "MILK", 1000, tracking="lot", lots=("LOT-A",))


def test_edge_017_a_kit_that_comes_back_with_a_foreign_part_is_judged_part_by_part() -> None:
    kit = line("L1", "SET", 3000, kit=(KitPart("CUP", 1, 1000), KitPart("POT", 1, 2000)), flags=("kit",))
    story = Story(sale(kit)).request().settle()
    assert [u.sku for u in story.view.units] == ["CUP", "POT"]
    story.receive("POT").receive("JUG").settle().inspect("POT").settle()
    assert story.exceptions() == ["wrong_item"]
    assert story.paid() == 2000


def test_edge_017_a_kit_scanned_as_a_whole_is_all_of_its_parts() -> None:
    kit = line("L1", "SET", 3000, kit=(KitPart("CUP", 2, 1000), KitPart("POT", 1, 2000)), flags=("kit",))
    story = Story(sale(kit)).request().settle().receive("SET").settle()
    assert {u.goods for u in story.view.units} == {"received"}
    story.inspect("CUP", quantity=2).inspect("POT").settle()
    assert story.paid() == 3000
    assert sum(ln.quantity for note in story.commands("PostCreditNote") for ln in note.lines) == 1
    story.closed()


def test_edge_015_a_kit_component_comes_back_alone() -> None:
    kit = line("L1", "SET", 3000, kit=(KitPart("CUP", 1, 1000), KitPart("POT", 1, 2000)), flags=("kit",))
    story = Story(sale(kit)).request(wanted(part_sku="CUP")).settle().receive("CUP").settle().inspect("CUP").settle()
    assert story.paid() == 1000
    story.closed()


def test_edge_018_another_serial_holds_the_refund_and_the_sold_unit_stays_owed() -> None:
    story = Story(sale(PHONE)).request().settle().receive("PHONE", serial="SN-9").settle()
    assert story.exceptions() == ["serial_mismatch"]
    assert [(u.sku, u.goods) for u in story.view.units] == [("PHONE", "expected"), ("PHONE", "wrong_item")]
    story.inspect("PHONE", serial="SN-9").settle()
    assert story.paid() == 0
    assert "ReceiveGoods" not in story.kinds()


def test_edge_018_a_person_accepts_the_foreign_unit() -> None:
    story = Story(sale(PHONE)).request().settle().receive("PHONE", serial="SN-9").settle()
    story.resolve("serial_mismatch", "accept").inspect("PHONE", serial="SN-9").settle()
    assert story.paid() == 40000
    story.closed()


def test_edge_018_the_serial_is_only_read_at_the_inspection() -> None:
    story = Story(sale(PHONE)).request().settle().receive("PHONE").settle().inspect("PHONE", serial="SN-9").settle()
    assert "serial_mismatch" in story.exceptions()
    assert story.unit().disposition == "quarantine"
    assert story.paid() == 0


def test_edge_018_a_serial_of_another_customer_names_that() -> None:
    story = Story(sale(PHONE)).request().receive("PHONE", serial="SN-9", sold_to_other=True)
    assert "sold to another customer" in story.view.exceptions[0].message
    story.tell(CasesLinked("rc_other", "its serial was sold there"))
    assert story.view.linked == ("rc_other",)


def test_edge_018_scanners_write_serials_differently() -> None:
    story = Story(sale(PHONE)).request().settle().receive("PHONE", serial="sn 1").settle()
    assert story.exceptions() == []
    assert story.unit().serial == "SN-1"  # as the sale recorded it, so that the ERP finds it


def test_edge_019_the_same_serial_does_not_come_back_twice() -> None:
    story = Story(sale(TWO_PHONES)).request(wanted(quantity=2)).settle()
    story.receive("PHONE", serial="SN-1").receive("PHONE", serial="SN-1").settle()
    assert [u.goods for u in story.view.units] == ["received", "expected", "wrong_item"]
    assert story.exceptions() == ["serial_mismatch"]
    assert "counted before" in story.view.exceptions[0].message


def test_edge_020_a_torn_label_waits_for_a_person() -> None:
    story = Story(sale(PHONE)).request().settle().receive("PHONE").settle().inspect("PHONE").settle()
    assert story.exceptions() == ["disposition_hold", "serial_missing"]
    assert story.paid() == 0
    story.resolve("serial_missing", "accept").settle()
    assert story.paid() == 40000
    story.closed()


def test_goods_are_moved_on_only_after_they_have_come_in() -> None:
    story = Story(sale(MILK)).request().settle().receive("MILK").inspect("MILK").settle()
    [receipt] = [effect for effect in story.effects if effect.kind == "ReceiveGoods"]
    [move] = [effect for effect in story.effects if effect.kind == "MoveGoods"]
    assert receipt.effect_id in move.after
    story.closed()


def test_edge_021_another_lot_than_delivered_is_swapped_on_record() -> None:
    story = Story(sale(MILK)).request().settle().receive("MILK", lot="LOT-B").settle().inspect("MILK").settle()
    assert story.exceptions() == ["lot_swap"]
    move = story.commands("MoveGoods")[0]
    assert (move.items[0].lot, move.items[0].lot_sold) == ("LOT-B", "LOT-A")
    story.closed()


def test_edge_022_a_recalled_lot_is_locked_away_and_refunded_whatever_the_window() -> None:
    old = sale(MILK, delivered_at=START - timedelta(days=400), ordered_at=START - timedelta(days=405))
    story = Story(old)
    story.tell(LotRecalled("LOT-A", "recall 7"), "quality", "person")
    assert (story.view.kind, story.view.lines[0].authorisation) == ("recall", "approved")
    story.settle().receive("MILK").settle().inspect("MILK").settle()
    assert story.unit().disposition == "quarantine"
    assert story.paid() == 1000
    assert story.exceptions() == ["quarantine"]


def test_edge_022_a_recall_outweighs_what_the_inspector_saw_before_and_after() -> None:
    story = Story(sale(MILK)).request().settle().receive("MILK").settle().inspect("MILK").settle()
    assert story.unit().disposition == "restock"
    story.tell(LotRecalled("LOT-A", "recall 7"), "quality", "person")
    story.settle()
    assert story.exceptions() == ["quarantine"]  # pulled off the shelf
    story.inspect("MILK").settle()  # an inspector who has not heard of it
    assert story.unit().disposition == "quarantine"
    moves = [(m.location_from, m.location_to) for m in story.commands("MoveGoods")]
    assert moves == [("returns", "sellable"), ("sellable", "quarantine")]


def test_edge_024_without_a_wipe_certificate_it_is_on_hold() -> None:
    disk = line("L1", "DISK", 9000, flags=("data_bearing",), category="computing")
    story = Story(sale(disk)).request().settle().receive("DISK").settle().inspect("DISK").settle()
    assert story.exceptions() == ["disposition_hold"]
    story.inspect("DISK", findings=("wiped",)).settle()
    assert story.unit().disposition == "restock"
    story.closed()


def test_edge_025_opened_hygiene_goods_are_never_sold_again() -> None:
    razor = line("L1", "RAZOR", 3000, flags=("hygiene",), category="beauty")
    story = Story(sale(razor)).request(wanted(reason="defective")).settle().receive("RAZOR").settle()
    story.inspect("RAZOR", findings=("seal_broken",)).settle()
    assert story.unit().disposition == "scrap"


def test_edge_026_a_customised_thing_may_come_back_only_for_a_defect() -> None:
    mug = line("L1", "MUG", 3000, flags=("customised",))
    assert Story(sale(mug)).request().view.lines[0].authorisation == "declined"
    assert Story(sale(mug)).request(wanted(reason="defective")).view.lines[0].authorisation == "approved"


def test_edge_028_the_fourth_of_three_is_kept_safe_and_a_person_decides() -> None:
    story = Story(sale(line(quantity=4, paid=8000))).request(wanted(quantity=3)).settle()
    story.receive(quantity=4).settle().inspect(quantity=3).settle()
    assert story.exceptions() == ["over_receipt"]
    assert story.paid() == 6000
    story.resolve("over_receipt", "accept").inspect().settle()
    assert story.paid() == 8000
    story.closed()


def test_edge_029_the_received_ones_are_paid_and_the_missing_one_is_searched() -> None:
    story = Story(sale(line(quantity=3, paid=6000))).request(wanted(quantity=3)).settle().parcel("in_transit")
    story.receive(quantity=2).settle().inspect(quantity=2).settle()
    assert [u.goods for u in story.view.units][-1] == "not_in_parcel"
    assert story.exceptions() == ["missing_goods"]
    assert story.paid() == 4000
    story.receive().settle().inspect().settle()  # found after all
    assert story.paid() == 6000
    assert story.exceptions() == []


def test_edge_029_a_piece_that_no_carrier_scanned_is_searched_after_some_days() -> None:
    story = Story(sale(line(quantity=3, paid=6000))).request(wanted(quantity=3)).settle()
    story.receive(quantity=2).settle().inspect(quantity=2).settle()
    assert (story.exceptions(), story.paid()) == ([], 4000)
    story.wait(days=5)
    assert story.exceptions() == ["missing_goods"]
    story.receive().settle().inspect().settle()  # it came in a parcel of its own
    assert (story.exceptions(), story.paid()) == ([], 6000)


def test_edge_029_what_a_customer_did_not_hand_in_at_a_store_is_not_missing() -> None:
    story = Story(sale(line(quantity=2, paid=4000))).request(wanted(quantity=2)).settle()
    story.receive(place="store-1").settle().wait(days=6)
    assert story.exceptions() == []


def test_edge_030_a_foreign_thing_is_kept_and_the_sold_piece_stays_expected() -> None:
    story = Story().request().settle().receive("BRICK").settle()
    assert story.exceptions() == ["wrong_item"]
    assert story.unit().goods == "expected"
    extra = story.unit(1).unit_id
    story.tell(DispositionChosen((extra,), "send_back", "kim", "it is not ours"), "console:kim", "person")
    story.settle()
    assert story.commands("InstructDisposition")[0].disposition == "send_back"
    assert story.unit(1).goods == "dispositioned"


def test_edge_031_an_empty_box_is_not_refunded_until_a_person_has_looked() -> None:
    story = Story().request().settle().receive().settle().inspect(findings=("empty_box",)).settle()
    assert "empty_box" in story.exceptions()
    assert story.paid() == 0
    story.resolve("empty_box", "accept").settle()
    assert story.paid() == 2000


def test_edge_032_a_parcel_without_any_reference_waits_48_hours_for_its_sale() -> None:
    story = Story.__new__(Story)
    story.begin(sale())
    story.receive()
    assert story.exceptions() == ["blind_return"]
    assert story.view.exceptions[0].due_at - story.view.exceptions[0].raised_at == timedelta(hours=48)
    story.told_sale()
    assert story.exceptions() == []
    assert [(u.line_ref, u.goods) for u in story.view.units] == [("L1", "received")]
    story.settle().inspect().settle().closed()


def test_edge_033_of_a_parcel_with_things_of_others_ours_go_on() -> None:
    story = Story().request().settle()
    items = (Counted("TEE", 1), Counted("LAMP", 1), Counted("BOOK", 1))
    story.tell(ItemsReceived("r1", "wh-1", items), "wms", "warehouse")
    story.settle().inspect().settle()
    assert story.exceptions() == ["wrong_item", "wrong_item"]
    assert story.paid() == 2000


def test_edge_034_delivered_and_not_counted_is_escalated() -> None:
    story = Story().request().settle().parcel("delivered")
    assert story.view.status == "awaiting_goods"
    story.wait(days=6)
    assert story.exceptions() == ["not_counted"]


def test_edge_035_lost_on_the_way_back_is_our_risk_once_it_was_handed_over() -> None:
    story = Story().request().settle().parcel("handed_over").parcel("lost").settle()
    assert story.paid() == 2000
    assert story.exceptions() == ["recovery_claim"]
    story.closed()


def test_edge_035_without_proof_of_dispatch_a_person_decides() -> None:
    story = Story().request().settle().parcel("lost").settle()
    assert story.paid() == 0
    assert story.exceptions() == ["missing_goods"]
    story.resolve("missing_goods", "accept").settle()
    assert story.paid() == 2000


def test_edge_036_goods_that_come_after_the_denial_are_paid() -> None:
    story = Story().request().settle().parcel("in_transit")
    story.tell(MissingResolved("denied", "kim", "the weight says so"), "console:kim", "person")
    assert story.view.lines[0].money == "denied"
    story.receive().settle().inspect().settle()
    assert story.paid() == 2000
    story.closed()


def test_edge_036_goods_of_a_declined_return_are_the_customers() -> None:
    old = sale(line(), delivered_at=START - timedelta(days=90), ordered_at=START - timedelta(days=95))
    story = Story(old).request().settle()
    assert story.view.status == "declined"
    story.receive().settle().inspect().settle()
    assert story.exceptions() == ["declined_goods"]
    assert (story.unit().disposition, story.paid()) == ("", 0)


def test_edge_037_an_undeliverable_parcel_is_no_customer_return() -> None:
    story = Story().request(wanted(reason="undeliverable"), kind="return_to_sender").settle()
    story.receive().settle()
    assert story.paid() == 2000  # at receipt, without a fee


def test_edge_039_an_item_handed_in_at_another_store_is_stock_there() -> None:
    story = Story().request().settle().receive(place="store-1").inspect(place="store-1").settle()
    assert story.commands("ReceiveGoods")[0].place == "store-1"
    assert story.commands("MoveGoods")[0].place_to == "store-1"


def test_edge_040_goods_with_another_legal_entity_are_not_moved_plainly() -> None:
    routes = Routes(
        places=(Place("wh-1", "wms", legal_entity="DE"), Place("store-fr", "till-2", legal_entity="FR")),
        payments={"shop": "psp"},
        inspection_place="wh-1",
    )
    story = Story(setting=Setting((default(),), routes)).request().settle().receive(place="store-fr").settle()
    assert story.exceptions() == ["other_legal_entity"]
    assert "ReceiveGoods" not in story.kinds()
    story.receive(place="wh-1").settle()
    assert [c.place for c in story.commands("ReceiveGoods")] == ["wh-1"]


def test_edge_041_goods_at_a_marketplace_warehouse_are_not_received_in_ours() -> None:
    story = Story().request().settle()
    story.tell(ItemsReceived("fba-1", "amazon-fc", (Counted("TEE", 1),), third_party=True), "shop", "marketplace")
    assert (story.unit().goods, story.unit().custodian) == ("with_third_party", "third_party")
    story.tell(DispositionExecuted("restock", "TEE"), "shop", "marketplace")
    story.settle()
    assert story.unit().goods == "dispositioned"
    assert not {"ReceiveGoods", "MoveGoods"} & set(story.kinds())
    assert story.paid() == 2000


def test_edge_042_an_inspection_that_is_corrected_next_day_is_one_more_move() -> None:
    story = Story().full()
    story.inspect(grade="B").settle()
    moves = [(m.disposition, m.location_from, m.location_to) for m in story.commands("MoveGoods")]
    assert moves == [("restock", "returns", "sellable"), ("refurbish", "sellable", "refurbishment")]
    assert story.unit().goods == "dispositioned"


def test_edge_042_a_disposition_that_the_warehouse_undoes_goes_back() -> None:
    story = Story().full()
    story.tell(DispositionExecuted("restock", "TEE", reversed=True), "wms", "warehouse")
    story.settle()
    assert story.unit().goods == "disposition_reversed"
    back = story.commands("MoveGoods")[-1]
    assert (back.location_to, bool(back.reverses)) == ("returns", True)


def test_edge_042_already_sold_is_an_exception_and_no_negative_stock() -> None:
    story = Story().full()
    story.inspect(grade="B")
    story.refuse["MoveGoods"] = "rejected"
    story.settle()
    assert story.exceptions() == ["effect_stopped"]
    assert len(story.commands("MoveGoods")) == 2  # refused is not asked again and again


def test_edge_043_the_channel_hears_of_a_disposition_when_it_is_final() -> None:
    disk = line("L1", "DISK", 9000, flags=("data_bearing",), category="computing")
    story = Story(sale(disk)).request().settle().receive("DISK").settle().inspect("DISK").settle()
    assert [u.milestone for u in story.commands("UpdateChannel")] == ["received", "refunded"]
    story.inspect("DISK", findings=("wiped",)).settle()
    told = [u.milestone for u in story.commands("UpdateChannel")]
    assert told == ["received", "refunded", "dispositioned", "closed"]


def test_quarantine_is_released_by_a_person() -> None:
    story = Story(sale(MILK)).request().settle().receive("MILK").settle().inspect("MILK", lot_status="expired").settle()
    assert story.unit().goods == "quarantined"
    story.tell(DispositionChosen((story.unit().unit_id,), "scrap", "kim", "expired"), "console:kim", "person")
    story.settle()
    assert [m.location_to for m in story.commands("MoveGoods")] == ["quarantine", "scrap"]
    story.closed()


def test_the_warehouse_did_something_else_than_was_decided() -> None:
    story = Story().request().settle().receive().settle().inspect().settle(keep=lambda e: e.kind != "MoveGoods")
    story.tell(DispositionExecuted("scrap", "TEE"), "wms", "warehouse")
    story.settle()
    assert story.unit().disposition == "scrap"
    assert story.commands("MoveGoods")[-1].location_to == "scrap"


def test_a_corrected_receipt_replaces_the_first_statement() -> None:
    story = Story(sale(line(quantity=3, paid=6000))).request(wanted(quantity=3)).settle()
    story.receive(quantity=1, ref="r1").receive(quantity=3, ref="r1").settle()
    assert [u.goods for u in story.view.units] == ["received"] * 3
    assert story.exceptions() == []


def test_an_edit_of_the_request_leaves_the_unit_that_is_here_as_too_many() -> None:
    story = Story(sale(line(quantity=2, paid=4000))).request(wanted(quantity=2)).settle().receive(quantity=2).settle()
    story.tell(ReturnRequested("shop:return:1", story.sale.sale_ref, (wanted(quantity=1),), version=2))
    assert "over_receipt" in story.exceptions()


def test_a_request_that_names_nothing_sold_is_a_persons() -> None:
    """Shopify has returns of things that were not bought there: without a line nothing else would ever move."""
    story = Story()
    story.tell(ReturnRequested("shop:return:1", story.sale.sale_ref, ()))
    assert (story.view.status, story.exceptions()) == ("requested", ["authorisation_review"])
    assert "ask the customer" in story.view.exceptions[0].message
    story.request().settle()
    assert story.exceptions() == []
