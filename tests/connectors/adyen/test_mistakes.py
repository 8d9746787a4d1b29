"""Each mistake that invites itself at Adyen, alone in a connector that is careful in all else, fails its check."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from counterflow.connectors.adyen import AdyenConnector, connector
from counterflow.connectors.adyen.conformance import Harness
from counterflow.connectors.adyen.simulator import WEBHOOK_LOGIN, basic
from counterflow.core.effects import Effect
from counterflow.core.facts import Fact
from counterflow.sdk.connector import Context, Delivery, Page, Signal
from counterflow.sdk.manifest import Idempotency, Support, problems
from counterflow.sdk.outcomes import Accepted, Malformed, Outcome
from counterflow.sdk.testing.check import cases


class GuessesThatItIsNotThere(AdyenConnector):
    async def find(self, effect: Effect) -> Outcome | None:
        return None


class BelievesTheFirstAnswerAgain(AdyenConnector):
    async def send(self, effects: Sequence[Effect]) -> Sequence[Outcome]:
        try:
            return await super().send(effects)
        except Malformed:
            return [Accepted("here:refund:1")]


class NewKeyEachTime(AdyenConnector):
    async def send(self, effects: Sequence[Effect]) -> Sequence[Outcome]:
        number = self._now().timestamp()
        return await super().send([replace(effect, effect_id=f"{effect.effect_id[:20]}{number}") for effect in effects])


class TrustsThePasswordAlone(AdyenConnector):
    def verify(self, delivery: Delivery) -> None:
        if not delivery.header("authorization"):
            super().verify(delivery)


class TrustsTheSignatureAlone(AdyenConnector):
    def verify(self, delivery: Delivery) -> None:
        super().verify(replace(delivery, headers={"authorization": (basic(WEBHOOK_LOGIN),)}))


class OneIdentityForAll(AdyenConnector):
    def identify(self, delivery: Delivery) -> str:
        super().identify(delivery)
        return "adyen"


class StopsAtTheFirstBatch(AdyenConnector):
    async def pull(self, feed: str, cursor: str) -> Page:
        page = await super().pull(feed, cursor)
        return replace(page, more=False)


class ForgetsWhoseItIs(AdyenConnector):
    async def pull(self, feed: str, cursor: str) -> Page:
        page = await super().pull(feed, cursor)
        return replace(page, items=tuple(nobodys(item) for item in page.items))


def nobodys(item: Fact | Signal) -> Fact | Signal:
    return replace(item, origin="psp") if isinstance(item, Fact) else item


MISTAKES = [
    (GuessesThatItIsNotThere, "find_owns_up_that_it_cannot_tell[PayLeg]"),
    (BelievesTheFirstAnswerAgain, "same_key_other_content[PayLeg]"),
    (NewKeyEachTime, "same_key_twice[PayLeg]"),
    (TrustsThePasswordAlone, "a_flipped_bit"),
    (TrustsTheSignatureAlone, "a_missing_header"),
    (OneIdentityForAll, "a_good_signature"),
    (StopsAtTheFirstBatch, "every_row_is_found[refunds]"),
    (ForgetsWhoseItIs, "a_paid_leg_is_told_as_ours[refunds]"),
]


@pytest.mark.parametrize(("made", "wanted"), MISTAKES, ids=lambda value: getattr(value, "__name__", value))
def test_the_mistake_is_found(made: type[AdyenConnector], wanted: str) -> None:
    class Maker:
        manifest = connector.manifest
        Config = connector.Config

        def make(self, config: Any, context: Context) -> AdyenConnector:
            return made(config, context)

    class Mutant(Harness):
        maker = Maker()

    [case] = [case for case in cases(connector.manifest) if str(case) == wanted]
    with pytest.raises(AssertionError):
        asyncio.run(case.run(Mutant()))
    asyncio.run(case.run(Harness()))


@pytest.mark.parametrize("idempotency", [Idempotency.LOOKUP, Idempotency.STATE, Idempotency.NONE])
def test_only_a_payment_under_a_native_key_may_go_without_a_look_up(idempotency: Idempotency) -> None:
    for name, support in (
        ("PayLeg", Support(idempotency, findable=False)),
        ("UpdateChannel", Support(Idempotency.NATIVE, key_retention_seconds=5, findable=False)),
    ):
        found = problems(replace(connector.manifest, roles=(), commands={name: support}))
        assert any("cannot be looked up" in sentence for sentence in found)
