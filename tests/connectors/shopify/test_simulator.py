"""The simulated shop holds to what Shopify does with returns, refunds, stock, keys, costs and webhooks."""

import base64
import hashlib
import hmac
import json
from decimal import Decimal
from typing import Any

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from counterflow.connectors.shopify.simulator import create_app
from counterflow.connectors.shopify.simulator.money import graphql_amount, minor, rest_amount, spread
from counterflow.sdk.simulator import Chaos, Clock, World

TOKEN = "shpat_simulated"

REFUND = """
mutation RefundCreate($input: RefundInput!, $key: String!) {
  refundCreate(input: $input) @idempotent(key: $key) {
    refund { id note totalRefundedSet { presentmentMoney { amount currencyCode } shopMoney { amount currencyCode } }
      return { id } orderAdjustments(first: 5) { nodes { amountSet { presentmentMoney { amount } } } }
      refundLineItems(first: 10) { nodes { quantity restockType subtotalSet { presentmentMoney { amount } } } }
      transactions(first: 10) { nodes { id kind gateway status errorCode amountSet { presentmentMoney { amount } }
        parentTransaction { id } } } }
    userErrors { field message } } }"""
RETURN = """
fragment R on Return { id name status returnLineItems(first: 10) { nodes { id quantity ... on ReturnLineItem {
  processedQuantity refundedQuantity fulfillmentLineItem { lineItem { sku } } } } }
  exchangeLineItems(first: 5) { nodes { id quantity processedQuantity lineItems { id sku } } }
  reverseFulfillmentOrders(first: 5) { nodes { status lineItems(first: 10) { nodes { id totalQuantity
    dispositions { type quantity location { name } } } } } }
  refunds(first: 5) { nodes { id note } } decline { reason note } }"""
ERRORS = "userErrors { code field message }"
REQUEST = (
    f"mutation Ask($i: ReturnRequestInput!) {{ returnRequest(input: $i) {{ return {{ ...R }} {ERRORS} }} }} {RETURN}"
)
CREATE = (
    f"mutation Create($i: ReturnInput!) {{ returnCreate(returnInput: $i) {{ return {{ ...R }} {ERRORS} }} }} {RETURN}"
)
APPROVE = (
    "mutation Approve($i: ReturnApproveRequestInput!)"
    f" {{ returnApproveRequest(input: $i) {{ return {{ ...R }} {ERRORS} }} }} {RETURN}"
)
DECLINE = (
    "mutation Decline($i: ReturnDeclineRequestInput!)"
    f" {{ returnDeclineRequest(input: $i) {{ return {{ ...R }} {ERRORS} }} }} {RETURN}"
)
PROCESS = (
    "mutation Process($i: ReturnProcessInput!)"
    f" {{ returnProcess(input: $i) {{ return {{ ...R }} {ERRORS} }} }} {RETURN}"
)
DISPOSE = (
    "mutation Dispose($i: [ReverseFulfillmentOrderDisposeInput!]!)"
    " { reverseFulfillmentOrderDispose(dispositionInputs: $i)"
    f" {{ reverseFulfillmentOrderLineItems {{ id dispositions {{ type }} }} {ERRORS} }} }}"
)
SET_STOCK = (
    "mutation SetStock($i: InventorySetQuantitiesInput!, $key: String!)"
    " { inventorySetQuantities(input: $i) @idempotent(key: $key)"
    f" {{ inventoryAdjustmentGroup {{ id changes {{ delta quantityAfterChange }} }} {ERRORS} }} }}"
)


class Store:
    """A short way to say operations and acts; `heard` are the webhooks that arrived."""

    def __init__(self, **config: Any) -> None:
        self.world = World("shop", None, Clock())
        self.app = create_app(self.world, webhook_url="http://counterflow.test/hooks", **config)
        self.http = httpx2.AsyncClient(transport=httpx2.ASGITransport(self.app), base_url="http://shop.test")
        self.heard: list[tuple[dict[str, str], bytes]] = []
        self.status = 200

        async def receiver(scope: Any, receive: Any, send: Any) -> None:
            body = (await receive())["body"]
            self.heard.append(({k.decode(): v.decode() for k, v in scope["headers"]}, body))
            await send({"type": "http.response.start", "status": self.status, "headers": []})
            await send({"type": "http.response.body", "body": b""})

        self.world.transport = httpx2.ASGITransport(receiver)

    async def raw(self, query: str, version: str = "2026-07", token: str = TOKEN, **variables: Any) -> httpx2.Response:
        return await self.http.post(
            f"/admin/api/{version}/graphql.json",
            json={"query": query, "variables": variables},
            headers={"X-Shopify-Access-Token": token},
        )

    async def run(self, query: str, **variables: Any) -> Any:
        """The payload of the only root field."""
        answer = (await self.raw(query, **variables)).json()
        assert "errors" not in answer, answer
        return next(iter(answer["data"].values()))

    async def act(self, name: str, **payload: Any) -> Any:
        answer = await self.http.post(f"/_sim/do/{name}", json=payload)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def topics(self) -> list[str]:
        await self.world.pump()
        return [headers["x-shopify-topic"] for headers, _ in self.heard]

    async def sold(self, quantity: int = 2, price: int = 19_90, **more: Any) -> Any:
        line = {"sku": "SHIRT", "quantity": quantity, "unit_price_minor": price, "tax_rates": [{"rate": "0.19"}]}
        more.setdefault("customer", {"email": "ada@example.com"})
        return await self.act("place_order", **{"lines": [line], "payment_id": "pi_1", "fulfil": True, **more})


