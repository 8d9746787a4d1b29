"""The mutations that the simulator answers: arguments in, the shop's own functions, payload with `userErrors` out.

Over 400 lines, because it is one table of all of them with the translations of their arguments, and nothing else: what
they do is in `returns`, `refunds`, `orders`, `inventory` and `credit`.
"""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from graphql import GraphQLError, GraphQLResolveInfo, GraphQLSchema, get_directive_values

from counterflow.connectors.shopify.simulator import bulk, credit, inventory, orders, payloads, refunds, returns, views
from counterflow.connectors.shopify.simulator.money import minor
from counterflow.connectors.shopify.simulator.shop import Refused, Shop, find
from counterflow.sdk.simulator import Doc

# These carry @idempotent(key:); from API version 2026-04 on they refuse to run without it (the schema does not say so).
IDEMPOTENT = ("refundCreate", "inventorySetQuantities", "inventoryAdjustQuantities")
# Fields of an input that older versions do not have: there the document does not even validate.
NEWER = {("giftCardCreate", "input", "initialAmount"): "2026-07"}
KEY_HOURS = 24
_MISMATCH = "The same idempotency key cannot be used with different operation parameters."
_FAILED = "A previous request with this idempotency key failed. Retry with a new idempotency key."
_BUSY = "This request is currently in progress, please try again."

Do = Callable[..., Doc]  # arguments of the field -> something to remember: {"show": how, ...}


def root(shop: Shop, base: str, schema: GraphQLSchema) -> Doc:
    fields: dict[str, tuple[Do, Callable[[Doc], Doc]]] = {
        "returnRequest": (lambda input: _return(shop, input, "REQUESTED"), lambda done: _show_return(shop, done)),
        "returnCreate": (lambda returnInput: _return(shop, returnInput, "OPEN"), lambda done: _show_return(shop, done)),
        "returnApproveRequest": (
            lambda input: _move(shop, input["id"], "approve"),
            lambda done: _show_return(shop, done),
        ),
        "returnDeclineRequest": (lambda input: _decline(shop, input), lambda done: _show_return(shop, done)),
        "returnCancel": (lambda id, **_: _move(shop, id, "cancel"), lambda done: _show_return(shop, done)),
        "returnClose": (lambda id: _move(shop, id, "close"), lambda done: _show_return(shop, done)),
        "returnReopen": (lambda id: _move(shop, id, "reopen"), lambda done: _show_return(shop, done)),
        "returnProcess": (lambda input: _process(shop, input), lambda done: _show_return(shop, done)),
        "reverseFulfillmentOrderDispose": (
            lambda dispositionInputs: _dispose(shop, dispositionInputs),
            lambda done: {"reverseFulfillmentOrderLineItems": [_reverse_line(shop, id) for id in done["rows"]]},
        ),
        "reverseDeliveryCreateWithShipping": (
            lambda reverseFulfillmentOrderId, **args: _send_back(shop, reverseFulfillmentOrderId, args),
            lambda done: {"reverseDelivery": _reverse_delivery(shop, done["id"])},
        ),
        "refundCreate": (lambda input: _refund(shop, input), lambda done: _show_refund(shop, done)),
        "inventorySetQuantities": (
            lambda input: {"id": inventory.set_quantities(shop, input)["id"]},
            lambda done: _show_adjustment(shop, done),
        ),
        "inventoryAdjustQuantities": (
            lambda input: {"id": inventory.adjust_quantities(shop, input)["id"]},
            lambda done: _show_adjustment(shop, done),
        ),
        "bulkOperationRunQuery": (
            lambda query, groupObjects: bulk.run(shop, query, base, schema),
            lambda done: {"bulkOperation": bulk.view(done)},
        ),
        "bulkOperationCancel": (lambda id: _cancel_bulk(shop, id), lambda done: {"bulkOperation": bulk.view(done)}),
        "orderCreate": (lambda order, **_: _order(shop, order), lambda done: _show_order(shop, done)),
        "orderUpdate": (lambda input: _update(shop, input), lambda done: _show_order(shop, done)),
        "tagsAdd": (lambda id, tags: _tags(shop, id, tags, True), lambda done: _show_node(shop, done)),
        "tagsRemove": (lambda id, tags: _tags(shop, id, tags, False), lambda done: _show_node(shop, done)),
        "giftCardCreate": (lambda input: _new_card(shop, input), lambda done: _show_card(shop, done)),
        "giftCardCredit": (
            lambda id, creditInput: _load_card(shop, id, creditInput),
            lambda done: {"giftCardCreditTransaction": _movement(shop, done)},
        ),
        "storeCreditAccountCredit": (
            lambda id, creditInput: credit.grant(
                shop, id, creditInput["creditAmount"], creditInput.get("expiresAt"), "ADJUSTMENT"
            ),
            lambda done: {"storeCreditAccountTransaction": views.view_credit(done["account"], done["movement"])},
        ),
        "webhookSubscriptionCreate": (
            lambda topic, webhookSubscription: shop.subscribe(topic, _uri(webhookSubscription)),
            lambda done: {"webhookSubscription": views.view_subscription(done)},
        ),
        "webhookSubscriptionDelete": (
            lambda id: _unsubscribe(shop, id),
            lambda done: {"deletedWebhookSubscriptionId": done["id"]},
        ),
    }
    return {name: _resolver(shop, name, *pair) for name, pair in fields.items()}


