"""Each mistake alone, in a connector that is careful in all else, fails the check that is about it."""

import asyncio
import contextlib
import hmac
import itertools
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ConfigDict

from counterflow.connectors.stripe import StripeConnector, connector, mapping
from counterflow.connectors.stripe.conformance import Harness
from counterflow.connectors.stripe.manifest import StripeConfig
from counterflow.core.effects import Effect, PayLeg
from counterflow.core.facts import Fact
from counterflow.sdk.connector import Context, Delivery, Page, Signal
from counterflow.sdk.manifest import Idempotency, Support
from counterflow.sdk.outcomes import (
    Accepted,
    Conflict,
    ConnectorError,
    Done,
    Malformed,
    Outcome,
    RateLimited,
    Rejected,
    Transient,
    UnknownOutcome,
)
from counterflow.sdk.testing.check import cases

_numbers = itertools.count()


class NewIdentityEachTime(StripeConnector):
    def identify(self, delivery: Delivery) -> str:
        return f"{super().identify(delivery)}-{next(_numbers)}"


class OneIdentityForAll(StripeConnector):
    def identify(self, delivery: Delivery) -> str:
        super().identify(delivery)
        return "delivery"


class CrashesOnGarbage(StripeConnector):
    def translate(self, delivery: Delivery) -> Sequence[Fact | Signal]:
        delivery.body.decode()
        return super().translate(replace(delivery, body=delivery.body or b"{}"))


class RefusesUnknownTopics(StripeConnector):
    def translate(self, delivery: Delivery) -> Sequence[Fact | Signal]:
        found = super().translate(delivery)
        if not found:
            raise Malformed("what is this")
        return found


class TakesOldSignatures(StripeConnector):
    def verify(self, delivery: Delivery) -> None:
        stamp = delivery.header("stripe-signature").partition("t=")[2].partition(",")[0]
        at = (
            type(delivery.received_at).fromtimestamp(int(stamp), delivery.received_at.tzinfo)
            if stamp.isdigit()
            else None
        )
        super().verify(replace(delivery, received_at=at or delivery.received_at))


class TakesDoubledHeaders(StripeConnector):
    def verify(self, delivery: Delivery) -> None:
        super().verify(replace(delivery, headers={name: values[:1] for name, values in delivery.headers.items()}))


class CountsPages(StripeConnector):
    """Pages by offset: a row that appears meanwhile pushes another one over the edge."""

    async def pull(self, feed: str, cursor: str) -> Page:
        rows: list[Any] = []
        page = await super().pull(feed, "")
        rows += page.items
        while page.more:
            page = await super().pull(feed, page.cursor)
            rows += page.items
        start = int(cursor or 0)
        rows.sort(key=lambda item: item.ref, reverse=True)
        return Page(tuple(rows[start : start + 2]), str(min(start + 2, len(rows))), start + 2 < len(rows))


class LosesTheLastRow(StripeConnector):
    async def pull(self, feed: str, cursor: str) -> Page:
        page = await super().pull(feed, cursor)
        return replace(page, items=page.items[:-1] if page.more else page.items)


class ForgetsTheCursor(StripeConnector):
    async def pull(self, feed: str, cursor: str) -> Page:
        page = await super().pull(feed, cursor)
        return page if page.more else replace(page, cursor="")


class NewFactIdsEachTime(StripeConnector):
    async def fetch(self, feed: str, ref: str) -> Sequence[Fact]:
        return [replace(fact, fact_id=f"fc_{next(_numbers)}") for fact in await super().fetch(feed, ref)]


class SaysTheProviderDidIt(StripeConnector):
    async def fetch(self, feed: str, ref: str) -> Sequence[Fact]:
        return [replace(fact, refs=fact.refs[1:], origin="psp") for fact in await super().fetch(feed, ref)]


class TwoNamesForOneRefund(StripeConnector):
    async def send(self, effects: Sequence[Effect]) -> Sequence[Outcome]:
        return [
            replace(outcome, ref=mapping.their_id(outcome.ref)) if isinstance(outcome, Done) else outcome
            for outcome in await super().send(effects)
        ]


