"""Refund legs that the shop pays: back through the gateway or gift card that paid, on a new card, as store credit.

Each carries our key where `find` sees it: in the refund's note, or as the code of the new gift card, which no other
effect has. A refund exists although its money may fail; what counts is its transaction.
"""

from typing import Any

from counterflow.connectors.shopify import documents
from counterflow.connectors.shopify.client import BURNT, Client, next_page
from counterflow.connectors.shopify.feeds import order_gid
from counterflow.connectors.shopify.manifest import Config
from counterflow.connectors.shopify.mapping import STATUSES
from counterflow.connectors.shopify.references import gift_card_code, key_in, note_for
from counterflow.connectors.shopify.sale import money, payer_of, payment_ref, tender_of
from counterflow.core.effects import Effect, PayLeg
from counterflow.core.money import to_major, to_minor
from counterflow.sdk.outcomes import Accepted, Conflict, Done, Malformed, NotFound, Outcome, Rejected

Json = dict[str, Any]
CREDIT = ("gift_card", "store_credit")
RAILS = (*CREDIT, "card", "wallet", "pay_later")
_KEYS = 3  # keys that are tried when one is burnt; a refund is looked up before the next one is used


async def pay(client: Client, config: Config, connection: str, effect: Effect, command: PayLeg) -> Outcome:
    """Raises Rejected for a rail that the shop does not have, Malformed when it paid another amount than asked."""
    if command.amount_minor <= 0:
        raise Rejected(f"{command.amount_minor} is no amount to refund: it has to be more than 0", code="amount")
    if command.rail not in RAILS:
        raise Rejected(f"the shop does not pay by {command.rail}: route it elsewhere", code="rail")
    order = await _order(client, command)
    if command.rail == "store_credit":
        credit = {"amount": to_major(command.amount_minor, command.currency), "currencyCode": command.currency}
        return await _refund(
            client, effect, command, order, {"refundMethods": [{"storeCreditRefund": {"amount": credit}}]}
        )
    paid = _payment(order, config, connection, command)
    if command.rail == "gift_card" and (paid is None or _has_failed(order, command)):
        return await _new_card(client, _code(config, effect), effect, command, order)
    if paid is None:
        raise Rejected(
            f"order {command.order_ref} has no {command.rail} payment {command.payment_ref} that the shop pays back "
            "itself: route it to the payment's provider",
            code="rail",
        )
    back = {"orderId": order["id"], "parentId": paid["id"], "gateway": paid["gateway"], "kind": "REFUND"}
    back["amount"] = to_major(command.amount_minor, command.currency)
    return await _refund(client, effect, command, order, {"transactions": [back]})


async def find(client: Client, config: Config, effect: Effect, command: PayLeg) -> Outcome | None:
    order = await _order(client, command)
    for refund in order["refunds"]:
        if key_in(refund["note"]) == effect.effect_id:
            return _outcome(refund, command)
    if command.rail == "gift_card":
        card = await _card(client, _code(config, effect), effect.effect_id)
        return _issued(card, command) if card else None
    return None


def _payment(order: Json, config: Config, connection: str, command: PayLeg) -> Json | None:
    """The payment that the leg goes back on, unless it is of another rail, or another connection pays it back."""
    for row in order["transactions"]:
        if row["kind"] in ("SALE", "CAPTURE") and payment_ref(row, config) == command.payment_ref:
            gateway = row["gateway"] or ""
            ours = payer_of(gateway, config, connection) in ("", connection)
            return row if ours and tender_of(gateway, config) == command.rail else None
    return None


def _code(config: Config, effect: Effect) -> str:
    return gift_card_code(config.webhook_secret.get_secret_value(), effect.effect_id)


async def _order(client: Client, command: PayLeg) -> Json:
    order: Json | None = await client.call(documents.REFUNDS, id=await order_gid(client, command.order_ref))
    if order is None:
        raise NotFound(f"the shop has no order {command.order_ref}")
    if order["presentmentCurrencyCode"] != command.currency:
        raise Rejected(
            f"the order is in {order['presentmentCurrencyCode']}, not in {command.currency}", code="currency"
        )
    return order


def _has_failed(order: Json, command: PayLeg) -> bool:
    """Whether a refund on this card failed before (expired, disabled): then a new card is issued."""
    return any(
        row["kind"] == "REFUND"
        and (row["parentTransaction"] or {}).get("id") == command.payment_ref
        and STATUSES.get(row["status"]) == "failed"
        for row in order["transactions"]
    )


