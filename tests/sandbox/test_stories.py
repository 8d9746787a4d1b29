"""Every story of the demo, with jitter, duplicates and reordering on: its outcome, and what it left in every system."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

import pytest

from counterflow.core.effects import OpenReturn, PayLeg
from counterflow.sandbox.stories import STORIES
from tests.sandbox.conftest import Told, World


@dataclass(frozen=True)
class Left:
    """What a story has to leave. Amounts: minor units at the provider, major units in the ERP."""

    refunded: int  # what stands at the provider, whoever made it
    notes: tuple[float, ...]
    paid: float  # of the credit notes; the reversal of a payment is one, too
    moves: int = 2  # transfers of goods: in, and to where they go
    scraps: int = 0
    dispositions: tuple[str, ...] = ("restock",)  # instructed, in their order
    written: tuple[str, ...] = ("return_approved", "goods_received", "refund_sent")
    replacement: tuple[float, ...] = ()


def _refund(minor: int, **other: object) -> Left:
    """One refund by us, one credit note, one payment."""
    major = minor / 100
    return Left(minor, (major,), major, **other)  # type: ignore[arg-type]


BY_OTHERS = ("return_approved", "goods_received")  # nobody writes of money that we did not send

LEFT = {
    "omnichannel": _refund(2000),
    "write_off": _refund(1000, moves=1, scraps=1, dispositions=("scrap",)),
    "promotion": _refund(600),
    "kit_component": _refund(1440),
    "deduction": _refund(3500, dispositions=("liquidate",)),
    "split_tender": Left(
        1500,
        (10.0, 20.0),
        30.0,
        3,
        0,
        ("restock", "restock"),
        ("return_approved", "goods_received", *["refund_sent"] * 3),
    ),
    "opened_in_the_shop": _refund(2000),
    "exchange_even": Left(0, (20.0,), 0.0, written=BY_OTHERS, replacement=(20.0,)),
    "exchange_up": Left(0, (20.0,), 0.0, written=BY_OTHERS, replacement=(50.0,)),
    "exchange_down": Left(3000, (20.0, 30.0), 30.0, replacement=(20.0,)),
    "replacement_out_of_stock": _refund(2000, replacement=(20.0,)),
    "before_receipt": _refund(900, written=("return_approved", "refund_sent", "goods_received")),
    "refunded_by_hand": Left(2000, (20.0,), 20.0, written=BY_OTHERS),
    "provider_down": _refund(5000),
    "timeout_after_success": _refund(1500),
    "fails_after_success": Left(
        0,
        (10.0,),
        30.0,
        written=("return_approved", "goods_received", "refund_sent", "refund_corrected", "refund_sent"),
    ),
    "marketplace": Left(0, (10.0,), 10.0, written=("goods_received",)),
    "serial_mismatch": _refund(39900, dispositions=("send_back", "restock")),
    "recalled_lot": _refund(2500, dispositions=("quarantine", "scrap"), scraps=1),
    "blind_return": _refund(2000, written=("goods_received", "refund_sent")),
    "over_receipt": _refund(1000, dispositions=("restock", "send_back")),
    "under_receipt": _refund(1000),
    "two_channels": _refund(2000),
    "late_warehouse": _refund(1500),
    "lost_webhook": Left(2000, (20.0,), 20.0, written=BY_OTHERS),
}


@pytest.mark.parametrize("name", STORIES)
def test_a_story_ends_as_it_should(name: str, world: World) -> None:
    story = next(each for each in world.report.stories if each.name == name)
    assert story.error == ""
    assert (story.resolved, story.closed, story.open_exceptions) == (1, 1, 0)


@pytest.mark.parametrize("name", STORIES)
def test_a_story_leaves_its_documents_once(name: str, world: World) -> None:
    told, left = world.told[name], LEFT[name]
    assert sum(told.refunded()) == left.refunded  # which piece is inspected first decides how tenders are split
    by_us = [leg for leg in told.view.legs if leg.origin == "ours" and leg.rail == "card"]
    keys = {row["metadata"]["counterflow_key"] for row in told.refunds if "counterflow_key" in row["metadata"]}
    assert keys == {leg.effect_id for leg in by_us}
    assert len(told.refunds) == len(keys) + len([leg for leg in told.view.legs if leg.origin == "psp"])
    assert told.posted("account.move", "out_refund") == sorted(left.notes)
    assert sum(told.posted("account.payment")) == left.paid
    assert (len(told.posted("stock.picking")), len(told.posted("stock.scrap"))) == (left.moves, left.scraps)
    assert sorted(row["disposition"] for row in told.instructions) == sorted(left.dispositions)
    assert told.posted("sale.order") == sorted(left.replacement)


@pytest.mark.parametrize("name", STORIES)
def test_the_customer_is_written_to_once_and_after_the_fact(name: str, world: World) -> None:
    told, left = world.told[name], LEFT[name]
    assert Counter(told.written()) == Counter(left.written)
    sent = [row for row in told.messages if row["data"]["template"] == "refund_sent"]
    paid = Counter(leg.amount_minor for leg in told.view.legs if leg.origin == "ours")
    assert Counter(row["data"]["amount_minor"] for row in sent) == paid
    made = {row["amount"]: row["created"] for row in told.refunds}
    for row in sent:
        assert datetime.fromisoformat(row["timestamp"]).timestamp() >= made.get(row["data"]["amount_minor"], 0)


@pytest.mark.parametrize("name", STORIES)
def test_nothing_is_told_twice(name: str, world: World) -> None:
    told: Told = world.told[name]
    legs = [effect.command.leg_id for effect in told.effects if isinstance(effect.command, PayLeg)]
    assert len(legs) == len(set(legs))
    told_units = [
        (effect.command.unit_id, effect.command.disposition)  # type: ignore[union-attr]
        for effect in told.decided("InstructDisposition")
    ]
    assert len(told_units) == len(set(told_units)) == len(told.instructions)
    assert len(told.decided("AnswerReturn")) <= 1


def test_money_goes_back_where_it_came_from(world: World) -> None:
    split = world.told["split_tender"].view
    assert sum(leg.amount_minor for leg in split.legs if leg.rail == "gift_card") == 1500
    (card,) = world.truths["shop/gift_cards"]
    assert card["balance_minor"] == 1500
    (credit,) = world.truths["shop/store_credit"]
    assert (credit["balance_minor"], len(credit["movements"])) == (1000, 1)
    failed = world.told["fails_after_success"]
    assert failed.refunded("failed") == [1000] and failed.view.paid_minor == 1000


def test_a_return_asked_for_at_a_till_is_one_return_in_the_shop(world: World) -> None:
    told = world.told["opened_in_the_shop"]
    [opening] = told.decided("OpenReturn")
    assert isinstance(opening.command, OpenReturn)
    number = opening.command.order_ref.rpartition(":")[2]
    [order] = [row for row in world.truths["shop/orders"] if row["id"].endswith(f"/{number}")]
    [opened] = [row for row in world.truths["shop/returns"] if row["id"] in order["return_ids"]]
    assert opened["status"] == "CLOSED"


def test_goods_are_where_they_belong(world: World) -> None:
    assert world.stock("WH/Quarantine", "CREAM") == world.stock("Store 1/Returns", "TEE") == 0
    assert world.stock("WH/Refurbish", "HOODIE") == 1  # the worn one
    assert (world.stock("Write-off", "MUG"), world.stock("Write-off", "CREAM")) == (1, 1)
    assert world.stock("WH/Stock", "CAM") == 8 and world.stock("WH/Stock", "CREAM") == 199
    assert world.stock("Customers", "SOCKS") == 2 and world.stock("Customers", "TEE") == 0


def test_the_world_was_not_kind(world: World) -> None:
    webhooks = world.truths["shop/_webhooks"]
    bodies = Counter((row["url"], row["body"]) for row in webhooks)
    assert any(count > 1 for count in bodies.values())  # some came twice


def test_the_proof_holds(world: World) -> None:
    assert [each for each in world.report.invariants if not each["holds"]] == []
    assert len(world.report.invariants) >= 25


def test_nothing_is_lost_or_doubled(world: World) -> None:
    assert (world.lost, world.doubled) == ([], [])