def _resolver(shop: Shop, name: str, do: Do, show: Callable[[Doc], Doc]) -> Callable[..., Doc]:
    def resolve(info: GraphQLResolveInfo[Doc], **args: Any) -> Doc:
        version = info.context["version"]
        for (mutation, argument, field), since in NEWER.items():
            if mutation == name and version < since and field in args[argument]:
                raise GraphQLError(f"Field is not defined on {argument}: {field}")
        if name not in IDEMPOTENT:
            return _answer(shop, do, show, args)
        directive = info.schema.get_directive("idempotent")
        assert directive is not None
        given = get_directive_values(directive, info.field_nodes[0], info.variable_values)
        if not given:
            if version >= "2026-04":
                raise GraphQLError(
                    f"The @idempotent directive is required for the {name} mutation.",
                    extensions={"code": "BAD_REQUEST"},
                )
            return _answer(shop, do, show, args)
        return _once(shop, name, str(given["key"]), do, show, args)

    return resolve


def _once(shop: Shop, name: str, key: str, do: Do, show: Callable[[Doc], Doc], args: Doc) -> Doc:
    """Run under an idempotency key: the same again answers the same; a key that failed is burnt."""
    id, print_ = f"{name}:{key}", json.dumps(args, sort_keys=True, default=str)
    known = shop.world.get("idempotency", id)
    fresh_until = shop.world.now() - timedelta(hours=KEY_HOURS)
    if shop.world.take_fault("idempotency_concurrent", name):
        return _no(Refused(_BUSY, "IDEMPOTENCY_CONCURRENT_REQUEST"))
    if known and datetime.fromisoformat(known["at"]) > fresh_until:
        if known["print"] != print_:
            return _no(Refused(_MISMATCH, "IDEMPOTENCY_KEY_PARAMETER_MISMATCH"))
        if known["done"] is None:
            return _no(Refused(_FAILED, "IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED"))
        return {**show(known["done"]), "userErrors": []}

    def record(done: Doc | None) -> None:
        at = shop.world.now().isoformat()
        shop.world.put("idempotency", id, {"print": print_, "done": done, "at": at, "mutation": name, "key": key})

    def do_and_record(**args: Any) -> Doc:
        done = do(**args)
        burnt = shop.world.take_fault("idempotency_burnt", name)  # applied, and yet remembered as failed
        record(None if burnt else done)
        return done

    answer = _answer(shop, do_and_record, show, args)
    if shop.world.get("idempotency", id) in (None, known):
        record(None)
    return answer


def _answer(shop: Shop, do: Do, show: Callable[[Doc], Doc], args: Doc) -> Doc:
    """All of a mutation or nothing of it."""
    try:
        with shop.world.tx():
            done = do(**args)
    except Refused as refused:
        return _no(refused)
    except LookupError as missing:
        return _no(Refused(f"{missing.args[0]} does not exist", "NOT_FOUND", ["id"]))
    except ValueError as wrong:
        return _no(Refused(str(wrong)))
    return {**show(done), "userErrors": []}


def _no(refused: Refused) -> Doc:
    return {"userErrors": [{"message": refused.message, "code": refused.code, "field": refused.field}]}


# Returns