# ---- refunds ---------------------------------------------------------------------------------------------------------


async def _refund(client: Client, effect: Effect, command: PayLeg, order: Json, means: Json) -> Outcome:
    given: Json = {
        "orderId": order["id"],
        "currency": command.currency,
        "note": note_for(effect.effect_id, command.reason),
        "notify": False,
        **means,
    }
    for attempt in range(_KEYS):
        key = effect.effect_id if attempt == 0 else f"{effect.effect_id}-{attempt}"
        try:
            made = (await client.call(documents.CREATE_REFUND, input=given, key=key))["refund"]
            return _outcome(made, command)
        except Rejected as error:
            if error.code != BURNT:
                raise
        again = await client.call(documents.REFUNDS, id=order["id"])
        found = [refund for refund in again["refunds"] if key_in(refund["note"]) == effect.effect_id]
        if found:  # the key is burnt although the refund was made
            return _outcome(found[0], command)
    raise Rejected(f"{_KEYS} idempotency keys failed: look at the order's refunds, then retry", code=BURNT)


def _outcome(refund: Json, command: PayLeg) -> Outcome:
    """The state of the money. Raises Malformed unless it is the amount that was asked for."""
    rows = [row for row in refund["transactions"]["nodes"] if row["kind"] == "REFUND"]
    total = money(refund["totalRefundedSet"], command.currency)
    if rows:
        total = sum(money(row["amountSet"], command.currency) for row in rows)
    if total != command.amount_minor:
        raise Malformed(
            f"the shop refunded {to_major(total, command.currency)} {command.currency} instead of "
            f"{to_major(command.amount_minor, command.currency)}: compare {refund['id']} with the case",
            code="amount",
        )
    ref = rows[0]["id"] if rows else refund["id"]
    statuses = {STATUSES.get(row["status"], "pending") for row in rows}
    if "failed" in statuses:
        reason = next((row["errorCode"] for row in rows if row["errorCode"]), None) or "refund_failed"
        return Rejected(
            f"the shop made the refund and its money failed ({reason.lower()}): another rail is needed", code=reason
        )
    if "pending" in statuses:
        return Accepted(ref, (("status", "pending"),))
    return Done(ref, (("status", "succeeded"),))


# ---- new gift cards --------------------------------------------------------------------------------------------------


async def _new_card(client: Client, code: str, effect: Effect, command: PayLeg, order: Json) -> Outcome:
    amount = to_major(command.amount_minor, command.currency)
    given: Json = {"code": code, "note": note_for(effect.effect_id, command.reason)}
    if (field := documents.gift_card_amount(client.version)) == "initialAmount":
        given[field] = {"amount": amount, "currencyCode": command.currency}
    elif order["currencyCode"] == command.currency:
        given[field] = amount
    else:
        raise Rejected(
            f"this API version issues gift cards in {order['currencyCode']} only: set api_version to 2026-07",
            code="currency",
        )
    if order["customer"]:
        given["customerId"] = order["customer"]["id"]
    try:
        card = (await client.call(documents.CREATE_GIFT_CARD, input=given))["giftCard"]
    except Rejected as error:
        if error.code != "TAKEN":
            raise
        card = await _card(client, code, effect.effect_id)
        if card is None:
            raise
        if not _worth(card, command):
            raise Conflict("the gift card of this key has another value", code="TAKEN") from None
    return _issued(card, command)


async def _card(client: Client, code: str, effect_id: str) -> Json | None:
    after = ""
    while True:
        page = await client.call(documents.GIFT_CARDS, query=f"last_characters:{code[-4:]}", after=after or None)
        for card in page["nodes"]:
            if key_in(card["note"]) == effect_id:
                return card  # type: ignore[no-any-return]
        after = next_page(page["pageInfo"], after)
        if not after:
            return None


def _issued(card: Json, command: PayLeg) -> Outcome:
    if not _worth(card, command):
        raise Malformed(f"gift card {card['id']} has another value than asked for: look at it", code="amount")
    return Done(card["id"], (("status", "succeeded"),))


def _worth(card: Json, command: PayLeg) -> bool:
    value = card["initialValue"]
    amount = to_minor(str(value["amount"]), command.currency) if value["currencyCode"] == command.currency else None
    return amount == command.amount_minor
