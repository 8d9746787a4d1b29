"""The connector against a Stripe that we did not write: localstripe behind a strict proxy, with Stripe's own library.

The same checks that the kit runs against our simulator run against it, faults on the wire included; what our connector
writes the official library reads, and the other way round; and our simulator has the shapes that localstripe has.
"""

import asyncio
import itertools
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import uvicorn
from starlette.applications import Starlette

from counterflow.connectors.stripe import conformance
from counterflow.connectors.stripe.mapping import to_stripe
from counterflow.connectors.stripe.simulator.errors import refuse
from counterflow.core.effects import AllocationRow, Command, Effect, PayLeg
from counterflow.core.facts import PayoutReported, RefundReported, RefundSettled
from counterflow.core.ids import make_id
from counterflow.sdk.connector import Connector, Delivery, Signal
from counterflow.sdk.outcomes import Conflict, Done, Rejected, UnknownOutcome
from counterflow.sdk.simulator import Doc, World, with_sim
from counterflow.sdk.testing.check import cases
from counterflow.sdk.testing.conformance import ConnectorConformance
from tests.connectors.stripe.strict import Strict
from tests.counterparts import programs

_NUMBERS = itertools.count(1)
KEY = {"Authorization": "Bearer sk_test_counterflow"}
PARTS = ("writes", "faults", "soak", "reads")


@pytest.fixture(scope="session")
def upstream() -> Iterator[str]:
    with programs.server("localstripe", "--port", "{port}", "--from-scratch") as address:
        yield address


def pay(upstream: str, amount: int, currency: str) -> str:
    """A shopper pays by card at localstripe; the payment intent."""
    card = {"type": "card", "card[number]": "4242424242424242", "card[exp_month]": 12, "card[exp_year]": 2030}
    method = httpx2.post(
        f"{upstream}/v1/payment_methods", data={**card, "card[cvc]": "123"}, headers=KEY, verify=False
    ).json()
    form = {"amount": amount, "currency": currency.lower(), "payment_method": method["id"], "confirm": "true"}
    return str(httpx2.post(f"{upstream}/v1/payment_intents", data=form, headers=KEY, verify=False).json()["id"])


def refunds_of(upstream: str, effect: Effect) -> list[Doc]:
    """The refunds that localstripe itself holds under our key: the truth, past the proxy."""
    assert isinstance(effect.command, PayLeg)
    intent = effect.command.payment_ref
    answer = httpx2.get(f"{upstream}/v1/refunds?payment_intent={intent}&limit=100", headers=KEY, verify=False).json()
    return [doc for doc in answer["data"] if doc["metadata"].get("counterflow_key") == effect.effect_id]


class LocalHarness(conformance.Harness):
    """The kit's view of localstripe behind the proxy; the kit's faults are on the wire between it and us."""

    upstream = ""  # set by the fixture
    faults = 30  # of the soak: each is several requests to another process

    def simulator(self, world: World, webhook_url: str) -> Starlette:
        def tell(body: bytes, headers: Doc) -> None:
            self.deliveries.append(self.delivery_of(headers, body))

        self.strict = Strict(self.upstream, self.config["webhook_secret"], lambda: world.now().timestamp(), tell)
        return with_sim(self.strict.app, world, refuse)

    async def sample(self, kind: str, currency: str = "EUR", amount_minor: int = 19_90) -> Effect:
        return self.leg(pay(self.upstream, to_stripe(amount_minor * 3, currency), currency), amount_minor, currency)

    async def over(self, kind: str) -> Effect | None:
        return self.leg(pay(self.upstream, 50_00, "EUR"), 50_01, "EUR")

    def effect(self, command: Command, number: int | None = None) -> Effect:
        """One localstripe serves all checks: no key may come twice."""
        return super().effect(command, next(_NUMBERS) if number is None else number)

    async def applied(self, effect: Effect) -> int:
        return len(refunds_of(self.upstream, effect))

    async def amount(self, effect: Effect) -> tuple[int, str] | None:
        [refund] = refunds_of(self.upstream, effect)
        return refund["amount"], refund["currency"].upper()

    def leg(self, payment: str, amount_minor: int, currency: str) -> Effect:
        rows, intent = (AllocationRow("line-1", "goods", amount_minor),), make_id("ri", payment)
        return self.effect(
            PayLeg(make_id("rl", payment), intent, "card", payment, "shop:order:1", "r:1", amount_minor, currency, rows)
        )