def _return(shop: Shop, data: Doc, status: str) -> Doc:
    lines = [
        {
            "fulfillment_line_id": row["fulfillmentLineItemId"], "quantity": row["quantity"],
            "reason": row.get("returnReason"),
            "note": row.get("returnReasonNote"), "customer_note": row.get("customerNote"),
            "fee_percent": (row.get("restockingFee") or {}).get("percentage"),
        }
        for row in data["returnLineItems"]
    ]  # fmt: skip
    order = shop.order(data["orderId"])
    fee = (data.get("returnShippingFee") or {}).get("amount")
    spec = {
        "lines": lines, "requested_at": data.get("requestedAt"),
        "exchange": [_exchange(order, row) for row in data.get("exchangeLineItems") or []],
        "shipping_fee_minor": minor(fee["amount"], fee["currencyCode"]) if fee else None,
    }  # fmt: skip
    return {"return": returns.create(shop, order, spec, status)["id"]}


def _exchange(order: Doc, row: Doc) -> Doc:
    value = (row.get("appliedDiscount") or {}).get("value") or {}
    discount: Doc | None = None
    if value.get("percentage"):
        discount = {"percentage": value["percentage"]}
    elif amount := value.get("amount"):
        discount = {"amount_minor": minor(amount["amount"], amount["currencyCode"])}
    return {"variant_id": row["variantId"], "quantity": row["quantity"], "discount": discount}


def _move(shop: Shop, id: str, verb: str) -> Doc:
    return {"return": returns.move(shop, shop.ret(id), verb)["id"]}


def _decline(shop: Shop, data: Doc) -> Doc:
    decline = {"reason": data["declineReason"], "note": data.get("declineNote")}
    return {"return": returns.move(shop, shop.ret(data["id"]), "decline", decline)["id"]}


def _disposition(row: Doc) -> Doc:
    return {
        "row_id": row["reverseFulfillmentOrderLineItemId"], "quantity": row["quantity"], "type": row["dispositionType"],
        "location_id": row.get("locationId"),
    }  # fmt: skip


def _dispose(shop: Shop, rows: list[Doc]) -> Doc:
    return {"rows": [line["id"] for line in returns.dispose(shop, [_disposition(row) for row in rows])]}


def _process(shop: Shop, data: Doc) -> Doc:
    ret = shop.ret(data["returnId"])
    order = shop.order(ret["order_id"])
    lines = [
        {
            "id": row["id"],
            "quantity": row["quantity"],
            "dispositions": [_disposition(d) for d in row.get("dispositions") or []],
        }
        for row in data.get("returnLineItems") or []
    ]
    money = (data.get("financialTransfer") or {}).get("issueRefund")
    shipping = data.get("refundShipping") or {}
    refund: Doc = {"note": data.get("note"), "shipping_minor": _shipping(order, shipping, "shippingRefundAmount")}
    if money:
        refund["allow_over"] = money.get("allowOverRefunding")
        refund["transactions"] = [
            {
                "parent_id": row["parentId"],
                "amount_minor": minor(row["transactionAmount"]["amount"], order["presentment_currency"]),
            }
            for row in money["orderTransactions"]
        ]
        refund["store_credit"] = _store_credit(money.get("refundMethods"))
    spec = {"lines": lines, "exchange": data.get("exchangeLineItems") or [], "refund": refund}
    return {"return": returns.process(shop, ret, spec)["id"]}


def _show_return(shop: Shop, done: Doc) -> Doc:
    return {"return": views.view_return(shop, shop.ret(done["return"]))}


def _reverse_line(shop: Shop, id: str) -> Doc:
    ret = shop.ret(shop.owner(id) or "")
    line = next(row for reverse in ret["reverse"] for row in reverse["lines"] if row["id"] == id)
    return views.view_reverse_line(shop, shop.order(ret["order_id"]), line)


def _send_back(shop: Shop, id: str, args: Doc) -> Doc:
    ret = shop.ret(shop.owner(id) or id)
    tracking, label = args.get("trackingInput") or {}, args.get("labelInput") or {}
    return {"id": returns.send_back(shop, ret, {**tracking, "label_url": label.get("fileUrl")})["id"]}


def _reverse_delivery(shop: Shop, id: str) -> Doc:
    ret = shop.ret(shop.owner(id) or "")
    reverse = next(row for row in ret["reverse"] if any(each["id"] == id for each in row["deliveries"]))
    delivery = find(reverse["deliveries"], "delivery", id=id)
    return views.view_reverse_delivery(shop, shop.order(ret["order_id"]), reverse, delivery)


# Refunds