@pytest.fixture
def shop() -> Store:
    return Store()


def refund_of(order: Any, amount: str, quantity: int = 1, **more: Any) -> dict[str, Any]:
    parent = order["transactions"][0]
    transaction = {
        "orderId": order["id"], "parentId": parent["id"], "gateway": parent["gateway"], "kind": "REFUND",
        "amount": amount,
    }  # fmt: skip
    lines = [{"lineItemId": order["lines"][0]["id"], "quantity": quantity, "restockType": "NO_RESTOCK"}]
    return {"orderId": order["id"], "refundLineItems": lines, "transactions": [transaction], "note": "rl_1", **more}


# Orders


async def test_an_order_shows_discounts_taxes_kits_and_tenders_to_the_cent(shop: Store):
    card = await shop.act("issue_gift_card", amount_minor=20_00, code="giftcard0001")
    order = await shop.act(
        "place_order",
        lines=[
            {"sku": "MUG", "quantity": 3, "unit_price_minor": 10_00, "tax_rates": [{"rate": "0.19"}]},
            {"sku": "KIT", "components": [{"sku": "TEA", "quantity": 2, "unit_price_minor": 3_33},
                                          {"sku": "POT", "unit_price_minor": 20_00}],
             "tax_rates": [{"rate": "0.07"}]},
        ],
        discounts=[{"title": "3 for 2", "buy_x_get_y": {"buy": 2, "get": 1}, "lines": [0]},
                   {"code": "TEN", "percentage": 10}],
        shipping={"amount_minor": 4_90, "tax_rates": [{"rate": "0.19"}]},
        tenders=[{"gateway": "gift_card", "amount_minor": 20_00, "gift_card": card["id"]},
                 {"gateway": "stripe", "amount_minor": 26_89, "payment_id": "pi_7"}],
    )  # fmt: skip
    shown = await shop.run(
        "query($id: ID!) { order(id: $id) { totalPriceSet { shopMoney { amount } } displayFinancialStatus"
        " lineItems(first: 5) { nodes { sku quantity discountedUnitPriceSet { shopMoney { amount } }"
        " lineItemGroup { title }"
        " discountAllocations { allocatedAmountSet { shopMoney { amount } } discountApplication { __typename index } }"
        " taxLines { priceSet { shopMoney { amount } } } } } transactions { gateway paymentId kind status } } }",
        id=order["id"],
    )
    assert shown["totalPriceSet"]["shopMoney"]["amount"] == "46.89"  # (20 + 26.66) less 10 % = 41.99, and 4.90 shipping
    assert shown["displayFinancialStatus"] == "PAID"
    mug, tea, pot = shown["lineItems"]["nodes"]
    assert [row["discountApplication"]["__typename"] for row in mug["discountAllocations"]] == [
        "AutomaticDiscountApplication",
        "DiscountCodeApplication",
    ]
    assert mug["discountedUnitPriceSet"]["shopMoney"]["amount"] == "6.67"  # rounded: three of them are not 20.00
    assert mug["taxLines"][0]["priceSet"]["shopMoney"]["amount"] == "2.87"  # 18.00 * 19 / 119
    assert tea["lineItemGroup"]["title"] == pot["lineItemGroup"]["title"] == "KIT"
    off = sum(
        Decimal(row["discountAllocations"][-1]["allocatedAmountSet"]["shopMoney"]["amount"]) for row in (mug, tea, pot)
    )
    assert off == Decimal("4.67")
    assert [(row["gateway"], row["kind"]) for row in shown["transactions"]] == [
        ("gift_card", "SALE"),
        ("stripe", "SALE"),
    ]
    assert shop.world.all("gift_cards")[0]["balance_minor"] == 0


async def test_tenders_must_add_up(shop: Store):
    lines = [{"sku": "MUG", "unit_price_minor": 10_00}]
    answer = await shop.http.post(
        "/_sim/do/place_order", json={"lines": lines, "tenders": [{"gateway": "stripe", "amount_minor": 999}]}
    )
    assert answer.status_code == 400 and "1000" in answer.text
    assert shop.world.all("orders") == []


