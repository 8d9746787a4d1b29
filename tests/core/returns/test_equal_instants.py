"""Clocks with whole seconds: what happened in one second is folded in the order in which it must have happened."""

from dataclasses import replace
from datetime import timedelta

import pytest

from counterflow.core.facts import (
    Body,
    Counted,
    DispositionExecuted,
    DisputeMoved,
    EffectReported,
    ItemInspected,
    ItemsReceived,
)
from tests.core.returns.telling import Story


@pytest.mark.parametrize("ids", [("fc_a", "fc_b", "fc_c"), ("fc_c", "fc_b", "fc_a"), ("fc_b", "fc_c", "fc_a")])
def test_received_inspected_and_disposed_of_in_one_second(ids: tuple[str, str, str]) -> None:
    story = Story().request().settle()
    at = story.now + timedelta(minutes=5)
    bodies: tuple[Body, ...] = (
        ItemsReceived("r1", "wh-1", (Counted("TEE", 1),)),
        ItemInspected("i1", "wh-1", "TEE", "A"),
        DispositionExecuted("restock", "TEE"),
    )
    for body, name in zip(bodies, ids, strict=True):
        story.hear(replace(story.fact(body, "wms", "warehouse", at), fact_id=name))
    story.settle()
    assert [(u.unit_id, u.goods) for u in story.view.units] == [("L1#0", "dispositioned")]
    assert story.exceptions() == [] and story.paid() == 2000


@pytest.mark.parametrize("early", [1, 90])
def test_the_inspectors_clock_runs_ahead_of_the_receipts(early: int) -> None:
    story = Story().request().settle()
    at = story.now + timedelta(minutes=5)
    story.tell(ItemsReceived("r1", "wh-1", (Counted("TEE", 1),)), "wms", "warehouse", at=at)
    story.tell(ItemInspected("i1", "wh-1", "TEE", "A"), "wms", "warehouse", at=at - timedelta(seconds=early))
    story.settle()
    assert [(u.unit_id, u.grade) for u in story.view.units] == [("L1#0", "A")]
    assert story.exceptions() == [] and story.paid() == 2000


@pytest.mark.parametrize("ids", [("fc_a", "fc_b"), ("fc_b", "fc_a")])
def test_a_dispute_that_opened_and_was_lost_in_one_second_is_lost(ids: tuple[str, str]) -> None:
    story = Story().request().settle()
    at = story.now + timedelta(minutes=5)
    for phase, name in zip(("opened", "lost"), ids, strict=True):
        body = DisputeMoved("dp_1", "pi_1", 2000, phase)
        story.hear(replace(story.fact(body, "psp", "psp", at), fact_id=name))
    story.receive().settle().inspect().settle()
    assert story.legs() == [] and story.paid() == 2000
    story.closed()


@pytest.mark.parametrize("ids", [("fc_a", "fc_b"), ("fc_b", "fc_a")])
def test_an_effect_that_was_unknown_and_looked_up_in_one_second_is_done(ids: tuple[str, str]) -> None:
    story = Story().request().settle().receive().settle().inspect().settle(keep=lambda e: e.kind != "PayLeg")
    paying = next(effect for effect in story.effects if effect.kind == "PayLeg")
    at = story.now + timedelta(minutes=5)
    for outcome, name in zip(("unknown", "done"), ids, strict=True):
        body = EffectReported(paying.effect_id, outcome, "re_1" if outcome == "done" else "")
        story.hear(replace(story.fact(body, "counterflow", "ours", at), fact_id=name))
    story.answered.add(paying.effect_id)
    story.settle().wait(hours=5)
    assert story.exceptions() == [] and story.paid() == 2000