def _refund(shop: Shop, data: Doc) -> Doc:
    order = shop.order(data["orderId"])
    currency = order["presentment_currency"]
    given = data.get("currency")
    if given is None and currency != order["currency"]:
        raise Refused("Currency must be specified for orders in more than one currency", "BLANK", ["currency"])
    if given is not None and given != currency:
        raise Refused(f"Currency must be the presentment currency {currency}", "INVALID", ["currency"])
    spec = {
        "lines": [
            {
                "line_id": row["lineItemId"], "quantity": row["quantity"], "restock_type": row.get("restockType"),
                "location_id": row.get("locationId"),
            }
            for row in data.get("refundLineItems") or []
        ],
        "shipping_minor": _shipping(order, data.get("shipping") or {}, "amount"),
        "transactions": [
            {"parent_id": row.get("parentId"), "gateway": row["gateway"],
             "amount_minor": minor(row["amount"], currency)}
            for row in data.get("transactions") or []
        ],
        "store_credit": _store_credit(data.get("refundMethods")), "note": data.get("note"),
        "processed_at": data.get("processedAt"), "allow_over": data.get("allowOverRefunding"),
        "reason": data.get("discrepancyReason"),
    }  # fmt: skip
    if any(row["kind"] != "REFUND" for row in data.get("transactions") or []):
        raise Refused("Transactions kind must be refund", "INVALID", ["transactions", "kind"])
    if not (spec["lines"] or spec["transactions"] or spec["shipping_minor"] or spec["store_credit"]):
        raise Refused("Refund must have line items, shipping or transactions", "BLANK", ["refundLineItems"])
    refund = refunds.create(shop, order, spec, "refundCreate")
    return {"order": order["id"], "refund": refund["id"]}


def _shipping(order: Doc, data: Doc, field: str) -> int:
    if data.get("fullRefund"):
        return sum(row["discounted"]["presentment"] for row in order["shipping"])
    amount = data.get(field)
    if isinstance(amount, dict):
        amount = amount["amount"]
    return minor(amount, order["presentment_currency"]) if amount else 0


def _store_credit(methods: list[Doc] | None) -> Doc | None:
    gifts = [row["storeCreditRefund"] for row in methods or [] if row.get("storeCreditRefund")]
    if not gifts:
        return None
    amount = gifts[0]["amount"]
    return {
        **amount,
        "amount_minor": minor(amount["amount"], amount["currencyCode"]),
        "expires_at": gifts[0].get("expiresAt"),
    }


def _show_refund(shop: Shop, done: Doc) -> Doc:
    order = shop.order(done["order"])
    refund = find(order["refunds"], "refund", id=done["refund"])
    return {"refund": views.view_refund(shop, order, refund), "order": views.view_order(shop, order)}


def _show_adjustment(shop: Shop, done: Doc) -> Doc:
    doc = shop.world.get("adjustments", done["id"]) or {}
    return {"inventoryAdjustmentGroup": views.view_adjustment(shop, doc)}


# Orders, credit, subscriptions


def _order(shop: Shop, data: Doc) -> Doc:
    """A replacement order: lines of known variants at the price given (or the variant's own), unpaid parts allowed."""
    currency = data.get("presentmentCurrency") or data.get("currency") or shop.currency
    lines = []
    for i, row in enumerate(data.get("lineItems") or []):
        variant = inventory.by_id(shop, row.get("variantId") or "")
        if variant is None and not row.get("title"):
            raise Refused("Line item needs a known variant or a title", "INVALID", ["order", "lineItems", str(i)])
        line = {
            "sku": variant["sku"] if variant else row.get("sku") or row["title"], "quantity": row["quantity"],
            "attributes": {entry["name"]: entry["value"] for entry in row.get("properties") or []},
            "tax_rates": [{"title": tax["title"], "rate": tax["rate"]} for tax in row.get("taxLines") or []],
        }  # fmt: skip
        if price := row.get("priceSet"):
            side = price.get("presentmentMoney") or price["shopMoney"]
            line["unit_price_minor"] = minor(side["amount"], side["currencyCode"])
        lines.append(line)
    if not lines:
        raise Refused("Line items must have at least one line item", "INVALID", ["order", "lineItems"])
    associate = _email(shop, (data.get("customer") or {}).get("toAssociate") or {}) or data.get("email")
    tenders = [_tender(row) for row in data.get("transactions") or []]
    spec = {
        "lines": lines, "name": data.get("name"), "note": data.get("note"), "tags": data.get("tags") or [],
        "presentment_currency": currency, "source_name": data.get("sourceName") or "api",
        "source_identifier": data.get("sourceIdentifier"), "tenders": tenders, "unpaid": True,
        "customer": {"email": associate} if associate else None, "taxes_included": data.get("taxesIncluded", True),
        "attributes": {row["key"]: row["value"] for row in data.get("customAttributes") or []},
    }  # fmt: skip
    return {"order": orders.place(shop, spec)["id"]}


