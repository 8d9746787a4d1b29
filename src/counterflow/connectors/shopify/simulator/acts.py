"""What people do in the shop: shoppers, agents in the admin, the marketplace, the app store. `POST /_sim/do/<act>`.

Amounts are minor units of the order's presentment currency. An order is named by name ("#1001"), number of its gid, or
gid; a return likewise ("#1001-R1"); a line by `line_id` or `sku`; a location by gid or name.

    place_order         lines [{sku, quantity, unit_price_minor, title, tax_rates [{title, rate}], discounts, gift_card,
                        attributes {serial, lot}} or a kit {sku, quantity, components [lines of one kit]}],
                        discounts [{code | title, amount_minor | percentage | buy_x_get_y {buy, get}, lines [indexes],
                        kind code|automatic|manual}], shipping {amount_minor, discount_minor, tax_rates},
                        tenders [{gateway, amount_minor, payment_id, gift_card}] or gateway and payment_id,
                        customer {email, first_name, last_name}, country, taxes_included, presentment_currency,
                        exchange_rate (shop = presentment x rate), source_name, marketplace, tags, note, attributes,
                        fulfil, location                                      -> order
    fulfil              order, lines, location, tracking {company, number}    -> fulfillment
    deliver             order                          the carrier has brought all its parcels  -> order
    cancel_order        order, reason                                         -> order
    request_return      order, lines [{sku, quantity, reason, note}], shipping_fee_minor     -> return (the portal)
    create_return       the same, by an agent: OPEN at once                   -> return
    approve_return, decline_return {reason, note}, cancel_return, close_return, reopen_return     return -> return
    customer_picks      return, remedy refund|exchange|store_credit; sku, quantity, unit_price_minor     -> return
    send_back           return, number, url, label_url: the parcel's label    -> reverse delivery
    hold                order: its fulfilment order is put on hold            -> order
    edit_order          order, note: an agent edits it                        -> order
    dispose             return, sku, quantity, type, location                 -> return
    refund_in_admin     order, lines [{sku, quantity, restock_type, location}], shipping_minor, amount_minor, note,
                        transactions [{parent_id, gateway, amount_minor}] (default: the payments in order, up to
                        amount_minor or the value of the lines)               -> refund, tenders with payment ids
    marketplace_refund  order, lines, amount_minor, reason                    -> the same; the channel paid it back
    restock             sku, location, delta | quantity                       -> variant
    add_product         sku, title, price_minor, stock {location: quantity}   -> variant
    add_location        name                                                  -> location
    issue_gift_card     amount_minor, currency, code, expires_on              -> gift card with its code
    disable_gift_card   gift_card                                             -> gift card
    pay_out             status, issued_at, adjustment_minor: all that Shopify Payments holds     -> payout
    move_payout         payout, status                                        -> payout
    open_dispute        order, type, amount_minor                             -> dispute
    move_dispute        dispute, status                                       -> dispute
    tag_order           order, tags, note                                     -> order
    subscribe           topics (default: all), uri                            -> subscriptions
    uninstall_app, reinstall_app
"""

from collections.abc import Callable

from counterflow.connectors.shopify.simulator import credit, inventory, orders, payloads, payments, refunds, returns
from counterflow.connectors.shopify.simulator.shop import TOPICS, Refused, Shop
from counterflow.connectors.shopify.simulator.sums import line_of, refundable_on, share
from counterflow.sdk.simulator import Doc


