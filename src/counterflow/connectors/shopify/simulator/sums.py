"""What an order and its lines come to: pure sums over the documents."""

from collections.abc import Iterable

from counterflow.connectors.shopify.simulator.money import NOTHING, Bag, add, part, sub, times
from counterflow.sdk.simulator import Doc


def line_of(order: Doc, row: Doc) -> Doc:
    for line in order["lines"]:
        if line["id"] == row.get("line_id") or ("line_id" not in row and line["sku"] == row.get("sku")):
            return line  # type: ignore[no-any-return]
    raise LookupError(f"{order['name']} has no line {row.get('line_id') or row.get('sku')}")


def line_net(line: Doc) -> Bag:
    """Price times quantity less all discounts."""
    return sub(
        times(line["unit_price"], line["quantity"]), add(NOTHING, *(row["amount"] for row in line["allocations"]))
    )


def open_quantity(line: Doc) -> int:
    return int(line["quantity"] - line["fulfilled"] - line["removed"])


def tax_of(rows: Iterable[Doc]) -> Bag:
    return add(NOTHING, *(tax["price"] for row in rows for tax in row["tax_lines"]))


def total(order: Doc) -> Bag:
    goods = add(NOTHING, *(line_net(line) for line in order["lines"]))
    shipping = add(NOTHING, *(row["discounted"] for row in order["shipping"]))
    taxes = NOTHING if order["taxes_included"] else add(tax_of(order["lines"]), tax_of(order["shipping"]))
    return add(goods, shipping, taxes)


def moved(order: Doc, kinds: tuple[str, ...], statuses: tuple[str, ...] = ("SUCCESS",)) -> Bag:
    rows = (row for row in order["transactions"] if row["kind"] in kinds and row["status"] in statuses)
    return add(NOTHING, *(row["amount"] for row in rows))


def received(order: Doc) -> Bag:
    return moved(order, ("SALE", "CAPTURE"))


def refunded(order: Doc) -> Bag:
    return add(moved(order, ("REFUND",)), *(refund["store_credit"] for refund in order["refunds"]))


def outstanding(order: Doc) -> Bag:
    given_back = add(NOTHING, *(refund["goods"] for refund in order["refunds"]))
    return sub(sub(total(order), given_back), sub(received(order), refunded(order)))


# What has been given back


def refunded_units(order: Doc, line_id: str) -> int:
    return sum(row["quantity"] for refund in order["refunds"] for row in refund["lines"] if row["line_id"] == line_id)


def refundable_units(order: Doc, line: Doc) -> int:
    return int(line["quantity"]) - refunded_units(order, line["id"])


def share(order: Doc, line: Doc, quantity: int) -> tuple[Bag, Bag]:
    """Price and tax of the next `quantity` units to refund: shares of all units add up to the line."""
    before = refunded_units(order, line["id"])
    net, tax = line_net(line), add(NOTHING, *(row["price"] for row in line["tax_lines"]))

    def upto(bag: Bag, units: int) -> Bag:
        return part(bag, units, line["quantity"])

    return tuple(sub(upto(bag, before + quantity), upto(bag, before)) for bag in (net, tax))  # type: ignore[return-value]


def refunded_shipping(order: Doc) -> Bag:
    return add(NOTHING, *(row["amount"] for refund in order["refunds"] for row in refund["shipping"]))


def refundable_on(order: Doc, transaction: Doc) -> Bag:
    """What a payment can still give back; refunds under way count."""
    if transaction["kind"] not in ("SALE", "CAPTURE") or transaction["status"] != "SUCCESS":
        return NOTHING
    back = (
        row["amount"] for row in order["transactions"]
        if row["kind"] == "REFUND" and row["parent_id"] == transaction["id"] and row["status"] in ("SUCCESS", "PENDING")
    )  # fmt: skip
    return sub(transaction["amount"], add(NOTHING, *back))


def financial_status(order: Doc) -> str:
    got, back = received(order)["presentment"], refunded(order)["presentment"]
    if back and back >= got:
        return "REFUNDED"
    if back:
        return "PARTIALLY_REFUNDED"
    if got <= 0:
        return "AUTHORIZED" if moved(order, ("AUTHORIZATION",))["presentment"] else "PENDING"
    return "PAID" if outstanding(order)["presentment"] <= 0 else "PARTIALLY_PAID"


def fulfillment_status(order: Doc) -> str:
    left = sum(open_quantity(line) for line in order["lines"])
    if not any(line["fulfilled"] for line in order["lines"]):
        return "UNFULFILLED"
    return "PARTIALLY_FULFILLED" if left else "FULFILLED"
