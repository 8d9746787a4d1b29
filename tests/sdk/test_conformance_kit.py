"""The kit can tell a careful connector from a careless one: each carelessness fails the checks that name it."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

import httpx2
import pytest

from counterflow.connectors.stripe import StripeConnector, connector
from counterflow.connectors.stripe.conformance import Harness
from counterflow.core.effects import Effect, PayLeg
from counterflow.sdk.connector import Context, Delivery, Page
from counterflow.sdk.outcomes import Done, Outcome, Rejected, Transient
from counterflow.sdk.testing import Result, harness_of, run, run_harness
from counterflow.sdk.testing.check import cases


class Careless(StripeConnector):
    """It works on a sunny day: no key, no look-up, every failure is "try again", and it believes what it is told."""

    def __init__(self, config: Any, context: Context) -> None:
        super().__init__(config, context)
        self._api_key, self._network = config.api_key.get_secret_value(), context.network

    def verify(self, delivery: Delivery) -> None:
        if not delivery.header("stripe-signature"):
            super().verify(delivery)

    async def send(self, effects: Sequence[Effect]) -> Sequence[Outcome]:
        [effect] = effects
        command = effect.command
        if not isinstance(command, PayLeg):
            raise Rejected("no")
        form = {
            "payment_intent": command.payment_ref.rpartition(":")[2],
            "amount": f"{command.amount_minor / 100:.0f}00",
            "metadata[counterflow_key]": effect.effect_id,
        }
        async with httpx2.AsyncClient(transport=self._network, base_url="http://stripe.test") as http:
            try:
                headers = {"Authorization": f"Bearer {self._api_key}"}
                answer = (await http.post("/v1/refunds", data=form, headers=headers)).json()
            except (httpx2.HTTPError, ValueError) as error:
                raise Transient(str(error)) from error
        if "error" in answer:
            raise Transient(answer["error"]["message"])
        return [Done(answer["id"])]

    async def find(self, effect: Effect) -> Outcome | None:
        return None

    async def pull(self, feed: str, cursor: str) -> Page:
        page = await super().pull(feed, cursor)
        return replace(page, cursor="", more=False)


class CarelessMaker:
    manifest = connector.manifest
    Config = connector.Config

    def make(self, config: Any, context: Context) -> Careless:
        return Careless(config, context)


class CarelessHarness(Harness):
    maker = CarelessMaker()


CAUGHT = {
    "config_keeps_its_secrets",  # the key lies in an attribute, in the clear
    "find_tells_what_send_did",
    "same_key_twice",
    "same_key_other_content",
    "two_at_once",
    "what_cannot_be_is_rejected",
    "amounts_are_exact",
    "no_refund_of_nothing",
    "lost_request",
    "lost_reply",
    "error_after_it_was_done",
    "garbage_after_it_was_done",
    "rate_limited",
    "unauthorized",
    "nothing_tells_a_secret",
    "soak",
    "every_row_is_found",
    "a_flipped_bit",
    "an_old_signature",
    "another_secret",
}


@pytest.fixture(scope="module")
def careless() -> list[Result]:
    return run_harness(CarelessHarness)


@pytest.mark.parametrize("name", sorted(CAUGHT))
def test_carelessness_is_caught(careless: list[Result], name: str) -> None:
    failed = {result.case.partition("[")[0] for result in careless if result.outcome == "failed"}
    assert name in failed


def test_what_the_careless_one_does_right_is_not_blamed(careless: list[Result]) -> None:
    passed = {result.case.partition("[")[0] for result in careless if result.outcome == "passed"}
    assert {"manifest_is_complete", "config_is_described", "refused_connection", "an_unknown_topic"} <= passed


def test_a_failure_says_what_is_wrong(careless: list[Result]) -> None:
    [reply] = [result for result in careless if result.case == "lost_reply[PayLeg]"]
    assert "lost_reply gave transient, expected unknown" in reply.message


@pytest.mark.parametrize("name", ["stripe", "bank", "notify"])
def test_the_runner_finds_our_connectors_by_name(name: str) -> None:
    results = run(name)
    assert [result for result in results if result.outcome == "failed"] == []
    assert {result.outcome for result in results} <= {"passed", "skipped"}
    assert len(results) == len(cases(harness_of(name).maker.manifest))


def test_an_unknown_name_says_which_there_are() -> None:
    with pytest.raises(LookupError, match=r"stripe.*make setup-dev"):
        run("no-such-connector")


def test_every_check_says_what_it_is_for() -> None:
    for case in cases(connector.manifest):
        assert case.check.about.endswith("."), case


class Wrong(Harness):
    writes: ClassVar[dict[str, str]] = {"PayLeg": "^PUT /nowhere$"}


def test_a_fault_that_hits_nothing_is_no_success() -> None:
    [case] = [case for case in cases(connector.manifest) if str(case) == "lost_reply[PayLeg]"]
    with pytest.raises(AssertionError, match=r"correct Harness\.writes"):
        asyncio.run(case.run(Wrong()))