def register(shop: Shop) -> None:
    world = shop.world
    handlers: dict[str, Callable[[Doc], Doc]] = {
        "place_order": lambda data: orders.place(shop, data),
        "fulfil": lambda data: orders.fulfil(
            shop, shop.order(data["order"]), data.get("lines"), data.get("location"), data.get("tracking") or {}
        ),
        "deliver": lambda data: orders.deliver(shop, shop.order(data["order"])),
        "cancel_order": lambda data: _cancel(shop, data),
        "request_return": lambda data: returns.create(shop, shop.order(data["order"]), data, "REQUESTED"),
        "create_return": lambda data: returns.create(shop, shop.order(data["order"]), data, "OPEN"),
        "customer_picks": lambda data: _pick(shop, data),
        "send_back": lambda data: returns.send_back(
            shop, shop.ret(data["return"]), {key: data[key] for key in ("number", "url", "label_url") if key in data}
        ),
        "hold": lambda data: _hold(shop, data),
        "edit_order": lambda data: _edit(shop, data),
        "dispose": lambda data: _dispose(shop, data),
        "refund_in_admin": lambda data: _refund(shop, data, "admin"),
        "marketplace_refund": lambda data: _marketplace_refund(shop, data),
        "restock": lambda data: _restock(shop, data),
        "add_product": lambda data: _add_product(shop, data),
        "add_location": lambda data: add_location(shop, data["name"]),
        "issue_gift_card": lambda data: credit.new_card(shop, int(data["amount_minor"]), data),
        "disable_gift_card": lambda data: _disable(shop, data),
        "pay_out": lambda data: payments.pay_out(shop, data),
        "move_payout": lambda data: payments.move_payout(shop, data),
        "open_dispute": lambda data: payments.open_dispute(shop, data),
        "move_dispute": lambda data: payments.move_dispute(shop, data),
        "tag_order": lambda data: _tag(shop, data),
        "subscribe": lambda data: {
            "subscriptions": [shop.subscribe(topic, data["uri"]) for topic in data.get("topics", TOPICS)]
        },
        "uninstall_app": lambda data: _uninstall(shop),
        "reinstall_app": lambda data: _reinstall(shop),
    }
    for verb in ("approve", "decline", "cancel", "close", "reopen"):
        handlers[f"{verb}_return"] = _mover(shop, verb)
    for name, handler in handlers.items():
        world.act(name)(handler)


def _mover(shop: Shop, verb: str) -> Callable[[Doc], Doc]:
    def handle(data: Doc) -> Doc:
        decline = {"reason": data.get("reason", "OTHER"), "note": data.get("note")} if verb == "decline" else None
        return returns.move(shop, shop.ret(data["return"]), verb, decline)

    return handle


def _cancel(shop: Shop, data: Doc) -> Doc:
    order = shop.order(data["order"])
    orders.cancel(shop, order, data.get("reason", "CUSTOMER"))
    return order


def _pick(shop: Shop, data: Doc) -> Doc:
    """The shopper chooses a remedy in the portal: a replacement on the return, or a tag `remedy:...` on the order."""
    ret = shop.ret(data["return"])
    remedy = data["remedy"]
    if remedy == "exchange":
        variant = inventory.variant(shop, data["sku"], price_minor=data.get("unit_price_minor"))
        returns.add_exchange(shop, ret, {"variant_id": variant["id"], "quantity": data.get("quantity", 1)})
    order = shop.order(ret["order_id"])
    order["tags"] = [tag for tag in order["tags"] if not tag.startswith("remedy:")] + [f"remedy:{remedy}"]
    shop.save_order(order)
    shop.save_return(ret)
    shop.tell("RETURNS_UPDATE", payloads.ret("RETURNS_UPDATE", ret["id"]))
    shop.tell("ORDERS_UPDATED", payloads.order(order["id"]))
    return ret


def _dispose(shop: Shop, data: Doc) -> Doc:
    ret = shop.ret(data["return"])
    line = line_of(shop.order(ret["order_id"]), data)
    row = next((row for reverse in ret["reverse"] for row in reverse["lines"] if row["line_id"] == line["id"]), None)
    if row is None:
        raise Refused("the return has no open line for this; approve it first", "INVALID_STATE")
    place = shop.location(data["location"])["id"] if data.get("location") else None
    quantity = data.get("quantity", row["quantity"])
    returns.dispose(shop, [{"row_id": row["id"], "quantity": quantity, "type": data["type"], "location_id": place}])
    return shop.ret(ret["id"])


def _refund(shop: Shop, data: Doc, by: str) -> Doc:
    order = shop.order(data["order"])
    lines = []
    for row in data.get("lines", []):
        place = shop.location(row["location"])["id"] if row.get("location") else None
        lines.append({**row, "line_id": line_of(order, row)["id"], "location_id": place})
    spec = {
        "lines": lines, "shipping_minor": data.get("shipping_minor", 0), "note": data.get("note"),
        "transactions": data.get("transactions") or _spread_over_tenders(order, data, lines),
    }  # fmt: skip
    refund = refunds.create(shop, order, spec, by)
    moved = [row for row in order["transactions"] if row["id"] in refund["transaction_ids"]]
    payments = {row["id"]: row["payment_id"] for row in order["transactions"]}
    tenders = [
        {
            "transaction": row["id"], "gateway": row["gateway"], "payment_id": payments.get(row["parent_id"]),
            "amount_minor": row["amount"]["presentment"], "currency": order["presentment_currency"],
            "status": row["status"],
        }
        for row in moved
    ]  # fmt: skip
    return {"order": order["name"], "refund": refund, "tenders": tenders}