def _email(shop: Shop, customer: Doc) -> str | None:
    """The customer to associate, by id or e-mail. Raises LookupError for an unknown id."""
    if id := customer.get("id"):
        known = shop.world.get("customers", id)
        if known is None:
            raise LookupError(f"Customer {id}")
        return str(known["email"])
    return customer.get("email")


def _tender(row: Doc) -> Doc:
    side = row["amountSet"].get("presentmentMoney") or row["amountSet"]["shopMoney"]
    return {
        "gateway": row.get("gateway") or "manual", "kind": row.get("kind") or "SALE",
        "amount_minor": minor(side["amount"], side["currencyCode"]),
    }  # fmt: skip


def _update(shop: Shop, data: Doc) -> Doc:
    order = shop.order(data["id"])
    order["note"] = data.get("note", order["note"])
    order["tags"] = data["tags"] if data.get("tags") is not None else order["tags"]
    order["email"] = data.get("email") or order["email"]
    order["attributes"] = data["customAttributes"] if data.get("customAttributes") is not None else order["attributes"]
    return _changed(shop, order)


def _tags(shop: Shop, id: str, tags: list[str], add: bool) -> Doc:
    order = shop.order(id)
    kept = [tag for tag in order["tags"] if tag not in tags]
    order["tags"] = [*kept, *tags] if add else kept
    return _changed(shop, order)


def _changed(shop: Shop, order: Doc) -> Doc:
    shop.save_order(order)
    shop.tell("ORDERS_UPDATED", payloads.order(order["id"]))
    return {"order": order["id"]}


def _show_order(shop: Shop, done: Doc) -> Doc:
    return {"order": views.view_order(shop, shop.order(done["order"]))}


def _show_node(shop: Shop, done: Doc) -> Doc:
    return {"node": views.view_order(shop, shop.order(done["order"]))}


def _new_card(shop: Shop, data: Doc) -> Doc:
    amount = data.get("initialAmount") or {"amount": data.get("initialValue") or 0, "currencyCode": shop.currency}
    more = {
        "code": data.get("code"), "customer_id": data.get("customerId"), "expires_on": data.get("expiresOn"),
        "note": data.get("note"), "currency": amount["currencyCode"],
    }  # fmt: skip
    return {"card": credit.new_card(shop, minor(amount["amount"], amount["currencyCode"]), more)["id"]}


def _show_card(shop: Shop, done: Doc) -> Doc:
    card = credit.card(shop, done["card"])
    return {"giftCard": views.view_card(shop, card), "giftCardCode": card["code"]}


def _load_card(shop: Shop, id: str, data: Doc) -> Doc:
    card = credit.card(shop, id)
    amount_minor = minor(data["creditAmount"]["amount"], card["currency"])
    if amount_minor <= 0 or data["creditAmount"]["currencyCode"] != card["currency"]:
        raise Refused(
            "A positive amount in the card's currency must be used", "NEGATIVE_OR_ZERO_AMOUNT", ["creditInput"]
        )
    return {"card": id, "movement": credit.load(shop, card, amount_minor, data.get("note"))["id"]}


def _movement(shop: Shop, done: Doc) -> Doc:
    card = credit.card(shop, done["card"])
    return views.view_movement(shop, card, find(card["movements"], "movement", id=done["movement"]))


def _uri(data: Doc) -> str:
    uri = data.get("uri") or data.get("callbackUrl")
    if not uri:
        raise Refused("Address can't be blank", "BLANK", ["webhookSubscription", "uri"])
    return str(uri)


def _cancel_bulk(shop: Shop, id: str) -> Doc:
    doc = shop.world.get("bulk_operations", id)
    if doc is None:
        raise LookupError(id)
    shop.world.put("bulk_operations", id, {**doc, "status": "CANCELED", "completed_at": shop.now()})
    return {**doc, "status": "CANCELED"}


def _unsubscribe(shop: Shop, id: str) -> Doc:
    if shop.world.get("subscriptions", id) is None:
        raise LookupError(id)
    shop.world.delete("subscriptions", id)
    return {"id": id}
