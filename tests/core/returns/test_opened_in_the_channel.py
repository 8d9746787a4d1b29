"""A return that was asked for elsewhere is opened in the shop that sold it, and goes on there when it does here."""

from dataclasses import replace

from counterflow.core.facts import RefundReported, ReturnRequested
from counterflow.core.policy import PolicySet, parse
from counterflow.guards import compile_guard
from counterflow.policies import default_text
from tests.core.returns.telling import SETTING, Story, wanted

APPROVES = 'then.decision = "approve"'


def opening() -> Story:
    """The retailer's eligibility rows say `open_in_channel`."""
    policies = parse(default_text().replace(APPROVES, f"{APPROVES}\nthen.open_in_channel = true"), compile_guard)
    assert isinstance(policies, PolicySet)
    return Story(setting=replace(SETTING, policies=(policies,)))


def at_the_till(story: Story) -> Story:
    story.tell(ReturnRequested("till-1:return:1", story.sale.sale_ref, (wanted(),)), "till-1", "store")
    return story


def milestones(story: Story) -> list[tuple[str, str]]:
    return [(told.milestone, told.return_ref) for told in story.commands("UpdateChannel")]


def test_the_shop_is_told_of_its_own_return_once_that_is_known() -> None:
    story = at_the_till(opening())
    [command] = story.commands("OpenReturn")
    assert [(item.line_ref, item.sku, item.quantity, item.reason) for item in command.items] == [
        ("L1", "TEE", 1, "changed_mind")
    ]
    story.receive(place="store-1")
    assert milestones(story) == [], "nobody knows yet of which return"
    story.answer("OpenReturn", "done", "shop:return:9")
    assert milestones(story) == [("received", "shop:return:9")]
    assert "shop:return:9" in story.decisions[-1].refs
    story.settle().inspect().settle().closed()
    assert milestones(story)[-1] == ("closed", "shop:return:9") and len(story.commands("OpenReturn")) == 1


def test_what_we_opened_there_asks_for_nothing_when_it_is_told_back() -> None:
    story = at_the_till(opening())
    key = next(e.effect_id for e in story.effects if e.kind == "OpenReturn")
    back = ReturnRequested("shop:return:9", story.sale.sale_ref, (wanted(),), version=9, rma_number="#1-R1", key=key)
    story.tell(replace(back, authorised_by_channel=True))
    assert story.view.return_ref == "till-1:return:1" and story.view.rma_number != "#1-R1"
    assert [b.says for b in story.view.beliefs if b.connection == "shop"] == ["return shop:return:9 is open"]


def test_goods_without_any_request_open_one_too() -> None:
    story = opening().receive(place="store-1")
    assert len(story.commands("OpenReturn")) == 1


def test_nothing_is_opened_where_the_shop_has_it_or_the_policy_does_not_say_so() -> None:
    assert opening().request().commands("OpenReturn") == []
    assert at_the_till(Story()).commands("OpenReturn") == []


def test_a_shop_that_cannot_open_it_is_told_without() -> None:
    story = at_the_till(opening()).receive(place="store-1").answer("OpenReturn", "rejected")
    assert milestones(story) == [("received", "")] and story.exceptions() == ["effect_stopped"]


def test_a_refund_that_comes_back_opens_the_ended_return_again_until_it_is_paid() -> None:
    story = Story().full()
    [leg] = story.view.legs
    assert milestones(story)[-1] == ("closed", "shop:return:1")
    story.tell(RefundReported(leg.refund_ref, "pi_1", 2000, "EUR", "failed", 2, reason="closed card"), "psp", "psp")
    assert milestones(story)[-1] == ("reopened", "shop:return:1")
    story.settle().resolve("refund_failed", "pay_store_credit").settle()
    ends = [said for said, _ in milestones(story) if said in ("closed", "reopened")]
    assert ends == ["closed", "reopened", "closed"]
    again = next(e for e in story.effects if getattr(e.command, "milestone", "") == "reopened")
    assert again.effect_id in [e for e in story.effects if e.kind == "UpdateChannel"][-1].after


def test_one_more_piece_opens_the_ended_return_again() -> None:
    story = opening()
    story.sale = replace(story.sale, version=1, lines=(replace(story.sale.lines[0], quantity=2, delivered=2),))
    story.told_sale().receive(place="wh-1").answer("OpenReturn", "done", "shop:return:9").settle().inspect().settle()
    assert milestones(story)[-1] == ("closed", "shop:return:9")
    story.receive(place="wh-1")
    assert ("reopened", "shop:return:9") in milestones(story)