class NamesThePaymentInItsOwnWay(StripeConnector):
    """Nothing that somebody refunds by hand would be counted against the payment of the sale."""

    async def fetch(self, feed: str, ref: str) -> Sequence[Fact]:
        return [
            replace(fact, body=replace(fact.body, payment_ref=f"here:payment:{fact.body.payment_ref}"))  # type: ignore[arg-type,union-attr]
            for fact in await super().fetch(feed, ref)
        ]


class LocalTimes(StripeConnector):
    async def fetch(self, feed: str, ref: str) -> Sequence[Fact]:
        return [replace(fact, seen_at=fact.seen_at.replace(tzinfo=None)) for fact in await super().fetch(feed, ref)]


class FindsNothing(StripeConnector):
    async def find(self, effect: Effect) -> Outcome | None:
        return None


class FindsAnything(StripeConnector):
    async def find(self, effect: Effect) -> Outcome | None:
        return Done("here:refund:re_1")


class EveryFailureIsTransient(StripeConnector):
    async def send(self, effects: Sequence[Effect]) -> Sequence[Outcome]:
        try:
            return await super().send(effects)
        except UnknownOutcome as error:
            raise Transient(error.message) from None


class EveryFailureIsFinal(StripeConnector):
    async def send(self, effects: Sequence[Effect]) -> Sequence[Outcome]:
        try:
            return await super().send(effects)
        except UnknownOutcome as error:
            raise Rejected(error.message, code="failed") from None


class EveryFailureIsUnknown(StripeConnector):
    async def send(self, effects: Sequence[Effect]) -> Sequence[Outcome]:
        try:
            return await super().send(effects)
        except (Transient, Rejected, Conflict) as error:
            raise UnknownOutcome(error.message) from None


class WaitsAMinute(StripeConnector):
    async def send(self, effects: Sequence[Effect]) -> Sequence[Outcome]:
        try:
            return await super().send(effects)
        except RateLimited as error:
            raise RateLimited(error.message, retry_after=60.0) from None


class KnocksForEver(StripeConnector):
    async def send(self, effects: Sequence[Effect]) -> Sequence[Outcome]:
        for _ in range(20):
            try:
                return await super().send(effects)
            except ConnectorError as error:
                if error.word != "auth_failed":
                    raise
        return await super().send(effects)


class NewKeyEachTime(StripeConnector):
    async def send(self, effects: Sequence[Effect]) -> Sequence[Outcome]:
        [effect] = effects
        if not isinstance(effect.command, PayLeg):
            return await super().send(effects)
        params = mapping.refund_params(effect, effect.command)
        refund, _ = await self._client.create_refund(params, f"{effect.effect_id}-{next(_numbers)}")
        return [mapping.refund_outcome(self._connection, refund, effect.command)]