async def test_a_presentment_currency_has_its_own_amounts(shop: Store):
    order = await shop.sold(1, 5_000, presentment_currency="JPY", exchange_rate="0.006")
    shown = await shop.run(
        "query($id: ID!) { order(id: $id)"
        " { totalPriceSet { shopMoney { amount } presentmentMoney { amount currencyCode } } } }",
        id=order["id"],
    )
    assert shown["totalPriceSet"] == {
        "shopMoney": {"amount": "30.0"}, "presentmentMoney": {"amount": "5000.0", "currencyCode": "JPY"},
    }  # fmt: skip
    refused = await shop.run(REFUND, input=refund_of(order, "5000"), key="k1")
    assert refused["userErrors"][0]["field"] == ["currency"]
    done = await shop.run(REFUND, input=refund_of(order, "5000", currency="JPY"), key="k2")
    assert done["refund"]["totalRefundedSet"]["presentmentMoney"] == {"amount": "5000.0", "currencyCode": "JPY"}


async def test_orders_are_paged_completely_while_they_change(shop: Store):
    for _ in range(7):
        await shop.sold()
    query = (
        "query Orders($after: String, $q: String) { orders(first: 3, after: $after, query: $q, sortKey: UPDATED_AT)"
        " { nodes { name } pageInfo { hasNextPage endCursor } } }"
    )
    seen, after, pages = [], None, 0
    while True:
        page = await shop.run(query, after=after, q="updated_at:>='2020-01-01T00:00:00Z'")
        seen += [row["name"] for row in page["nodes"]]
        pages += 1
        if pages == 1:
            shop.world.clock.advance(60)
            await shop.act("tag_order", order="#1001", tags=["vip"])  # moves to the end: seen twice, never lost
        if not page["pageInfo"]["hasNextPage"]:
            break
        after = page["pageInfo"]["endCursor"]
    assert set(seen) == {f"#{n}" for n in range(1001, 1008)} and seen.count("#1001") == 2
    found = await shop.run(query, q="tag:vip name:#1001")
    assert [row["name"] for row in found["nodes"]] == ["#1001"]
    assert (await shop.run(query, q="tag:nothing"))["nodes"] == []


async def test_the_search_index_may_lag_behind_the_shop():
    shop = Store(search_lag_seconds=30)
    order = await shop.sold()
    query = "{ orders(first: 3) { nodes { name } } }"
    assert (await shop.run(query))["nodes"] == []
    assert (await shop.run("query($id: ID!) { order(id: $id) { name } }", id=order["id"]))["name"] == order["name"]
    shop.world.clock.advance(31)
    assert len((await shop.run(query))["nodes"]) == 1


# Returns


async def test_a_return_from_request_to_close(shop: Store):
    order = await shop.sold()
    item = order["fulfillments"][0]["items"][0]["id"]
    asked = await shop.run(
        REQUEST, i={"orderId": order["id"], "returnLineItems": [{"fulfillmentLineItemId": item, "quantity": 1}]}
    )
    assert asked["return"]["status"] == "REQUESTED" and asked["return"]["name"] == "#1001-R1"
    assert asked["return"]["reverseFulfillmentOrders"]["nodes"] == []
    opened = (await shop.run(APPROVE, i={"id": asked["return"]["id"]}))["return"]
    assert opened["status"] == "OPEN"
    row = opened["reverseFulfillmentOrders"]["nodes"][0]["lineItems"]["nodes"][0]
    place = shop.world.all("locations")[1]["id"]
    before = shop.world.get("variants", "SHIRT")
    processed = await shop.run(
        PROCESS,
        i={
            "returnId": opened["id"], "note": "rl_9",
            "returnLineItems": [{
                "id": opened["returnLineItems"]["nodes"][0]["id"], "quantity": 1,
                "dispositions": [{"reverseFulfillmentOrderLineItemId": row["id"], "quantity": 1,
                                  "dispositionType": "RESTOCKED",
                                  "locationId": place}],
            }],
            "financialTransfer": {"issueRefund": {"orderTransactions": [
                {"parentId": order["transactions"][0]["id"],
                 "transactionAmount": {"amount": "19.90", "currencyCode": "EUR"}}]}},
        },
    )  # fmt: skip
    assert processed["userErrors"] == []
    assert processed["return"]["refunds"]["nodes"][0]["note"] == "rl_9"
    line = processed["return"]["returnLineItems"]["nodes"][0]
    assert (line["processedQuantity"], line["refundedQuantity"]) == (1, 1)
    after = shop.world.get("variants", "SHIRT")
    assert before and after and after["levels"][place]["available"] == 1
    await shop.act("close_return", **{"return": opened["id"]})
    again = await shop.run(APPROVE, i={"id": opened["id"]})
    assert again["userErrors"][0]["code"] == "INVALID_STATE"
    topics = await shop.topics()
    for topic in ("returns/request", "returns/approve", "returns/process", "refunds/create", "returns/close"):
        assert topic in topics


