"""The lines of a credit note: which invoice each belongs to, and prices that give the refund's amounts to the cent."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from counterflow.connectors.odoo.original import Order, Row
from counterflow.connectors.odoo.session import Odoo
from counterflow.core.effects import CreditLine
from counterflow.core.money import allocate, exponent, to_major
from counterflow.sdk.outcomes import Rejected

_FIELDS = (
    "move_id",
    "product_id",
    "quantity",
    "tax_ids",
    "account_id",
    "sale_line_ids",
    "partner_id",
    "currency_id",
    "journal_id",
    "parent_state",
    "move_type",
)


@dataclass(slots=True)
class Group:
    """What is credited of one invoice: our lines, each with the invoice line it takes back (None: only money)."""

    invoice: Row  # one of its lines
    lines: list[tuple[CreditLine, Row | None]] = field(default_factory=list)

    @property
    def amount_minor(self) -> int:
        return sum(line.amount_minor for line, _ in self.lines)


async def group_by_invoice(odoo: Odoo, order: Order, lines: Sequence[CreditLine]) -> list[Group]:
    """Each line to the invoice that billed it: by product, then by what is not credited yet; money follows goods."""
    rows = await odoo.client.search(
        "account.move.line",
        [
            ["sale_line_ids.order_id", "=", order.id],
            ["display_type", "=", "product"],
            ["parent_state", "!=", "cancel"],
            ["move_id.move_type", "in", ["out_invoice", "out_refund"]],
        ],
        _FIELDS,
        order="id",
    )
    billed = [row for row in rows if row["move_type"] == "out_invoice" and row["parent_state"] == "posted"]
    if not billed:
        draft = any(row["move_type"] == "out_invoice" for row in rows)
        raise Rejected(
            f"{order.name} has {'only a draft invoice: post it' if draft else 'no invoice yet: invoice it'} in Odoo, "
            "then retry; or lower its quantity there and discard this credit note",
            code="not_invoiced",
        )
    left = {row["id"]: float(row["quantity"]) for row in billed}
    for credit in rows:
        if credit["move_type"] == "out_refund" and credit["parent_state"] == "posted":
            _take([row for row in billed if row["product_id"] == credit["product_id"]], left, credit["quantity"])
    products = await odoo.names.products({line.sku for line in lines if line.sku})
    groups: dict[int, Group] = {}
    for line in sorted(lines, key=lambda line: line.quantity == 0):  # goods first
        product = products.get(line.sku)
        mine = [row for row in billed if product and row["product_id"] == product.id]
        for part, row in _spread(line, mine, left):
            invoice = row or (next(iter(groups.values())).invoice if groups else billed[0])
            groups.setdefault(invoice["move_id"], Group(invoice)).lines.append((part, row))
    return list(groups.values())


def _take(rows: Sequence[Row], left: dict[int, float], quantity: float) -> list[tuple[Row, int]]:
    taken = []
    for row in rows:
        part = min(left[row["id"]], quantity)
        if part > 0:
            left[row["id"]] -= part
            quantity -= part
            taken.append((row, int(part)))
    return taken


def _spread(line: CreditLine, rows: Sequence[Row], left: dict[int, float]) -> list[tuple[CreditLine, Row | None]]:
    """A line over the invoice lines that still have its pieces; what no invoice has stays with the first of them."""
    taken = _take(rows, left, line.quantity)
    if len(taken) < 2:
        return [(line, taken[0][0] if taken else rows[0] if rows else None)]
    pieces = [part for _, part in taken]
    pieces[0] += line.quantity - sum(pieces)
    amounts = allocate(line.amount_minor, pieces)
    taxes = [allocate(tax.amount_minor, pieces) for tax in line.taxes]
    parts = []
    for n, (row, _) in enumerate(taken):
        share = tuple(replace(tax, amount_minor=taxes[i][n]) for i, tax in enumerate(line.taxes))
        parts.append((replace(line, quantity=pieces[n], amount_minor=amounts[n], taxes=share), row))
    return list(parts)


async def cells(odoo: Odoo, currency: str, group: Group) -> list[dict[str, Any]]:
    """The group's lines for `load`."""
    found = []
    for line, row in group.lines:
        for quantity, price in _pieces(line.quantity, await _price(odoo, line, row)):
            found.append(
                await _line(odoo, line, row, group.invoice)
                | {
                    "quantity": quantity,
                    "price_unit": to_major(price, currency),
                }
            )
    return found