@pytest.fixture(scope="module")
def harness_class(upstream: str) -> type[LocalHarness]:
    return type("Harness", (LocalHarness,), {"upstream": upstream})


class TestLocalstripe(ConnectorConformance):
    """Every check of the kit that is about writing, and those of the refunds feed that need no empty account."""

    Harness = LocalHarness

    def pytest_generate_tests(self, metafunc: Any) -> None:
        if "case" in metafunc.fixturenames:
            chosen = [
                case
                for case in cases(LocalHarness.maker.manifest)
                if case.check.function.__module__.rpartition(".")[2] in PARTS
                and (case.subject == "PayLeg" or case.check.name == "a_paid_leg_is_told_as_ours")
            ]
            metafunc.parametrize("case", chosen, ids=str)

    @pytest.fixture(autouse=True)
    def _with(self, harness_class: type[LocalHarness]) -> None:
        self.Harness = harness_class  # type: ignore[misc]


# Side by side with Stripe's own library, over sockets


class Both:
    """Our connector and Stripe's library at the same proxy."""

    def __init__(self, harness: LocalHarness, address: str, library: programs.Script) -> None:
        self.harness, self.address, self._library = harness, address, library
        self.ours: Connector = harness.connect(network=httpx2.AsyncHTTPTransport(verify=False), base_url=address)

    def official(self, name: str, *arguments: Any) -> Any:
        return self._library(name, self.address, *arguments)

    def leg(self, amount: int = 10_00) -> Effect:
        return self.harness.leg(pay(self.harness.upstream, 50_00, "EUR"), amount, "EUR")

    def form(self, effect: Effect) -> Doc:
        """What our connector sends, as the library's parameters."""
        assert isinstance(effect.command, PayLeg)
        metadata = {"counterflow_key": effect.effect_id, "case": effect.owner, "leg": effect.command.leg_id}
        intent = effect.command.payment_ref
        return {"payment_intent": intent, "amount": effect.command.amount_minor, "metadata": metadata}


@pytest.fixture(scope="module")
def library() -> Iterator[programs.Script]:
    with programs.Script(Path(__file__).parent / "official.py", "sk_test_counterflow") as script:
        yield script