@pytest.mark.parametrize("quantity", [0, 3])
async def test_more_than_was_shipped_cannot_come_back(shop: Store, quantity: int):
    order = await shop.sold(2)
    item = order["fulfillments"][0]["items"][0]["id"]
    refused = await shop.run(
        CREATE, i={"orderId": order["id"], "returnLineItems": [{"fulfillmentLineItemId": item, "quantity": quantity}]}
    )
    assert refused["return"] is None and refused["userErrors"][0]["code"] == "INVALID"
    assert shop.world.all("returns") == []


async def test_decline_and_cancel_free_the_units_again(shop: Store):
    order = await shop.sold(1)
    first = await shop.act("request_return", order="#1001", lines=[{"sku": "SHIRT", "quantity": 1}])
    declined = await shop.run(DECLINE, i={"id": first["id"], "declineReason": "FINAL_SALE", "declineNote": "as agreed"})
    assert declined["return"]["decline"] == {"reason": "FINAL_SALE", "note": "as agreed"}
    second = await shop.act("create_return", order="#1001", lines=[{"sku": "SHIRT", "quantity": 1}])
    await shop.act("cancel_return", **{"return": second["id"]})
    left = await shop.run(
        "query($id: ID!) { returnableFulfillments(orderId: $id, first: 5) { nodes"
        " { returnableFulfillmentLineItems(first: 5) { nodes { quantity fulfillmentLineItem { id } } } } } }",
        id=order["id"],
    )
    assert left["nodes"][0]["returnableFulfillmentLineItems"]["nodes"][0]["quantity"] == 1


async def test_a_unit_has_one_disposition_once(shop: Store):  # edge case 43
    await shop.sold(1)
    ret = await shop.act("create_return", order="#1001", lines=[{"sku": "SHIRT", "quantity": 1}])
    row = ret["reverse"][0]["lines"][0]["id"]
    first = {"reverseFulfillmentOrderLineItemId": row, "quantity": 1, "dispositionType": "PROCESSING_REQUIRED"}
    assert (await shop.run(DISPOSE, i=[first]))["userErrors"] == []
    second = {**first, "dispositionType": "RESTOCKED", "locationId": shop.world.all("locations")[0]["id"]}
    assert (await shop.run(DISPOSE, i=[second]))["userErrors"][0]["code"] == "INVALID"
    cancelled = await shop.http.post("/_sim/do/cancel_return", json={"return": ret["id"]})
    assert cancelled.status_code == 400  # work has been done on it


async def test_a_refused_disposition_leaves_nothing_behind(shop: Store):
    await shop.sold(2)
    ret = await shop.act("create_return", order="#1001", lines=[{"sku": "SHIRT", "quantity": 2}])
    row = ret["reverse"][0]["lines"][0]["id"]
    place = shop.world.all("locations")[0]["id"]
    good = {
        "reverseFulfillmentOrderLineItemId": row,
        "quantity": 1,
        "dispositionType": "RESTOCKED",
        "locationId": place,
    }
    stock = shop.world.get("variants", "SHIRT")
    refused = await shop.run(DISPOSE, i=[good, {**good, "quantity": 2}])
    assert refused["userErrors"] and shop.world.get("variants", "SHIRT") == stock
    assert shop.world.all("returns")[0]["reverse"][0]["lines"][0]["dispositions"] == []


async def test_an_exchange_adds_the_replacement_to_the_same_order(shop: Store):
    await shop.act("add_product", sku="SHIRT-L", price_minor=24_90, stock={"Warehouse": 5})
    await shop.sold(1)
    ret = await shop.act("request_return", order="#1001", lines=[{"sku": "SHIRT", "quantity": 1}])
    await shop.act("customer_picks", **{"return": ret["id"], "remedy": "exchange", "sku": "SHIRT-L"})
    opened = (await shop.run(APPROVE, i={"id": ret["id"]}))["return"]
    done = await shop.run(
        PROCESS,
        i={
            "returnId": ret["id"],
            "returnLineItems": [{"id": opened["returnLineItems"]["nodes"][0]["id"], "quantity": 1}],
            "exchangeLineItems": [{"id": opened["exchangeLineItems"]["nodes"][0]["id"], "quantity": 1}],
        },
    )
    assert done["return"]["exchangeLineItems"]["nodes"][0]["lineItems"][0]["sku"] == "SHIRT-L"
    shown = await shop.run("{ orders(first: 1) { nodes { tags totalOutstandingSet { shopMoney { amount } } } } }")
    assert shown["nodes"][0]["totalOutstandingSet"]["shopMoney"]["amount"] == "5.0"  # the replacement costs 5.00 more
    assert "remedy:exchange" in shown["nodes"][0]["tags"]


# Refunds and idempotency