async def _price(odoo: Odoo, line: CreditLine, row: Row | None) -> int:
    """What all pieces cost on the credit note, so that Odoo gets the channel's untaxed amount out of it."""
    rate = await odoo.names.rate(await _taxes(odoo, line, row))
    ppm = rate.included_ppm + rate.excluded_ppm
    untaxed = _rounded(line.amount_minor * 1_000_000, 1_000_000 + ppm)
    if line.taxes and ppm:
        wanted = line.amount_minor - sum(tax.amount_minor for tax in line.taxes)
        if wanted == untaxed and not rate.excluded_ppm:
            return line.amount_minor
        untaxed = wanted
    elif not rate.excluded_ppm:
        return line.amount_minor
    return untaxed + _rounded(untaxed * rate.included_ppm, 1_000_000)


def _rounded(numerator: int, denominator: int) -> int:
    """Half away from zero, as Odoo rounds."""
    sign = -1 if numerator < 0 else 1
    return sign * ((2 * abs(numerator) + denominator) // (2 * denominator))


def _pieces(quantity: int, price: int) -> list[tuple[int, int]]:
    """(quantity, unit price): at most two lines, whose sum is the price exactly; what is kept has quantity -1."""
    if price < 0:
        return [(-1, -price)]
    if quantity < 2:
        return [(1, price)]
    unit, rest = divmod(price, quantity)
    return [(n, p) for n, p in ((quantity - rest, unit), (rest, unit + 1)) if n]


async def _line(odoo: Odoo, line: CreditLine, row: Row | None, invoice: Row) -> dict[str, Any]:
    """Goods name their product and sale line, so that cost and invoiced quantity follow; money alone names neither."""
    goods = row if line.quantity else None
    config = odoo.config.components.get(line.component)
    account, product = (row or invoice)["account_id"], goods["product_id"] if goods else None
    if goods is None and config is not None and config.account:
        account = await odoo.names.account(config.account, f"components.{line.component}.account")
    if goods is None and config is not None and config.product:
        product = (await odoo.names.products({config.product}))[config.product].id
    return {
        "product_id/.id": product,
        "name": line.text or line.component.replace("_", " "),
        "tax_ids/.id": await _taxes(odoo, line, row),
        "account_id/.id": account,
        "sale_line_ids/.id": goods["sale_line_ids"] if goods else None,
    }


async def _taxes(odoo: Odoo, line: CreditLine, row: Row | None) -> list[int]:
    """Those of the invoice line that is taken back; else the channel's, translated; else the component's."""
    if row is not None:
        return list(row["tax_ids"])
    codes = [odoo.config.taxes[tax.code] for tax in line.taxes if tax.code in odoo.config.taxes]
    config = odoo.config.components.get(line.component)
    names = codes or ([config.tax] if config and config.tax else [])
    return [await odoo.names.id("account.tax", name) for name in names]


async def to_the_cent(odoo: Odoo, id: int, group: Group, currency: str) -> None:
    """Bring a draft's total to the refund's, by its tax line: Odoo's rounding of taxes is not always the channel's."""
    (row,) = await odoo.client.read("account.move", [id], ["state", "amount_total"])
    digits = 10 ** exponent(currency)
    difference = group.amount_minor - round(row["amount_total"] * digits)
    if row["state"] != "draft" or not difference:
        return
    taxes = await odoo.client.search(
        "account.move.line", [["move_id", "=", id], ["display_type", "=", "tax"]], ["amount_currency"]
    )
    if not taxes or abs(difference) > 2 * len(group.lines):
        raise Rejected(
            f"Odoo makes {row['amount_total']} {currency} of a credit note over "
            f"{to_major(group.amount_minor, currency)}: compare the taxes of the invoice with the channel's, "
            "correct `taxes` or the products, delete the draft, then retry",
            code="amount",
        )
    largest = max(taxes, key=lambda tax: abs(tax["amount_currency"]))
    amount = to_major(round(largest["amount_currency"] * digits) + difference, currency)
    vals = {"line_ids": [[1, largest["id"], {"amount_currency": float(amount)}]]}
    await odoo.client.do("account.move", "write", ids=[id], vals=vals)
