"""What the shop tells: returns and who decided them, refunds of its own, a marketplace's, replacements."""

from typing import Any

import pytest

from counterflow.connectors.shopify.client import Client
from counterflow.connectors.shopify.references import key_in, number
from counterflow.core.effects import AnswerReturn
from counterflow.core.facts import (
    AuthorisationGiven,
    MarketplaceRefunded,
    RefundReported,
    ReplacementMoved,
    RequestedLine,
    ReturnCancelled,
    ReturnRequested,
    SaleRecorded,
)
from counterflow.sdk.connector import Delivery, Signal
from counterflow.sdk.outcomes import Done, Malformed, NotFound
from tests.connectors.shopify.shop import Shop, bodies

SHIRT = {"sku": "SHIRT", "quantity": 2, "unit_price_minor": 19_90}


async def requested(shop: Shop, ret: dict[str, Any]) -> ReturnRequested:
    [body] = bodies(await shop.facts("returns", ret), ReturnRequested)
    return body


async def test_a_request_comes_with_its_sale_and_is_known_by_itself_alone():
    shop = Shop()
    order = await shop.place(SHIRT)
    ret = await shop.request(order, "SHIRT", reason="SIZE_TOO_SMALL")
    facts = await shop.facts("returns", ret)
    [sale] = bodies(facts, SaleRecorded)
    [body] = bodies(facts, ReturnRequested)
    assert body.return_ref == f"here:return:{number(ret['id'])}" and body.sale_ref == sale.sale.sale_ref
    assert body.lines == (RequestedLine(number(order["lines"][0]["id"]), 1, "does_not_fit"),)
    assert (body.rma_number, body.authorised_by_channel) == (ret["name"], False)
    [fact] = [fact for fact in facts if fact.body is body]
    assert fact.refs == (body.return_ref, f"rma:{ret['name']}")


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [("UNWANTED", "changed_mind"), ("DEFECTIVE", "defective"), ("UNKNOWN", "none_given"), ("OTHER", "other")],
)
async def test_reasons(theirs: str, ours: str):
    shop = Shop()
    ret = await shop.request(await shop.place(SHIRT), "SHIRT", reason=theirs)
    assert (await requested(shop, ret)).lines[0].reason == ours


async def test_an_agents_return_is_authorised_by_the_channel():
    shop = Shop()
    order = await shop.place(SHIRT)
    ret = await shop.act("create_return", order=order["name"], lines=[{"sku": "SHIRT", "quantity": 1}])
    assert (await requested(shop, ret)).authorised_by_channel


async def test_our_own_answer_is_no_news():
    shop = Shop()
    order = await shop.place(SHIRT)
    for decision in ("approve", "decline"):
        ret = await shop.request(order, "SHIRT")
        effect = shop.effect(AnswerReturn(f"here:return:{number(ret['id'])}", decision, "the window is over"))
        [outcome] = await shop.connector.send([effect])
        assert isinstance(outcome, Done)
        facts = await shop.facts("returns", ret)
        assert not bodies(facts, AuthorisationGiven)
        assert not bodies(facts, ReturnRequested)[0].authorised_by_channel


async def test_what_an_agent_decides_in_the_shop_is_told():
    shop = Shop()
    order = await shop.place(SHIRT)
    declined, cancelled = await shop.request(order, "SHIRT"), await shop.request(order, "SHIRT")
    await shop.act("decline_return", **{"return": declined["name"], "reason": "FINAL_SALE"})
    await shop.act("cancel_return", **{"return": cancelled["name"]})
    assert bodies(await shop.facts("returns", declined), AuthorisationGiven) == [
        AuthorisationGiven("decline", "channel", "final sale")
    ]
    assert [body.by for body in bodies(await shop.facts("returns", cancelled), ReturnCancelled)] == ["channel"]


async def test_an_exchange_names_the_replacement_at_todays_price():
    shop = Shop()
    order = await shop.place(SHIRT)
    ret = await shop.request(order, "SHIRT")
    before = await requested(shop, ret)
    shop.clock.advance(2)
    await shop.act(
        "customer_picks", **{"return": ret["name"], "remedy": "exchange", "sku": "HOODIE", "unit_price_minor": 49_00}
    )
    after = await requested(shop, ret)
    [line] = after.lines
    assert (line.remedy, line.replacement_sku, line.replacement_unit_minor) == ("exchange", "HOODIE", 49_00)
    assert after.version > before.version


async def test_store_credit_is_chosen_by_a_tag():
    shop = Shop()
    ret = await shop.request(await shop.place(SHIRT), "SHIRT")
    await shop.act("customer_picks", **{"return": ret["name"], "remedy": "store_credit"})
    assert (await requested(shop, ret)).lines[0].remedy == "store_credit"