async def test_a_refund_needs_its_key_and_happens_once(shop: Store):
    order = await shop.sold()
    without = (
        await shop.raw(
            REFUND.replace("@idempotent(key: $key)", "").replace(", $key: String!", ""), input=refund_of(order, "19.90")
        )
    ).json()
    assert without["errors"][0]["extensions"]["code"] == "BAD_REQUEST" and without["data"]["refundCreate"] is None
    first = await shop.run(REFUND, input=refund_of(order, "19.90"), key="k1")
    again = await shop.run(REFUND, input=refund_of(order, "19.90"), key="k1")
    assert first["refund"]["id"] == again["refund"]["id"] and len(shop.world.all("orders")[0]["refunds"]) == 1
    other = await shop.run(REFUND, input=refund_of(order, "5.00"), key="k1")
    assert other["refund"] is None and "cannot be used with different" in other["userErrors"][0]["message"]
    assert len(shop.world.all("gateway_movements")) == 1


async def test_older_versions_do_not_ask_for_the_key(shop: Store):
    order = await shop.sold()
    query = REFUND.replace("@idempotent(key: $key)", "").replace(", $key: String!", "")
    answer = await shop.raw(query, version="2026-01", input=refund_of(order, "19.90"))
    assert answer.json()["data"]["refundCreate"]["refund"]
    assert answer.headers["x-shopify-api-version"] == "2026-01"
    old = await shop.raw("{ shop { name } }", version="2021-04")
    assert old.headers["x-shopify-api-version"] == "2025-10"  # falls forward


async def test_a_failed_key_is_burnt(shop: Store):
    order = await shop.sold()
    too_much = await shop.run(REFUND, input=refund_of(order, "99.00"), key="k1")
    assert "greater than" in too_much["userErrors"][0]["message"]
    burnt = await shop.run(REFUND, input=refund_of(order, "99.00"), key="k1")
    assert "previous request with this idempotency key failed" in burnt["userErrors"][0]["message"]
    assert shop.world.all("orders")[0]["refunds"] == []


async def test_no_more_is_given_back_than_was_paid_however_it_is_cut(shop: Store):
    order = await shop.sold(3, 9_99)
    for key, amount in (("a", "9.99"), ("b", "9.99")):
        assert (await shop.run(REFUND, input=refund_of(order, amount), key=key))["refund"]
    refused = await shop.run(REFUND, input=refund_of(order, "10.00"), key="c")
    assert refused["userErrors"][0]["field"] == ["transactions", "amount"]
    allowed = await shop.run(REFUND, input=refund_of(order, "10.00", allowOverRefunding=True), key="d")
    assert allowed["refund"]["orderAdjustments"]["nodes"][0]["amountSet"]["presentmentMoney"]["amount"] == "0.01"
    units = await shop.run(REFUND, input=refund_of(order, "0.01"), key="e")
    assert "more items than were purchased" in units["userErrors"][0]["message"]


@settings(max_examples=25, deadline=None)
@given(
    quantity=st.integers(1, 7),
    price=st.integers(0, 10_000),
    off=st.integers(0, 5_000),
    cuts=st.lists(st.integers(1, 3)),
)
def test_refunds_of_single_units_add_up_to_the_line(quantity: int, price: int, off: int, cuts: list[int]):
    from counterflow.connectors.shopify.simulator.sums import line_net, refunded_units, share

    allocation = min(off, price * quantity)
    line = {
        "id": "l", "quantity": quantity, "unit_price": {"shop": price, "presentment": price}, "tax_lines": [],
        "allocations": [{"amount": {"shop": allocation, "presentment": allocation}}],
    }  # fmt: skip
    order: dict[str, Any] = {"refunds": []}
    total = 0
    for cut in [*cuts, quantity]:
        take = min(cut, quantity - refunded_units(order, "l"))
        total += share(order, line, take)[0]["presentment"]
        order["refunds"].append({"lines": [{"line_id": "l", "quantity": take}]})
    assert total == line_net(line)["presentment"]


@pytest.mark.parametrize(
    ("fault", "first", "later"),
    [
        ("refund_pending", "PENDING", "SUCCESS"),
        ("refund_fails", "PENDING", "FAILURE"),
        ("refund_failure", "FAILURE", "FAILURE"),
    ],
)
async def test_a_refund_exists_before_and_without_its_money(shop: Store, fault: str, first: str, later: str):
    order = await shop.sold()
    shop.world.fault(fault, seconds=3600)
    made = (await shop.run(REFUND, input=refund_of(order, "19.90"), key="k"))["refund"]
    assert made["transactions"]["nodes"][0]["status"] == first
    shop.world.clock.advance(3601)
    shown = await shop.run(
        "query($id: ID!) { refund(id: $id) { transactions(first: 1) { nodes { status errorCode } } } }", id=made["id"]
    )
    assert shown["transactions"]["nodes"][0]["status"] == later
    topics = await shop.topics()
    assert "refunds/create" in topics
    assert topics.count("order_transactions/create") == 2  # the sale and the final state; never the pending one
    if later == "FAILURE":
        retry = await shop.run(REFUND, input={**refund_of(order, "19.90"), "refundLineItems": []}, key="k2")
        assert retry["refund"], "money that failed can be given back again"