class OfCents(StripeConnector):
    """Everything has two decimals."""

    async def send(self, effects: Sequence[Effect]) -> Sequence[Outcome]:
        [effect] = effects
        if not isinstance(effect.command, PayLeg) or effect.command.currency != "KWD":
            return await super().send(effects)
        tenth = replace(effect.command, amount_minor=effect.command.amount_minor // 10 // 10 * 10)
        return await super().send([replace(effect, command=tenth)])


class AcceptsAndForgets(StripeConnector):
    async def send(self, effects: Sequence[Effect]) -> Sequence[Outcome]:
        for effect in effects:
            if not isinstance(effect.command, PayLeg):
                raise Rejected("no", code="command")
        return [Accepted("here:refund:re_1") for _ in effects]


class DoctorCrashes(StripeConnector):
    async def check(self) -> Sequence[tuple[str, bool, str]]:
        await self._client.page("/v1/refunds", [])
        return [("refunds", True, "")]


class ShowsItsKey(StripeConnector):
    def __init__(self, config: StripeConfig, context: Context) -> None:
        super().__init__(config, context)
        self.key = config.api_key.get_secret_value()


class SaysItsKey(StripeConnector):
    def __init__(self, config: StripeConfig, context: Context) -> None:
        super().__init__(config, context)
        self._said = config.api_key

    async def send(self, effects: Sequence[Effect]) -> Sequence[Outcome]:
        try:
            return await super().send(effects)
        except ConnectorError as error:
            error.add_note(f"with {self._said.get_secret_value()}")
            raise


class ComparesTheMeaning(StripeConnector):
    """What was signed is made anew from the JSON, so that other bytes of the same meaning get in."""

    def verify(self, delivery: Delivery) -> None:
        with contextlib.suppress(ValueError):
            again = json.dumps(json.loads(delivery.body), separators=(",", ":"), ensure_ascii=False).encode()
            delivery = replace(delivery, body=again)
        super().verify(delivery)


class TakesNoKey(StripeConnector):
    """A secret that is not set is one that everybody knows."""

    def verify(self, delivery: Delivery) -> None:
        stamp, _, given = delivery.header("stripe-signature").removeprefix("t=").partition(",v1=")
        if not hmac.compare_digest(hmac.digest(b"", stamp.encode() + b"." + delivery.body, "sha256").hex(), given):
            super().verify(delivery)


class TakesTheObjectForGranted(StripeConnector):
    def translate(self, delivery: Delivery) -> Sequence[Fact | Signal]:
        found = super().translate(delivery)
        return found if json.loads(delivery.body)["data"]["object"]["id"] else []


class TakesAnyText(StripeConnector):
    def translate(self, delivery: Delivery) -> Sequence[Fact | Signal]:
        found = super().translate(delivery)
        thing = json.loads(delivery.body)["data"]["object"] if found else {}
        note = "".join(value[-8:] for value in thing.values() if isinstance(value, str))[:400]
        return [replace(item, refs=(*item.refs, f"note:{note}")) for item in found if isinstance(item, Signal)]


class TakesTheAnswerForGranted(StripeConnector):
    async def pull(self, feed: str, cursor: str) -> Page:
        rows, _ = await self._client.page("/v1/refunds", [])
        assert all(row["amount"] > 0 for row in rows)
        return await super().pull(feed, cursor)


class WalksForEver(StripeConnector):
    async def pull(self, feed: str, cursor: str) -> Page:
        page = await super().pull(feed, cursor)
        while page.more:
            page = await super().pull(feed, cursor)
        return page


class NoListIsAnEmptyList(StripeConnector):
    async def pull(self, feed: str, cursor: str) -> Page:
        if "data" in await self._client.get("/v1/refunds"):
            return await super().pull(feed, cursor)
        return Page((), cursor, False)


class NoListIsNotThere(StripeConnector):
    async def find(self, effect: Effect) -> Outcome | None:
        assert isinstance(effect.command, PayLeg)
        payment = f"/v1/refunds?payment_intent={mapping.their_id(effect.command.payment_ref)}"
        return await super().find(effect) if "data" in await self._client.get(payment) else None


class LooksInTheWrongPlace(StripeConnector):
    async def find(self, effect: Effect) -> Outcome | None:
        for refund in (await self._client.get("/v1/refunds"))["data"]:
            if refund["metadata"]["counterflow_key"] == effect.effect_id:
                return await super().find(effect)
        return None


class LooseConfig(StripeConfig):
    model_config = ConfigDict(extra="ignore")


class BareConfig(StripeConfig):
    colour: str = "red"


class PlainSecretConfig(StripeConfig):
    api_token: str = ""


MUTANTS = [
    (NewIdentityEachTime, "a_repeat_is_known"),
    (OneIdentityForAll, "a_good_signature"),
    (CrashesOnGarbage, "a_broken_body"),
    (RefusesUnknownTopics, "an_unknown_topic"),
    (TakesOldSignatures, "an_old_signature"),
    (TakesDoubledHeaders, "a_missing_header"),
    (CountsPages, "what_comes_later_is_found[refunds]"),
    (LosesTheLastRow, "every_row_is_found[refunds]"),
    (LosesTheLastRow, "every_cursor_resumes[refunds]"),
    (ForgetsTheCursor, "what_comes_later_is_found[refunds]"),
    (NewFactIdsEachTime, "what_a_signal_points_at[refunds]"),
    (SaysTheProviderDidIt, "a_paid_leg_is_told_as_ours[refunds]"),
    (TwoNamesForOneRefund, "a_paid_leg_is_told_as_ours[refunds]"),
    (NamesThePaymentInItsOwnWay, "a_paid_leg_is_told_as_ours[refunds]"),
    (LocalTimes, "what_a_signal_points_at[refunds]"),
    (FindsNothing, "find_tells_what_send_did[PayLeg]"),
    (FindsAnything, "find_tells_what_send_did[PayLeg]"),
    (EveryFailureIsTransient, "lost_reply[PayLeg]"),
    (EveryFailureIsTransient, "garbage_after_it_was_done[PayLeg]"),
    (EveryFailureIsFinal, "error_after_it_was_done[PayLeg]"),
    (EveryFailureIsUnknown, "refused_connection[PayLeg]"),
    (EveryFailureIsUnknown, "what_cannot_be_is_rejected[PayLeg]"),
    (EveryFailureIsUnknown, "same_key_other_content[PayLeg]"),
    (WaitsAMinute, "rate_limited[PayLeg]"),
    (KnocksForEver, "unauthorized[PayLeg]"),
    (NewKeyEachTime, "same_key_twice[PayLeg]"),
    (NewKeyEachTime, "two_at_once[PayLeg]"),
    (OfCents, "amounts_are_exact[PayLeg]"),
    (AcceptsAndForgets, "applied_once[PayLeg]"),
    (AcceptsAndForgets, "soak[PayLeg]"),
    (DoctorCrashes, "doctor_tells"),
    (ShowsItsKey, "config_keeps_its_secrets"),
    (SaysItsKey, "nothing_tells_a_secret[PayLeg]"),
    (ComparesTheMeaning, "a_spoiled_signature"),
    (TakesNoKey, "a_spoiled_signature"),
    (TakesDoubledHeaders, "a_spoiled_signature"),
    (TakesTheObjectForGranted, "a_spoiled_delivery"),
    (TakesAnyText, "a_spoiled_delivery"),
    (TakesTheAnswerForGranted, "a_spoiled_answer[refunds]"),
    (WalksForEver, "a_spoiled_answer[refunds]"),
    (NoListIsAnEmptyList, "a_list_that_is_gone[refunds]"),
    (NoListIsNotThere, "a_look_up_without_its_list[PayLeg]"),
    (LooksInTheWrongPlace, "a_spoiled_look_up[PayLeg]"),
]
CONFIGS = [
    (LooseConfig, "unknown_config_is_refused"),
    (BareConfig, "config_is_described"),
    (PlainSecretConfig, "secrets_are_declared"),
]
MANIFESTS: list[tuple[dict[str, Any], str]] = [
    ({"commands": {}}, "manifest_is_complete"),
    ({"docs": ""}, "manifest_is_complete"),
    ({"topics": ()}, "manifest_is_complete"),
    ({"commands": {"PayLeg": Support(Idempotency.NATIVE)}}, "manifest_is_complete"),
    ({"commands": {"PayLeg": Support(Idempotency.LOOKUP, key_retention_seconds=5)}}, "keys_fit"),
    ({"version": "2"}, "what_a_signal_points_at[refunds]"),
]


def fails(wanted: str, made: type[StripeConnector], config: Any = StripeConfig, **changes: Any) -> str:
    """What the check says of this connector; it must have something to say."""

    class Maker:
        manifest = replace(connector.manifest, **changes)
        Config = config

        def make(self, config: Any, context: Context) -> StripeConnector:
            return made(config, context)

    class Mutant(Harness):
        maker = Maker()
        spoiled = 400

    [case] = [case for case in cases(connector.manifest) if str(case) == wanted]
    with pytest.raises(Exception) as caught:
        asyncio.run(case.run(Mutant()))
    return f"{type(caught.value).__name__}: {caught.value}"


@pytest.mark.parametrize(("made", "wanted"), MUTANTS, ids=lambda value: getattr(value, "__name__", value))
def test_the_mistake_is_found(made: type[StripeConnector], wanted: str) -> None:
    assert "Skipped" not in fails(wanted, made)


@pytest.mark.parametrize(("config", "wanted"), CONFIGS, ids=lambda value: getattr(value, "__name__", value))
def test_a_careless_configuration_is_found(config: type[StripeConfig], wanted: str) -> None:
    assert fails(wanted, StripeConnector, config).startswith("AssertionError")


@pytest.mark.parametrize(("changes", "wanted"), MANIFESTS, ids=str)
def test_an_untrue_manifest_is_found(changes: dict[str, Any], wanted: str) -> None:
    assert fails(wanted, StripeConnector, **changes).startswith("AssertionError")