@pytest.mark.parametrize(
    ("act", "more"),
    [("customer_picks", {"remedy": "store_credit"}), ("approve_return", {})],
)
async def test_what_follows_within_the_second_of_the_request_is_newer_than_it(act: str, more: dict[str, str]):
    shop = Shop()
    ret = await shop.request(await shop.place(SHIRT), "SHIRT")
    first = await requested(shop, ret)
    asked = shop.world.get("orders", ret["order_id"])
    assert asked is not None
    before = asked["updated_at"]
    await shop.act(act, **{"return": ret["name"]}, **more)
    changed = shop.world.get("orders", ret["order_id"])
    assert changed is not None
    with shop.world.tx():
        shop.world.put("orders", changed["id"], {**changed, "updated_at": before})
    second = await requested(shop, ret)
    assert second != first and second.version > first.version  # the same version would be taken for a repetition


async def test_a_part_of_a_kit_comes_back():
    shop = Shop()
    parts = [{"sku": "MUG", "unit_price_minor": 10_00}, {"sku": "PLATE", "unit_price_minor": 14_00}]
    order = await shop.place({"sku": "TABLEWARE", "components": parts})
    body = await requested(shop, await shop.request(order, "PLATE"))
    [kit] = (await shop.sale(order)).lines
    assert [(line.line_ref, line.part_sku, line.quantity) for line in body.lines] == [(kit.line_ref, "PLATE", 1)]


async def test_serials_of_a_line_that_comes_back_whole():
    shop = Shop()
    camera = {"sku": "CAM", "quantity": 1, "unit_price_minor": 399_00, "attributes": {"serial": "C-1"}}
    ret = await shop.request(await shop.place(camera), "CAM")
    assert (await requested(shop, ret)).lines[0].serials == ("C-1",)


# ---- refunds ---------------------------------------------------------------------------------------------------------


async def refunds(shop: Shop, order: dict[str, Any]) -> list[RefundReported]:
    return bodies(await shop.facts("orders", order), RefundReported)


async def test_money_that_a_provider_tells_is_not_told_again():
    shop = Shop()
    order = await shop.place(SHIRT)
    await shop.act("refund_in_admin", order=order["name"], lines=[{"sku": "SHIRT", "quantity": 1}])
    assert await refunds(shop, order) == []


async def test_money_of_a_gateway_without_a_connection_is_told_by_the_shop():
    shop = Shop(gateways={})
    order = await shop.place(SHIRT)
    done = await shop.act("refund_in_admin", order=order["name"], lines=[{"sku": "SHIRT", "quantity": 1}])
    [body] = await refunds(shop, order)
    assert (body.refund_ref, body.payment_ref) == (done["tenders"][0]["transaction"], "pi_1")
    assert (body.amount_minor, body.currency, body.status, body.key) == (19_90, "EUR", "succeeded", "")
    assert body.line_refs == (number(order["lines"][0]["id"]),)


@pytest.mark.parametrize(
    ("fault", "first", "then"),
    [
        ("refund_pending", "pending", "succeeded"),
        ("refund_fails", "pending", "failed"),
        ("refund_failure", "failed", "failed"),
    ],
)
async def test_the_state_of_the_money_counts(fault: str, first: str, then: str):
    shop = Shop(gateways={})
    order = await shop.place(SHIRT)
    shop.world.fault(fault, match="admin")
    await shop.act("refund_in_admin", order=order["name"], amount_minor=5_00)
    [before] = await refunds(shop, order)
    shop.clock.advance(120)
    await shop.told()
    [after] = await refunds(shop, order)
    assert (before.status, after.status) == (first, then) and after.version >= before.version


async def test_a_marketplace_refunds_for_us():
    """Edge cases 71 and 72."""
    shop = Shop()
    order = await shop.place(SHIRT, marketplace="amazon")
    line = number(order["lines"][0]["id"])
    await shop.act("marketplace_refund", order=order["name"], lines=[{"sku": "SHIRT", "quantity": 1}])
    await shop.act("marketplace_refund", order=order["name"], amount_minor=3_00, reason="Returnless refund")
    facts = await shop.facts("orders", order)
    first, second = bodies(facts, MarketplaceRefunded)
    sale = bodies(facts, SaleRecorded)[0].sale
    assert (first.amount_minor, first.returnless, first.line_refs) == (19_90, False, (line,))
    assert (second.amount_minor, second.returnless) == (3_00, True)
    assert first.payment_ref == sale.payments[0].payment_ref and sale.channel == "marketplace"
    assert not bodies(facts, RefundReported)
    assert {fact.origin for fact in facts if isinstance(fact.body, MarketplaceRefunded)} == {"marketplace"}


# ---- replacements ----------------------------------------------------------------------------------------------------