async def test_gift_card_money_goes_back_on_the_card_or_fails(shop: Store):
    card = await shop.act("issue_gift_card", amount_minor=50_00, code="giftcard0001")
    order = await shop.sold(
        2, 10_00, tenders=[{"gateway": "gift_card", "amount_minor": 20_00, "gift_card": "giftcard0001"}]
    )
    done = await shop.run(REFUND, input=refund_of(order, "10.00"), key="k1")
    assert done["refund"]["transactions"]["nodes"][0]["status"] == "SUCCESS"
    balance = "query($id: ID!) { giftCard(id: $id) { balance { amount } } }"
    assert (await shop.run(balance, id=card["id"]))["balance"]["amount"] == "40.0"
    await shop.act("disable_gift_card", gift_card=card["id"])
    failed = await shop.run(REFUND, input=refund_of(order, "10.00"), key="k2")
    assert failed["refund"]["transactions"]["nodes"][0]["status"] == "FAILURE"  # edge case 53
    assert (await shop.run(balance, id=card["id"]))["balance"]["amount"] == "40.0"
    new = await shop.run(
        "mutation($i: GiftCardCreateInput!) { giftCardCreate(input: $i)"
        " { giftCardCode giftCard { note balance { amount } }"
        f" {ERRORS} }} }}", i={"initialValue": "10.00", "note": "rl_2", "code": "reissued0001"},
    )  # fmt: skip
    assert new["giftCard"] == {"note": "rl_2", "balance": {"amount": "10.0"}} and new["giftCardCode"] == "reissued0001"


async def test_store_credit_is_credited_and_not_idempotent(shop: Store):
    order = await shop.sold()
    query = (
        "mutation($id: ID!, $c: StoreCreditAccountCreditInput!) { storeCreditAccountCredit(id: $id, creditInput: $c)"
        f" {{ storeCreditAccountTransaction {{ id balanceAfterTransaction {{ amount }} }} {ERRORS} }} }}"
    )
    credit = {"creditAmount": {"amount": "5.00", "currencyCode": "EUR"}}
    await shop.run(query, id=order["customer_id"], c=credit)
    twice = await shop.run(query, id=order["customer_id"], c=credit)
    assert twice["storeCreditAccountTransaction"]["balanceAfterTransaction"]["amount"] == "10.0"
    nobody = await shop.run(query, id="gid://shopify/Customer/1", c=credit)
    assert nobody["userErrors"][0]["code"] == "OWNER_NOT_FOUND"
    method = {"storeCreditRefund": {"amount": {"amount": "19.90", "currencyCode": "EUR"}}}
    done = await shop.run(
        REFUND, input={**refund_of(order, "1"), "transactions": [], "refundMethods": [method]}, key="k"
    )
    assert done["refund"]["totalRefundedSet"]["shopMoney"]["amount"] == "19.9"


async def test_agents_and_marketplaces_refund_behind_our_back(shop: Store):
    await shop.sold(2, 10_00)
    by_agent = await shop.act("refund_in_admin", order="#1001", lines=[{"sku": "SHIRT", "quantity": 1}], note="sorry")
    assert by_agent["tenders"][0] | {"transaction": ""} == {
        "transaction": "", "gateway": "shopify_payments", "payment_id": "pi_1", "amount_minor": 10_00,
        "currency": "EUR",
        "status": "SUCCESS",
    }  # fmt: skip
    await shop.sold(1, 30_00, marketplace="amazon")
    done = await shop.act("marketplace_refund", order="#1002", lines=[{"sku": "SHIRT", "quantity": 1}])
    assert done["tenders"][0]["gateway"] == "marketplace" and done["tenders"][0]["amount_minor"] == 30_00
    order = shop.world.all("orders")[1]
    assert {"marketplace", "marketplace-refunded"} <= set(order["tags"])
    assert [row["gateway"] for row in shop.world.all("gateway_movements")] == ["shopify_payments"]


async def test_a_replacement_order_is_found_by_its_source_identifier(shop: Store):
    variant = await shop.act("add_product", sku="SHIRT-L", price_minor=24_90)
    made = await shop.run(
        "mutation($o: OrderCreateOrderInput!) { orderCreate(order: $o)"
        f" {{ order {{ id name tags totalPriceSet {{ shopMoney {{ amount }} }} }} {ERRORS} }} }}",
        o={
            "lineItems": [{"variantId": variant["id"], "quantity": 1,
                           "priceSet": {"shopMoney": {"amount": "0", "currencyCode": "EUR"}}}],
            "sourceIdentifier": "ef_123", "tags": ["replacement"], "email": "ada@example.com",
        },
    )  # fmt: skip
    assert made["order"]["totalPriceSet"]["shopMoney"]["amount"] == "0.0" and made["order"]["tags"] == ["replacement"]
    found = await shop.run('{ orders(first: 2, query: "source_identifier:ef_123") { nodes { id } } }')
    assert [row["id"] for row in found["nodes"]] == [made["order"]["id"]]


# Stock