def _spread_over_tenders(order: Doc, data: Doc, lines: list[Doc]) -> list[Doc]:
    """Agents give back on the payments in the order in which they were made."""
    due = data.get("amount_minor")
    if due is None:
        due = int(data.get("shipping_minor", 0))
        for row in lines:
            price, tax = share(order, line_of(order, row), int(row["quantity"]))
            due += price["presentment"] + (0 if order["taxes_included"] else tax["presentment"])
    rows = []
    for payment in order["transactions"]:
        amount = min(due, refundable_on(order, payment)["presentment"])
        if amount > 0:
            rows.append({"parent_id": payment["id"], "amount_minor": amount})
            due -= amount
    if due > 0:
        raise Refused(f"{due} minor units more than the payments can give back", "INVALID")
    return rows


def _marketplace_refund(shop: Shop, data: Doc) -> Doc:
    """The channel refunds the customer on the merchant's behalf; the shop learns of it after the fact."""
    order = shop.order(data["order"])
    order["tags"] = sorted({*order["tags"], "marketplace", "marketplace-refunded"})
    shop.save_order(order)
    return _refund(shop, {**data, "note": data.get("reason", "Refunded by the marketplace")}, "marketplace")


def _restock(shop: Shop, data: Doc) -> Doc:
    place = shop.location(data.get("location"))["id"]
    doc = inventory.variant(shop, data["sku"])
    now = inventory.level(shop, doc, place)["available"]
    shop.world.put("variants", doc["sku"], doc)
    inventory.restock(shop, doc["sku"], place, int(data["delta"]) if "delta" in data else int(data["quantity"]) - now)
    return inventory.variant(shop, data["sku"])


def _add_product(shop: Shop, data: Doc) -> Doc:
    doc = inventory.variant(shop, data["sku"], data.get("title"), data.get("price_minor"))
    shop.world.put("variants", doc["sku"], {**doc, "price_minor": data.get("price_minor", doc["price_minor"])})
    for place, quantity in data.get("stock", {}).items():
        _restock(shop, {"sku": data["sku"], "location": place, "quantity": quantity})
    return inventory.variant(shop, data["sku"])


def add_location(shop: Shop, name: str) -> Doc:
    doc = {"id": shop.gid("Location"), "name": name}
    shop.world.put("locations", doc["id"], doc)
    return doc


def _disable(shop: Shop, data: Doc) -> Doc:
    card = credit.card(shop, data["gift_card"])
    card["enabled"] = False
    shop.world.put("gift_cards", card["id"], card)
    return card


def _tag(shop: Shop, data: Doc) -> Doc:
    order = shop.order(data["order"])
    order["tags"] = [*order["tags"], *data.get("tags", [])]
    order["note"] = data.get("note", order["note"])
    shop.save_order(order)
    shop.tell("ORDERS_UPDATED", payloads.order(order["id"]))
    return order


def _hold(shop: Shop, data: Doc) -> Doc:
    order = shop.order(data["order"])
    shop.tell("FULFILLMENT_ORDERS_PLACED_ON_HOLD", payloads.fulfillment_order(order, "ON_HOLD"))
    return order


def _edit(shop: Shop, data: Doc) -> Doc:
    order = shop.order(data["order"])
    order["note"] = data.get("note", order["note"])
    shop.save_order(order)
    shop.tell("ORDERS_EDITED", payloads.order_edit(order))
    return order


def _uninstall(shop: Shop) -> Doc:
    """Every token is dead from now on; the topic is announced, then all subscriptions are gone."""
    shop.tell("APP_UNINSTALLED", lambda shop: {"id": 1, "domain": shop.domain, "myshopify_domain": shop.domain})
    for subscription in shop.world.all("subscriptions"):
        shop.world.delete("subscriptions", subscription["id"])
    shop.world.put("shop", "uninstalled", {"at": shop.now()})
    return {"installed": False}


def _reinstall(shop: Shop) -> Doc:
    """The merchant installs it again; subscriptions have to be made anew."""
    shop.world.delete("shop", "uninstalled")
    return {"installed": True}