async def test_a_replacement_order_goes_its_way():
    shop = Shop()
    effect = await shop.sample("CreateReplacement")
    [outcome] = await shop.connector.send([effect])
    assert isinstance(outcome, Done)
    made = {"id": f"gid://shopify/Order/{number(outcome.ref.replace(':', '/'))}"}
    facts = await shop.facts("orders", made)
    sale = bodies(facts, SaleRecorded)[0].sale
    assert sale.root == effect.command.order_ref != sale.sale_ref  # type: ignore[union-attr]
    assert sale.root_delivered_at is not None
    assert [(p.tender, p.captured_minor) for p in sale.payments] == [("exchange_credit", 19_90)]
    assert bodies(facts, ReplacementMoved) == [ReplacementMoved(outcome.ref, "created", 21_90)]
    assert (
        next(fact.refs[0] for fact in facts if isinstance(fact.body, ReplacementMoved)) == f"effect:{effect.effect_id}"
    )
    shop.clock.advance(5)
    await shop.act("fulfil", order=sale.order_number)
    shop.clock.advance(5)
    await shop.act("deliver", order=sale.order_number)
    moved = [fact for fact in await shop.facts("orders", made) if isinstance(fact.body, ReplacementMoved)]
    assert [fact.body.state for fact in sorted(moved, key=lambda f: f.order)] == ["created", "shipped", "delivered"]  # type: ignore[union-attr]


async def test_a_replacement_order_that_is_cancelled():
    shop = Shop()
    [outcome] = await shop.connector.send([await shop.sample("CreateReplacement")])
    assert isinstance(outcome, Done)
    id_ = number(outcome.ref.replace(":", "/"))
    shop.clock.advance(5)
    await shop.act("cancel_order", order=id_)
    moved = bodies(await shop.facts("orders", {"id": f"gid://shopify/Order/{id_}"}), ReplacementMoved)
    assert [body.state for body in moved] == ["created", "cancelled"]


def test_a_key_is_only_what_we_wrote():
    key = "ef_" + "0" * 26
    assert key_in(f"Counterflow {key} changed_mind") == key
    assert [key_in(note) for note in (None, "", "ef_short", f"x{key}", f"{key}0")] == [""] * 5


# ---- reading ---------------------------------------------------------------------------------------------------------


async def test_an_order_is_found_by_its_name():
    shop = Shop()
    order = await shop.place(SHIRT)
    for ref in (order["id"], f"here:order:{order['name']}", f"here:order:{number(order['id'])}"):
        [fact] = await shop.connector.fetch("orders", ref)
        assert isinstance(fact.body, SaleRecorded) and fact.body.sale.order_number == order["name"]
    with pytest.raises(NotFound):
        await shop.connector.fetch("orders", "here:order:#4711")


async def test_an_answer_that_breaks_the_schema_is_malformed(monkeypatch: pytest.MonkeyPatch):
    shop = Shop()
    order = await shop.place(SHIRT)
    whole = Client.call

    async def broken(self: Client, document: str, **variables: Any) -> Any:
        found = await whole(self, document, **variables)
        found["lineItems"]["nodes"][0]["originalTotalSet"]["presentmentMoney"]["amount"] = "12,50"
        return found

    monkeypatch.setattr(Client, "call", broken)
    with pytest.raises(Malformed, match="is not as Shopify describes it"):
        await shop.connector.fetch("orders", order["id"])


async def test_every_webhook_points_to_what_it_is_about():
    shop = Shop()
    order = await shop.place(SHIRT)
    ret = await shop.request(order, "SHIRT")
    await shop.act("approve_return", **{"return": ret["name"]})
    await shop.act("refund_in_admin", order=order["name"], lines=[{"sku": "SHIRT", "quantity": 1}])
    pointed: dict[str, set[tuple[str, str]]] = {}
    for delivery in await shop.told():
        for signal in shop.connector.translate(delivery):
            assert isinstance(signal, Signal)
            pointed.setdefault(delivery.header("x-shopify-topic"), set()).add((signal.feed, signal.ref))
    assert pointed == {
        **{topic: {("returns", ret["id"])} for topic in ("returns/request", "returns/approve")},
        **{
            topic: {("orders", order["id"])}
            for topic in (
                "orders/create",
                "orders/paid",
                "orders/fulfilled",
                "orders/updated",
                "fulfillments/create",
                "order_transactions/create",
                "refunds/create",
            )
        },
    }


def test_a_known_topic_that_names_nothing_is_malformed():
    shop = Shop()
    for body in (b'{"id": 1}', b'{"admin_graphql_api_id": "gid://shopify/Order/1"}', b'{"admin_graphql_api_id": 0}'):
        delivery = Delivery("here", {"x-shopify-topic": ("returns/request",)}, body, shop.clock.now())
        with pytest.raises(Malformed):
            shop.connector.translate(delivery)


async def test_a_returned_line_that_lost_what_was_sold_is_malformed(monkeypatch: pytest.MonkeyPatch):
    """Taken for a line of the other type it would be left out, and the customer's request would name nothing."""
    shop = Shop()
    ret = await shop.request(await shop.place(SHIRT), "SHIRT")
    whole = Client.call

    async def broken(self: Client, document: str, **variables: Any) -> Any:
        found = await whole(self, document, **variables)
        del found["returnLineItems"]["nodes"][0]["fulfillmentLineItem"]
        return found

    monkeypatch.setattr(Client, "call", broken)
    with pytest.raises(Malformed, match="fulfillmentLineItem"):
        await shop.connector.fetch("returns", ret["id"])