async def test_stock_is_set_only_from_what_the_caller_believes(shop: Store):
    variant = await shop.act("add_product", sku="MUG", price_minor=5_00, stock={"Warehouse": 10})
    place = shop.world.all("locations")[0]["id"]

    def wish(quantity: int, believed: int | None) -> dict[str, Any]:
        row = {
            "inventoryItemId": variant["item_id"],
            "locationId": place,
            "quantity": quantity,
            "changeFromQuantity": believed,
        }
        return {"name": "available", "reason": "correction", "referenceDocumentUri": "cf://ef_1", "quantities": [row]}

    done = await shop.run(SET_STOCK, i=wish(12, 10), key="a")
    assert done["inventoryAdjustmentGroup"]["changes"] == [{"delta": 2, "quantityAfterChange": 12}]
    again = await shop.run(SET_STOCK, i=wish(12, 10), key="a")
    assert again["inventoryAdjustmentGroup"]["id"] == done["inventoryAdjustmentGroup"]["id"]
    assert (await shop.run(SET_STOCK, i=wish(13, 10), key="a"))["userErrors"][0][
        "code"
    ] == "IDEMPOTENCY_KEY_PARAMETER_MISMATCH"
    assert (await shop.run(SET_STOCK, i=wish(13, 10), key="b"))["userErrors"][0]["code"] == "CHANGE_FROM_QUANTITY_STALE"
    burnt = await shop.run(SET_STOCK, i=wish(13, 10), key="b")
    assert burnt["userErrors"][0]["code"] == "IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED"
    shop.world.fault("idempotency_concurrent", match="inventorySetQuantities")
    assert (await shop.run(SET_STOCK, i=wish(0, None), key="c"))["userErrors"][0][
        "code"
    ] == "IDEMPOTENCY_CONCURRENT_REQUEST"
    assert (await shop.run(SET_STOCK, i=wish(0, None), key="c"))["userErrors"] == []
    shop.world.fault("idempotency_burnt")
    assert (await shop.run(SET_STOCK, i=wish(4, 0), key="d"))["userErrors"] == []
    assert (await shop.run(SET_STOCK, i=wish(4, 0), key="d"))["userErrors"][0][
        "code"
    ] == "IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED"
    levels = shop.world.all("variants")[0]["levels"]
    assert levels[place]["available"] == 4


# The API's own manners


async def test_a_dry_bucket_throttles_with_200_and_fills_with_time():
    shop = Store(points_per_second=1.0)
    query = "{ orders(first: 15) { nodes { id } } }"
    first = (await shop.raw(query)).json()
    assert first["extensions"]["cost"]["throttleStatus"]["maximumAvailable"] == 20
    answers = [await shop.raw(query) for _ in range(20)]
    throttled = answers[-1].json()
    assert answers[-1].status_code == 200 and throttled["errors"][0]["extensions"]["code"] == "THROTTLED"
    cost = throttled["extensions"]["cost"]
    shop.world.clock.advance((cost["requestedQueryCost"] - cost["throttleStatus"]["currentlyAvailable"]) / 1.0 + 1)
    assert "errors" not in (await shop.raw(query)).json()
    huge = (
        "{ orders(first: 250) { nodes { "
        + " ".join(f"a{i}: lineItems(first: 250) {{ nodes {{ id }} }}" for i in range(9))
        + " } } }"
    )
    assert (await shop.raw(huge)).json()["errors"][0]["extensions"]["code"] == "MAX_COST_EXCEEDED"


async def test_bad_tokens_bad_bodies_and_an_uninstalled_app(shop: Store):
    assert (await shop.raw("{ shop { name } }", token="nope")).status_code == 401
    body = await shop.http.post(
        "/admin/api/2026-07/graphql.json", content=b"{", headers={"X-Shopify-Access-Token": TOKEN}
    )
    assert body.status_code == 400
    assert "errors" in (await shop.raw("{ shop { colour } }")).json()
    assert "errors" in (await shop.raw("{ shop {")).json()
    await shop.act("uninstall_app")
    assert (await shop.raw("{ shop { name } }")).status_code == 401
    assert await shop.topics() == ["app/uninstalled"]


async def test_faults_reach_single_operations(shop: Store):
    order = await shop.sold()
    shop.world.fault("lost_reply", match="refundCreate")
    assert (await shop.raw("{ shop { name } }")).status_code == 200
    with pytest.raises(httpx2.ReadError):
        await shop.raw(REFUND, input=refund_of(order, "19.90"), key="k")
    again = await shop.run(REFUND, input=refund_of(order, "19.90"), key="k")
    assert len(shop.world.all("orders")[0]["refunds"]) == 1 and again["refund"]["note"] == "rl_1"
    shop.world.fault("lost_request", match="RefundCreate")
    with pytest.raises(httpx2.ReadError):
        await shop.raw(REFUND, input=refund_of(order, "19.90"), key="k2")
    assert len(shop.world.all("orders")[0]["refunds"]) == 1
    for name, status in (("rate_limited", 429), ("unauthorized", 401), ("down", 503), ("error_before", 500)):
        shop.world.fault(name)
        assert (await shop.raw("{ shop { name } }")).status_code == status
    shop.world.fault("access_denied")
    assert (await shop.raw("{ shop { name } }")).json()["data"] is None