@pytest.fixture
def both(harness_class: type[LocalHarness], library: programs.Script) -> Iterator[Both]:
    harness = harness_class()
    server = uvicorn.Server(uvicorn.Config(harness.strict.app, port=0, log_level="critical"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
    address = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    yield Both(harness, address, library)
    server.should_exit = True
    thread.join()


async def test_what_we_write_the_official_library_reads(both: Both) -> None:
    effect = both.leg()
    [outcome] = await both.ours.send([effect])
    assert isinstance(outcome, Done)
    read = both.official("refunds.retrieve", outcome.ref.rpartition(":")[2])
    assert (read["amount"], read["currency"], read["status"]) == (10_00, "eur", "succeeded")
    assert read["metadata"] == both.form(effect)["metadata"]
    listed = both.official("refunds.list", {"payment_intent": both.form(effect)["payment_intent"]})
    assert [each["id"] for each in listed] == [read["id"]]


async def test_what_the_official_library_writes_we_find_and_tell(both: Both) -> None:
    effect = both.leg()
    written = both.official("refunds.create", both.form(effect), {"idempotency_key": effect.effect_id})
    found = await both.ours.find(effect)
    assert isinstance(found, Done) and found.ref == f"here:refund:{written['id']}"
    [fact] = await both.ours.fetch("refunds", found.ref)
    assert isinstance(fact.body, RefundReported)
    assert (fact.body.key, fact.body.amount_minor, fact.origin) == (effect.effect_id, 10_00, "ours")
    page = await both.ours.pull("refunds", "")
    items = [*page.items]
    while page.more:  # refunds of one second come in any order, and a quick machine makes many in one
        page = await both.ours.pull("refunds", page.cursor)
        items += page.items
    assert any(isinstance(item, Signal) and item.ref == found.ref for item in items)


async def test_one_key_is_one_refund_whoever_sends_it(both: Both) -> None:
    effect = both.leg()
    [outcome] = await both.ours.send([effect])
    again = both.official("refunds.create", both.form(effect), {"idempotency_key": effect.effect_id})
    assert isinstance(outcome, Done) and outcome.ref == f"here:refund:{again['id']}"
    assert await both.harness.applied(effect) == 1


async def test_without_the_proxy_one_key_is_two_refunds(both: Both) -> None:
    """What the proxy is for: localstripe alone would prove nothing about keys."""
    effect = both.leg()
    alone = both.harness.connect(network=httpx2.AsyncHTTPTransport(verify=False), base_url=both.harness.upstream)
    await alone.send([effect])
    await alone.send([effect])
    assert await both.harness.applied(effect) == 2


async def test_other_content_under_a_key_is_refused_to_both(both: Both) -> None:
    effect = both.leg()
    await both.ours.send([effect])
    with pytest.raises(programs.Answered) as refused:
        both.official("refunds.create", {**both.form(effect), "amount": 1}, {"idempotency_key": effect.effect_id})
    assert (refused.value.kind, refused.value.what["status"]) == ("IdempotencyError", 400)
    with pytest.raises(Conflict):
        await both.ours.send([both.harness.altered(effect) or effect])


async def test_a_key_that_is_forgotten_after_a_day_is_looked_up(both: Both) -> None:
    effect = both.leg()
    await both.ours.send([effect])
    both.harness.clock.advance(25 * 3600)
    assert isinstance(await both.ours.find(effect), Done), "the metadata tells, not the key"
    twice = both.official("refunds.create", both.form(effect), {"idempotency_key": effect.effect_id})
    assert twice["id"] and await both.harness.applied(effect) == 2, "the proxy forgets keys as Stripe does"


async def test_more_than_was_paid_is_refused_to_both(both: Both) -> None:
    effect = both.leg(50_01)
    with pytest.raises(Rejected):
        await both.ours.send([effect])
    with pytest.raises(programs.Answered) as refused:
        both.official("refunds.create", both.form(effect))
    assert refused.value.kind == "InvalidRequestError"
    whole = both.harness.leg(both.form(effect)["payment_intent"], 50_00, "EUR")
    await both.ours.send([whole])
    with pytest.raises(Rejected) as nothing_left:
        await both.ours.send([both.harness.leg(both.form(effect)["payment_intent"], 1_00, "EUR")])
    assert nothing_left.value.code == "charge_already_refunded"


async def test_a_key_that_is_under_way_is_unknown_and_is_paid_once(both: Both) -> None:
    effect = both.leg()
    both.harness.strict.pause = asyncio.Event()
    first = asyncio.create_task(both.ours.send([effect]))
    while not both.harness.strict.in_flight:
        await asyncio.sleep(0.01)
    with pytest.raises(UnknownOutcome, match="in-progress"):
        await both.harness.connect(network=httpx2.AsyncHTTPTransport(verify=False), base_url=both.address).send(
            [effect]
        )
    both.harness.strict.pause.set()
    [outcome] = await first
    assert isinstance(outcome, Done) and await both.harness.applied(effect) == 1


@pytest.mark.parametrize("reason", ["lost_or_stolen_card", "expired_or_canceled_card", "insufficient_funds", "unknown"])
async def test_a_refund_that_fails_days_later_is_told_by_a_signed_event(both: Both, reason: str) -> None:
    effect = both.leg()
    [outcome] = await both.ours.send([effect])
    assert isinstance(outcome, Done)
    both.harness.deliveries.clear()
    both.harness.clock.advance(9 * 86_400)
    await both.harness.strict.fail(outcome.ref.rpartition(":")[2], reason)
    failed = both.harness.deliveries[-1]
    both.ours.verify(failed)
    body, signature = failed.body.decode(), failed.header("stripe-signature")
    secret = both.harness.config["webhook_secret"]
    assert both.official("construct_event", body, signature, secret)["type"] == "refund.failed"
    with pytest.raises(programs.Answered, match="SignatureVerificationError"):
        both.official("construct_event", body, signature, "whsec_other")
    [signal] = both.ours.translate(failed)
    assert isinstance(signal, Signal)
    [fact] = await both.ours.fetch(signal.feed, signal.ref)
    assert isinstance(fact.body, RefundReported)
    assert (fact.body.status, fact.body.reason, fact.body.key) == ("failed", reason, effect.effect_id)
    assert isinstance(await both.ours.find(effect), Rejected)
    read = both.official("refunds.retrieve", signal.ref.rpartition(":")[2])
    assert (read["status"], read["failure_reason"]) == ("failed", reason)
    [again] = await both.ours.send([both.harness.leg(both.form(effect)["payment_intent"], 50_00, "EUR")])
    assert isinstance(again, Done), "what failed may be refunded again"


async def next_second() -> None:
    """Stripe counts in whole seconds: what follows is surely later."""
    await asyncio.sleep(1.01)


async def test_a_payout_by_the_official_library_is_told_with_its_members(both: Both) -> None:
    """localstripe knows manual payouts alone. What became available since the one before is this one, to the cent."""
    both.official("payouts.create", {"amount": 1, "currency": "eur"})
    await next_second()
    effect = both.leg()  # 50.00, of which 1.00 is kept
    [outcome] = await both.ours.send([effect])
    assert isinstance(outcome, Done)
    made = both.official("payouts.create", {"amount": 50_00 - 1_00 - 10_00, "currency": "eur"})
    facts = [fact.body for fact in await both.ours.fetch("payouts", f"here:payout:{made['id']}")]
    [payout] = [body for body in facts if isinstance(body, PayoutReported)]
    entries = {entry.kind: entry.amount_minor for entry in payout.entries}
    assert (payout.net_minor, entries) == (39_00, {"charge": 50_00, "refund": -10_00, "fee": -1_00})
    [settled] = [body for body in facts if isinstance(body, RefundSettled)]
    assert (settled.refund_ref, settled.amount_minor) == (outcome.ref, 10_00)
    await next_second()
    part = both.official("payouts.create", {"amount": 7_00, "currency": "eur"})
    [fact] = await both.ours.fetch("payouts", f"here:payout:{part['id']}")
    assert isinstance(fact.body, PayoutReported)
    assert [entry.kind for entry in fact.body.entries] == ["adjustment"], "nobody can say what it consists of"


async def test_what_moves_the_balance_both_read_alike(both: Both) -> None:
    effect = both.leg()
    await both.ours.send([effect])
    refund = both.official("refunds.list", {"payment_intent": both.form(effect)["payment_intent"]})[0]
    txn = both.official("balance_transactions.retrieve", refund["balance_transaction"])
    assert (txn["type"], txn["amount"], txn["net"], txn["source"]) == ("refund", -10_00, -10_00, refund["id"])
    charge = both.official("charges.retrieve", refund["charge"])
    paid = both.official("balance_transactions.retrieve", charge["balance_transaction"])
    assert (paid["amount"], paid["fee"], paid["net"]) == (50_00, 1_00, 49_00)
    events = both.official("events.list", {"types": ["refund.created", "charge.refunded"]})
    assert [event["type"] for event in events] == ["charge.refunded", "refund.created"]
    page = await both.ours.pull("refunds", str(int(both.harness.clock.now().timestamp()) - 60))
    assert [item.ref for item in page.items if isinstance(item, Signal)] == [f"here:refund:{refund['id']}"]


# Our simulator against localstripe: the same calls, the same shapes

# What localstripe 1.15.10 has and Stripe's current version has not, or names otherwise.
_OLD = {"date", "invoice", "livemode", "refunds", "receipt_number", "charges", "client_secret", "last_payment_error"}
_OLD |= {"next_action", "total_count", "statement_descriptor", "customer"}


def shape(value: Any) -> str:
    kinds = {bool: "flag", int: "number", float: "number", str: "text", dict: "object", list: "list"}
    return kinds.get(type(value), "null")


def compared(ours: Doc, theirs: Doc, where: str) -> list[str]:
    """Where both have a field it has one type; what they have and we lack is named."""
    found = []
    for name in theirs.keys() - _OLD:
        if name not in ours:
            found.append(f"{where}.{name} is missing in our simulator")
            continue
        kinds = {shape(ours[name]), shape(theirs[name])} - {"null"}
        if len(kinds) > 1:
            found.append(f"{where}.{name}: ours is {shape(ours[name])}, theirs {shape(theirs[name])}")
    return found


async def test_our_simulator_has_the_shapes_of_localstripe(harness_class: type[LocalHarness]) -> None:
    theirs, ours = harness_class(), conformance.Harness()
    said: dict[str, dict[str, Doc]] = {}
    for name, harness in (("theirs", theirs), ("ours", ours)):
        effect = await harness.sample("PayLeg")
        assert isinstance(effect.command, PayLeg)
        intent = effect.command.payment_ref
        transport = httpx2.ASGITransport(harness.app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://stripe.test", headers=KEY) as http:
            key = {"Idempotency-Key": effect.effect_id}
            form = {"payment_intent": intent, "amount": "1000", "metadata[counterflow_key]": effect.effect_id}
            made = await http.post("/v1/refunds", data=form, headers=key)
            refund = made.json()
            replayed = await http.post("/v1/refunds", data=form, headers=key)
            assert replayed.json() == refund and replayed.headers["idempotent-replayed"] == "true"
            expanded = (await http.get(f"/v1/refunds/{refund['id']}?expand[]=balance_transaction")).json()
            said[name] = {
                "refund": refund,
                "refunds": (await http.get(f"/v1/refunds?payment_intent={intent}")).json(),
                "transaction": expanded["balance_transaction"],
                "charge": (await http.get(f"/v1/charges/{refund['charge']}")).json(),
                "intent": (await http.get(f"/v1/payment_intents/{intent}")).json(),
                "gone": (await http.get("/v1/refunds/re_none")).json()["error"],
                "over": (await http.post("/v1/refunds", data={**form, "amount": "900000"})).json()["error"],
                "changed": (await http.post("/v1/refunds", data={**form, "amount": "1"}, headers=key)).json()["error"],
            }
    latest = said["theirs"]["intent"].pop("latest_charge")["id"]  # localstripe expands it unasked
    assert latest == said["theirs"]["charge"]["id"] and isinstance(said["ours"]["intent"]["latest_charge"], str)
    problems = [each for name in said["ours"] for each in compared(said["ours"][name], said["theirs"][name], name)]
    assert not problems, "\n".join(problems)
    assert [said[name]["over"]["type"] for name in said] == ["invalid_request_error"] * 2
    assert [said[name]["changed"]["type"] for name in said] == ["idempotency_error"] * 2
    assert [said[name]["gone"]["code"] for name in said] == ["resource_missing"] * 2


async def test_the_events_of_both_are_pointed_at_alike(harness_class: type[LocalHarness]) -> None:
    """The same things happen; our connector gets the same signals, whoever sent the events."""
    told: list[list[tuple[str, str]]] = []
    for harness in (harness_class(), conformance.Harness()):
        effect = await harness.sample("PayLeg")
        await harness.told()
        [outcome] = await harness.connector.send([effect])
        assert isinstance(outcome, Done)
        refund = outcome.ref.rpartition(":")[2]
        if isinstance(harness, LocalHarness):
            await harness.strict.fail(refund, "unknown")
        else:
            await harness.act("fail_refund", refund=refund, failure_reason="unknown")
        found: list[Delivery] = await harness.told()
        signals = [(json.loads(each.body)["type"], harness.connector.translate(each)) for each in found]
        told.append([(kind, signal.feed) for kind, [signal] in signals if isinstance(signal, Signal)])
    theirs, ours = told
    assert {"refund.created", "charge.refunded", "refund.updated", "refund.failed"} == {kind for kind, _ in theirs}
    assert set(theirs) <= set(ours)