# Webhooks


async def test_webhooks_are_signed_over_the_raw_body(shop: Store):
    await shop.sold()
    await shop.world.pump()
    headers, body = next(row for row in shop.heard if row[0]["x-shopify-topic"] == "orders/create")
    digest = hmac.new(b"shpss_simulated", body, hashlib.sha256).digest()
    assert headers["x-shopify-hmac-sha256"] == base64.b64encode(digest).decode()
    assert {
        "x-shopify-shop-domain",
        "x-shopify-webhook-id",
        "x-shopify-event-id",
        "x-shopify-triggered-at",
        "x-shopify-api-version",
    } <= set(headers)
    order = json.loads(body)
    assert (
        order["admin_graphql_api_id"].startswith("gid://shopify/Order/") and order["line_items"][0]["price"] == "19.90"
    )


async def test_return_webhooks_get_thinner_as_the_return_goes_on(shop: Store):
    await shop.sold()
    ret = await shop.act("request_return", order="#1001", lines=[{"sku": "SHIRT", "quantity": 1, "reason": "COLOR"}])
    for act in ("approve_return", "close_return", "reopen_return"):
        await shop.act(act, **{"return": ret["id"]})
    await shop.world.pump()
    said = {headers["x-shopify-topic"]: json.loads(body) for headers, body in shop.heard}
    line = said["returns/request"]["return_line_items"][0]
    assert (line["quantity"], line["return_reason"]) == (1, "color") and said["returns/request"]["order"]["id"]
    assert set(said["returns/close"]) == {"id", "admin_graphql_api_id", "status", "order_id"}
    assert [said[f"returns/{verb}"]["status"] for verb in ("request", "approve", "close", "reopen")] == [
        "requested", "open", "closed", "open",
    ]  # fmt: skip


async def test_a_retry_repeats_the_stale_first_body_and_a_copy_keeps_its_event_id(shop: Store):
    shop.world.chaos = Chaos(duplicate=1.0)
    shop.status = 503
    await shop.act("add_product", sku="MUG", price_minor=5_00)
    await shop.act("restock", sku="MUG", location="Warehouse", quantity=10)
    await shop.world.pump()
    shop.status = 200
    await shop.act("restock", sku="MUG", location="Warehouse", quantity=3)
    shop.world.clock.advance(11)
    await shop.world.pump()
    bodies = [(headers["x-shopify-event-id"], json.loads(body)["available"]) for headers, body in shop.heard]
    first = bodies[0]
    assert first[1] == 10 and bodies.count(first) == 4  # two copies, each tried twice
    assert bodies.index(first, 2) > 1 and 3 in [available for _, available in bodies]


async def test_eight_failed_retries_delete_the_subscription_silently(shop: Store):
    shop.status = 500
    await shop.act("restock", sku="MUG", location="Warehouse", quantity=10)
    while (due := shop.world.next_due()) is not None:
        shop.world.clock.advance(max(0.0, (due - shop.world.clock.now()).total_seconds()) + 0.01)
        await shop.world.pump()
    assert len(shop.heard) == 9
    first, last = (headers["x-shopify-triggered-at"] for headers, _ in (shop.heard[0], shop.heard[-1]))
    assert first == last
    shop.status = 200
    shown = await shop.run("{ webhookSubscriptions(first: 50) { nodes { topic } } }")
    topics = {row["topic"] for row in shown["nodes"]}
    assert "INVENTORY_LEVELS_UPDATE" not in topics and "ORDERS_CREATE" in topics
    await shop.run(
        "mutation($t: WebhookSubscriptionTopic!, $w: WebhookSubscriptionInput!) { webhookSubscriptionCreate(topic: $t,"
        " webhookSubscription: $w) { webhookSubscription { id } userErrors { message } } }",
        t="INVENTORY_LEVELS_UPDATE", w={"uri": "http://counterflow.test/hooks"},
    )  # fmt: skip
    await shop.act("restock", sku="MUG", location="Warehouse", quantity=11)
    assert (await shop.topics())[-1] == "inventory_levels/update"


# Money on the wire


@given(st.integers(0, 10**12), st.sampled_from(["EUR", "JPY", "KWD", "USD", "BHD"]))
def test_money_survives_both_spellings(amount: int, currency: str):
    assert minor(graphql_amount(amount, currency), currency) == minor(rest_amount(amount, currency), currency) == amount


@given(st.integers(0, 10**6), st.lists(st.integers(0, 1000), min_size=1))
def test_a_discount_is_spread_to_the_cent(amount: int, weights: list[int]):
    shares = spread(amount, weights)
    assert sum(shares) == (amount if any(weights) else 0) and min(shares) >= 0
